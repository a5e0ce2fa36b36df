"""Who is on call, why, until when, and who is next: a rota as sentences and as a document."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from secondshift.records.nights import Statement
from secondshift.records.rotas import Duty
from secondshift.records.studies import Cover, Person, Rota

AHEAD_S = 400 * 86400.0  # how far is looked for the next person
WEEK_S = 7 * 86400.0
Duties = Callable[[Rota, float, float], list[Duty]]


def present(rota: Rota, now: float, duties: Duties) -> tuple[Duty, Duty | None]:
    """The duty of now, and the next one of somebody else, if there ever is any; times are UTC seconds.

    Duties of one person in a row, such as a turn after a swap, count as one. Raises ValueError for a rota without people.
    """
    span = WEEK_S
    while True:
        found = duties(rota, now, now + span)
        other = next((duty for duty in found if duty.person != found[0].person), None)
        if other is not None or span >= AHEAD_S:
            break
        span *= 4
    ends = other.begins if other is not None else found[-1].ends
    if other is not None:
        other = replace(other, ends=duties(rota, other.begins, other.begins + AHEAD_S / 10)[0].ends)
    return replace(found[0], ends=ends), other


def sentences(
    rota: Rota, now: float, duties: Duties, awake_at: Callable[[Person, float], float], *, waiting: Sequence[str] = ()
) -> list[Statement]:
    """What `secondshift oncall` says. `waiting`: requests about the rota that no engine has taken up yet, in words."""
    duty, other = present(rota, now, duties)
    said = [_duty("now", duty, forever=other is None)]
    awake = awake_at(rota.people[duty.person], now)
    if awake > now:
        said.append(Statement(key="oncall.quiet", values={"person_word": named(duty.person), "awake_at": awake}))
    cover = cover_of(rota, duty, now)
    if cover is not None and cover.note:
        said.append(Statement(key="oncall.note", values={"who": cover.asked_by, "note": cover.note}))
    if other is None:
        said.append(Statement(key="oncall.alone"))
    else:
        said.append(_duty("next", other))
    if not rota.people[duty.person].channels:
        said.append(Statement(key="oncall.no_channel", values={"person_word": named(duty.person)}))
    said += [Statement(key="oncall.waits", values={"asked": asked}) for asked in waiting]
    return said


def week(rota: Rota, now: float, duties: Duties) -> list[Statement]:
    """The duties of the next seven days, one line each."""
    return [_duty("row", duty) for duty in duties(rota, now, now + WEEK_S)]


def cover_of(rota: Rota, duty: Duty, now: float) -> Cover | None:
    """The hand-over or swap that gave somebody the duty of now, also where it was their turn anyway."""
    return next((c for c in reversed(rota.covers) if c.begins <= now < c.ends and c.who == duty.person), None)


def named(person: str) -> str:
    """A person's name as a value of a sentence; who has none is "you", in the reader's language."""
    return "person_you" if person == "you" else person


def rough(hours: float) -> float:
    """Device-hours that are an estimate, without digits that mean nothing."""
    return round(hours, 1 if hours >= 1 else 2)


def as_document(duty: Duty) -> dict[str, Any]:
    """A duty for a JSON document."""
    return {
        "person": duty.person, "begins": duty.begins, "ends": duty.ends, "why": duty.why, "instead_of": duty.instead_of
    }  # fmt: skip


def _duty(head: str, duty: Duty, *, forever: bool = False) -> Statement:
    values = {
        "person_word": named(duty.person), "from_at": duty.begins, "until_at": duty.ends,
        "why_word": f"why_{duty.why.replace(' ', '_').replace('-', '_')}", "instead_word": named(duty.instead_of),
    }  # fmt: skip
    instead = duty.instead_of not in ("", duty.person)
    kind = "_alone" if forever else "_instead" if instead else ""
    return Statement(key=f"oncall.{head}{kind}", values=values)

"""The page: what somebody reads who is told now, in the person's language and on the person's clock."""

import json
from collections.abc import Iterable
from datetime import UTC
from zoneinfo import ZoneInfo

from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.duties import named, rough
from secondshift.interfaces.readmodel.incidents import evidence, layer, outcome, what
from secondshift.records.answers import waiting
from secondshift.records.incidents import Incident
from secondshift.records.nights import Statement
from secondshift.records.pages import Page
from secondshift.records.states import State
from secondshift.records.studies import Person
from secondshift.runtime.notify.letters import Letter

SHORT = 160  # letters of the form for a phone's locked screen
MOST, NUMBERS = 4, 2  # acts and findings that are named, the newest


def write_page(state: State, page: Page, *, host: str = "", folder: str = "") -> Letter:
    """Write a page about an open incident as plain text. Raises KeyError for an incident or a person that is not there.

    host, folder: where what it suggests is to be typed.
    """
    incident, person = state.incidents[page.incident], state.rota().people[page.person]
    zone = UTC if person.zone == "UTC" else ZoneInfo(person.zone)
    finding = tell(what(incident), person.lang)
    short = one_line(tell(_short(state, incident, finding), person.lang, zone=zone), limit=SHORT)
    said = [tell(statement, person.lang, zone=zone) for statement in statements(state, page, incident, person, finding)]
    if host:
        said.append(tell(Statement(key="wake.where", values={"host": host, "folder": folder}), person.lang))
    text = "\n".join([short, "", *said]) + "\n"
    name = "-".join(part for part in (_study(state), "page", page.id) if part)
    document = {
        "page": page.id, "study": _study(state), "incident": incident.id, "subject": incident.subject, "person": page.person,
        "short": short, "text": text, "host": host, "folder": folder, "waiting_device_hours": page.waiting,
        "waking_device_hours": page.waking, "at": page.at,
    }  # fmt: skip
    return Letter(
        id=f"{_study(state)}-{page.id}-{page.at:.0f}", name="".join(c if c.isalnum() or c in "._-" else "-" for c in name),
        subject=short, text=text, html="", document=json.dumps(document, ensure_ascii=False),
    )  # fmt: skip


def statements(state: State, page: Page, incident: Incident, person: Person, finding: str) -> Iterable[Statement]:
    """What it says: what, since when, the numbers, what was tried, what happens by itself and when, one thing to do, why now."""
    yield Statement(key="wake.what", values={"subject": incident.subject, "finding": finding})
    since = {"opened_at": incident.opened_at, "step": incident.since}
    yield Statement(key="wake.since_step" if incident.since >= 0 else "wake.since", values=since)
    yield from map(evidence, incident.findings[-NUMBERS:])
    yield from map(layer, incident.layers[:NUMBERS])
    for line in incident.evidence[:MOST] if not incident.findings else ():
        yield Statement(key="wake.evidence", values={"evidence": line})
    yield from _tried(incident)
    yield from _what_next(state, incident)
    yield _why_now(page)
    if page.reminder:
        yield Statement(key="wake.reminder", values={"incident": incident.id})
    price = state.study.budget.usd_per_device_s if state.study is not None else None
    if price is not None:
        yield Statement(key="wake.price", values={"cost_usd": page.waiting * 3600.0 * price})
    yield Statement(key="wake.who", values={"person_word": named(person.name), "study": _study(state)})


def _short(state: State, incident: Incident, finding: str) -> Statement:
    question = waiting(state, incident)
    values = {
        "study": _study(state), "subject": incident.subject, "finding": finding,
        "suggested_word": f"remedy_{question.suggested}" if question is not None else "remedy_look",
    }  # fmt: skip
    return Statement(key="wake.short_drill" if incident.drill else "wake.short", values=values)


def _tried(incident: Incident) -> Iterable[Statement]:
    for act in incident.acts[-MOST:]:
        values = {"remedy_word": f"remedy_{act.remedy}", "when_at": act.at, "outcome_word": outcome(act)}
        yield Statement(key="wake.tried", values=values)
    if not incident.acts:
        yield Statement(key="wake.tried_nothing")


def _what_next(state: State, incident: Incident) -> Iterable[Statement]:
    question = waiting(state, incident)
    if question is None:
        yield Statement(key="wake.nothing_by_itself")
        yield Statement(key="wake.look", values={"incident": incident.id})
        return
    default = {"default_word": f"remedy_{question.default}", "deadline_at": question.deadline_at}
    yield Statement(key="wake.held" if question.answer else "wake.default", values=default)
    suggested = {"suggested_word": f"remedy_{question.suggested}", "option": question.suggested, "incident": incident.id}
    yield Statement(key="wake.suggested", values=suggested)


def _why_now(page: Page) -> Statement:
    values = {
        "waiting": rough(page.waiting), "waking": rough(page.waking), "awake_at": page.awake_at,
        "biggest_word": f"biggest_{page.biggest}",
    }  # fmt: skip
    return Statement(key="wake.why_dear" if page.because == "dear" else "wake.why_awake", values=values)


def _study(state: State) -> str:
    return state.study.name if state.study is not None else ""

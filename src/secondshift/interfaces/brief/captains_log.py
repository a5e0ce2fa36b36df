"""What the captain did in a shift: one line for each incident, what it asks, and what it hands over."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.incidents import Known, asking, cause, ended, ordered, shape, standing
from secondshift.interfaces.readmodel.objectives import names
from secondshift.records.answers import waiting
from secondshift.records.nights import Statement
from secondshift.records.states import State

MOST_HANDED = 12


def logged(known: Known, state: State) -> Statement:
    """One incident in one line: what, what was done, how it ended or stands."""
    how = {"ended_word": ended(known), "state_word": f"state_{standing(known, state)}"}
    key = "incidents.captain_closed" if known.outcome else "incidents.captain_open"
    return Statement(key=key, values={**shape(known.incident), **how}, facts=tuple(known.facts))


def questions(night: Trace, state: State) -> Iterable[Statement]:
    """What waits for a person: each with a suggestion, the default and its deadline."""
    for known in ordered(night.met(), state):
        question = None if known.outcome else waiting(state, known.incident)
        if question is not None:
            asked = asking(known.incident, question)
            key = "incident.asks_over" if night.ended and asked.key == "incident.asks" else asked.key
            yield Statement(key=key, values=asked.values, facts=tuple(known.facts))


def handover(night: Trace, state: State) -> Iterable[Statement]:
    """What whoever comes next has to know: what is open, what was tried, what to look at first."""
    met = [known for known in ordered(night.met(), state) if known.incident.cause]
    left = [known for known in met if not known.outcome]
    for known in left[:MOST_HANDED]:
        yield Statement(key="handover.open", values=_look(known), facts=tuple(known.facts))
    given_up = [known for known in met if known.outcome and ended(known) == "ended_not_retried"]
    doubtful = [known for known in met if known.outcome and _doubtful(known)]
    closed = [("handover.given_up", known) for known in given_up] + [("handover.doubtful", known) for known in doubtful]
    for key, known in closed[: max(0, MOST_HANDED - len(left))]:
        yield Statement(key=key, values=_look(known), facts=tuple(known.facts))
    if (more := len(left) + len(closed) - MOST_HANDED) > 0:
        facts = tuple(known.opened for known in (*left, *(known for _, known in closed))[MOST_HANDED:])
        yield Statement(key="handover.more", values={"n": more}, facts=facts)
    helped = [trial for trial in state.trials.values() if trial.assisted and trial.id in night.trials]
    if helped:
        facts = tuple(sorted({seq for known in met if known.incident.acts for seq in known.facts})) or (night.started,)
        yield Statement(key="handover.assisted", values={"n": len(helped), "trials": names(helped)}, facts=facts)


def _doubtful(known: Known) -> bool:
    """Say whether a trial ended while a person was still being asked about it: its result is in doubt."""
    return known.incident.question() is not None


def _look(known: Known) -> dict[str, str | int | float]:
    return {**shape(known.incident), "look_word": cause(known.incident).replace("cause_", "look_", 1)}

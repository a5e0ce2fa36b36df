"""What an answer to an incident's question has to be: the window that takes it and the captain who acts on it ask here."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from secondshift.records.incidents import Incident, Question

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State


def refusal(state: State, incident: str, answer: str) -> str:
    """Say why an incident cannot be answered so, and what can be; empty where it can."""
    found = state.incidents.get(incident)
    if found is None:
        return _missing(state, incident)
    question = waiting(state, found)
    if question is None:
        return _settled(found)
    if answer not in question.options:
        near = get_close_matches(answer, question.options, n=1)
        meant = f" Is {near[0]} meant?" if near else ""
        return f"{answer or 'nothing'} is no answer to {incident}. Expected one of {', '.join(question.options)}.{meant}"
    return ""


def waiting(state: State, incident: Incident) -> Question | None:
    """The question that a person may answer now: the open one, or the last of a trial that is held until somebody decides."""
    trial = state.trials.get(incident.subject)
    held = trial is not None and trial.held == incident.id and incident.pending() is None
    return incident.question() or (incident.questions[-1] if held and incident.questions else None)


def _missing(state: State, incident: str) -> str:
    number = incident.removeprefix("i")
    if number.isdecimal() and incident.startswith("i") and 0 < int(number) <= state.incidents_seen:
        return f"{incident} is over, so there is nothing to answer. `secondshift show {incident}` tells how it ended"
    asking = [found.id for found in state.incidents.values() if waiting(state, found) is not None]
    open_ones = f"Those that wait for an answer: {', '.join(asking)}" if asking else "None waits for an answer"
    return f"there is no incident {incident or 'without a name'}. {open_ones}"


def _settled(incident: Incident) -> str:
    if incident.questions:
        last = incident.questions[-1]
        who = "nobody in time, so its default" if last.answered_by == "default" else last.answered_by
        return f"{incident.id} was answered already: {last.answer}, by {who}"
    return f"{incident.id} asks nothing: {incident.action or 'it is only noted'}"

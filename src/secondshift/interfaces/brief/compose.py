"""Compose a brief: pure. Facts and state in, statements out; each statement carries the facts it rests on."""

from collections.abc import Iterable

from secondshift.interfaces.brief.audits import audited
from secondshift.interfaces.brief.captains_log import handover
from secondshift.interfaces.brief.found import found, unproven
from secondshift.interfaces.brief.ideas import ideas, unproven_ideas
from secondshift.interfaces.brief.sleep import sleep
from secondshift.interfaces.brief.spent import spent
from secondshift.interfaces.brief.standing import not_proved
from secondshift.interfaces.brief.trace import Trace, trace
from secondshift.interfaces.brief.troubles import failed, incidents, needs_you
from secondshift.interfaces.brief.wrong import wrong
from secondshift.interfaces.readmodel.objectives import as_judged
from secondshift.records.events import AttemptOrdered, Event, RequestReceived
from secondshift.records.nights import Brief, Section, Statement
from secondshift.records.states import State
from secondshift.records.studies import Objective


def compose(state: State, events: Iterable[Event], objective: Objective, shift: str, *, written_at: float) -> Brief:
    """Say what happened in a shift, and nothing else.

    `state` is the fold of the facts up to the shift's end (or up to now while it goes on), `events` are those facts
    in order, `written_at` is UTC seconds. A shift of which nothing is recorded gives a brief that says so.
    """
    return compose_traced(as_judged(state), trace(events, shift, objective), objective, shift, written_at=written_at)


def compose_traced(state: State, night: Trace, objective: Objective, shift: str, *, written_at: float) -> Brief:
    """Say what happened in a shift whose facts have been traced already."""
    sections = (
        Section(key="section.night", statements=tuple(_night(night, state))),
        Section(key="section.needs_you", statements=tuple(needs_you(night, state))),
        Section(key="section.ideas", statements=tuple(ideas(night, state))),
        Section(key="section.found", statements=tuple(found(night, state, objective))),
        Section(key="section.failed", statements=tuple(failed(night, state))),
        Section(key="section.spent", statements=tuple(spent(night, state))),
        Section(key="section.incidents", statements=tuple(incidents(night, state))),
        Section(key="section.handover", statements=tuple(handover(night, state))),
        Section(key="section.sleep", statements=tuple(sleep(night))),
        Section(key="section.wrong", statements=(*wrong(night, state, objective), *audited(night, state))),
        Section(key="section.unproven", statements=_unproven(night, state, objective)),
    )
    name = state.study.name if state.study else ""
    return Brief(study=name, shift=shift, written_at=written_at, sections=sections)


def _unproven(night: Trace, state: State, objective: Objective) -> tuple[Statement, ...]:
    return (*unproven(night, state, objective), *unproven_ideas(night, state), *not_proved(night, state))


def _night(night: Trace, state: State) -> Iterable[Statement]:
    if night.shift is None:
        yield Statement(key="night.unknown")
        return
    started_at = night.shift.started_at
    if night.ended:
        values = {"from_at": started_at, "to_at": night.ended_at, "length_s": night.ended_at - started_at}
        yield Statement(key="night.over", values=values, facts=(night.started, night.ended))
        yield Statement(key="night.reason", values={"reason": night.reason}, facts=(night.ended,))
    else:
        values = {"from_at": started_at, "length_s": max(0.0, night.last_at - started_at), "now_at": night.last_at}
        yield Statement(key="night.going_on", values=values, facts=(night.started, night.last))
    ran = tuple(e.seq for e in night.of(AttemptOrdered))
    if not ran:
        yield Statement(key="night.nothing_ran", facts=tuple(s for s in (night.started, night.ended) if s))
    asked = {e.fact.verb: e.seq for e in night.of(RequestReceived)}
    for verb, seq in asked.items():
        yield Statement(key="night.asked", values={"verb_word": verb}, facts=(seq,))

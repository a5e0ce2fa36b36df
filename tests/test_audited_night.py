"""Whole nights with audits: the real engine, crashes between the draw and the start, replays, and what the brief says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from secondshift.interfaces.brief.audits import audited
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.reasons import story, trial_events
from secondshift.ledger.fold import fold
from secondshift.policies.models import audits
from secondshift.records import events as facts
from secondshift.records.forecasts import Audit, Forecast
from secondshift.records.states import State
from secondshift.records.studies import Budget, Policy
from secondshift.replay import replay
from simulated_nights import Night, study


class Killed(BaseException):
    """The engine is dead from here on."""


def question(share: float = 0.05):
    """A night of about 45 full trainings of 27 steps."""
    return study(budget=Budget(device_s=45 * 27.0), policy=Policy(searcher="random", scheduler="halving", audit_share=share))


def begun(tmp_path) -> Night:
    (tmp_path / "spool/tmp").mkdir(parents=True)
    return Night(tmp_path, question())


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Night:
    """A night that nobody disturbs."""
    night = begun(tmp_path_factory.mktemp("night"))
    night.run()
    return night


def test_a_night_draws_trains_to_the_end_and_records_what_came_of_it(night: Night) -> None:
    state = night.engine.state
    drawn, over = night.payloads(facts.AuditDrawn), night.payloads(facts.AuditEnded)
    assert len(drawn) >= 2 and len(over) >= len(drawn) - 1
    for fact in drawn:
        assert 0 < fact.audit.probability <= 1 and fact.audit.population > 1
    for fact in over:
        assert state.trials[fact.audit.trial].status == "complete" and fact.audit.outcome == "ended"
    assert audits.audited_s(state) <= 0.05 * question().budget.device_s  # type: ignore[operator]  # it is capped


def test_the_draw_is_recorded_before_the_trial_starts_again(night: Night) -> None:
    events = list(night.ledger.read())
    for event in events:
        if isinstance(event.payload, facts.AuditDrawn):
            trial = event.payload.audit.trial
            ordered = [e.seq for e in events if isinstance(e.payload, facts.AttemptOrdered) and e.payload.trial == trial]
            assert ordered[-1] > event.seq


def test_a_night_with_audits_replays_to_identical_decisions(night: Night) -> None:
    report = replay(night.ledger)
    assert report.holds, report


def test_another_recorded_probability_does_not_replay(night: Night) -> None:
    from secondshift.ledger.memory import MemoryLedger

    twin = MemoryLedger()
    twin._events = [
        replace(e, payload=replace(e.payload, audit=replace(e.payload.audit, probability=0.5))) if e.kind == "audit.drawn" else e
        for e in night.ledger.read()
    ]
    twin._subjects = list(night.ledger._subjects)  # type: ignore[attr-defined]  # the twin in memory
    twin._rows = {key: list(rows) for key, rows in night.ledger._rows.items()}  # type: ignore[attr-defined]
    twin._order = list(getattr(night.ledger, "_order", []))
    assert not replay(twin).holds


@pytest.mark.parametrize("when", ["before the draw is recorded", "after the draw", "after the start is ordered"])
def test_an_engine_that_is_killed_there_leaves_an_audit_that_the_next_one_carries_through(tmp_path, when: str) -> None:
    night = begun(tmp_path)
    record = night.engine.record

    def dying(payloads, batches=()) -> None:
        drawn = any(isinstance(p, facts.AuditDrawn) for p in payloads)
        names = set(night.engine.state.audits)
        ordered = any(isinstance(p, facts.AttemptOrdered) and p.trial in names for p in payloads)
        if drawn and when == "before the draw is recorded":
            raise Killed
        record(payloads, batches)
        if (drawn and when == "after the draw") or (ordered and when == "after the start is ordered"):
            raise Killed

    night.engine.record = dying
    with pytest.raises(Killed):
        night.run()
    night.take_over(fold(State(), night.ledger.read()))
    state = night.run()
    first = night.payloads(facts.AuditDrawn)[0].audit
    assert sum(fact.audit.trial == first.trial for fact in night.payloads(facts.AuditDrawn)) == 1, "it was drawn twice"
    assert state.trials[first.trial].status == "complete" and state.audits[first.trial].outcome == "ended"
    assert audits.audited_s(state) <= 0.05 * 45 * 27.0
    assert replay(night.ledger).holds


def told(night: Night, lang: str, change: Callable[[facts.Event], facts.Event] = lambda event: event) -> list[str]:
    events = [change(event) for event in night.ledger.read()]
    state = fold(State(), events)
    assert state.study is not None
    brief = compose(state, events, state.study.objective, "s1", written_at=0.0)
    (section,) = (one for one in brief.sections if one.key == "section.wrong")
    kinds = {event.seq: event.kind for event in events}
    for statement in section.statements:
        assert {kinds[seq] for seq in statement.facts} >= {"audit.drawn"}, "it rests on no draw"
    return [tell(statement, lang) for statement in section.statements]


def test_the_brief_says_how_many_of_how_many_were_tried_and_what_it_cost_to_stop(night: Night) -> None:
    over = [fact.audit for fact in night.payloads(facts.AuditEnded)]
    total = over[-1].population + len(over) - 1
    assert told(night, "en")[0] == (
        f"Of {total} trials that were given up, {len(over)} were trained to their end after all, chosen by chance: "
        "none ended better than the best of all others."
    )
    assert f"{total}개 가운데" in told(night, "ko")[0]

    def lucky(event: facts.Event) -> facts.Event:
        if isinstance(event.payload, facts.AuditEnded):
            return replace(event, payload=replace(event.payload, audit=replace(event.payload.audit, regret=0.25)))
        return event

    assert f"{len(over)} ended better" in told(night, "en", lucky)[0] and "cost 0.25 on average" in told(night, "en", lucky)[0]


@pytest.mark.parametrize(("count", "said"), [(4, False), (5, True)])
def test_nothing_is_said_of_all_forecasts_while_fewer_than_five_were_audited(night: Night, count: int, said: bool) -> None:
    state = night.engine.state
    forecast = Forecast(trial="", step=9, horizon=27, low=0.0, middle=0.5, high=1.0, by="outlook")
    names = [t.id for t in state.trials.values() if t.status != "complete"][:count]
    found = {
        name: Audit(trial=name, number=n, probability=0.1, population=10, forecast=forecast, outcome="ended", value=0.5)
        for n, name in enumerate(names, 1)
    }
    own = {t.id: (forecast,) for t in state.trials.values() if t.status == "complete"}
    told = list(audited(Trace(audits=[1]), replace(state, audits=found, forecasts=own)))
    assert ("audit.coverage" in [one.key for one in told]) == said and "audit.held" in [one.key for one in told]


def test_the_story_of_an_audited_trial_says_how_probably_it_was_drawn(night: Night) -> None:
    fact = night.payloads(facts.AuditDrawn)[0]
    said = [tell(one, "en") for one in story(trial_events(night.ledger, fact.audit.trial))]
    assert any(f"drawn by chance of {fact.audit.population} trials that were given up" in one for one in said)
    assert any("no better than the best of all others" in one for one in said)

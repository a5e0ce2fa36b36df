"""The captain's loop on simulated nights: what is found becomes one incident, an act, and a judged end, and replays."""

from dataclasses import replace

import numpy as np
import pytest

import simulated_nights
from secondshift.records import events as facts
from secondshift.records.studies import Budget, Launch, Policy
from secondshift.replay import replay
from secondshift.runtime.executors.simulated import Mishap
from simulated_nights import Night, acknowledging, falling, raised, study

ALL = ("retry_infrastructure", "pause", "stop_non_finite", "roll_back", "roll_back_skip", "roll_back_lower_rate", "restart")
STEPS, ONSET = 1200, 500


def near(step: int) -> bool:
    """Whether a step is the onset, or in the block of eight points before it."""
    return ONSET - 8 < step <= ONSET


def shard(order) -> dict[str, np.ndarray]:
    """A bad shard in t1, which is gone once its steps are skipped."""
    return raised(order, steps=STEPS, onset=ONSET, skipped=True)


def for_good(order) -> dict[str, np.ndarray]:
    """Wrong labels in t1: nothing helps."""
    return raised(order, steps=STEPS, onset=ONSET, skipped=False)


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Make a night on a curve, with an authority; directives are acknowledged as a cooperating script would."""

    def make(curve, may=ALL, mishaps=None, **changes):
        monkeypatch.setattr(simulated_nights, "curve", curve)
        (tmp_path / "spool/tmp").mkdir(parents=True)
        question = study(
            horizon_steps=STEPS, budget=Budget(trials=2), policy=Policy(searcher="random", scheduler="fifo"), may=may,
            launch=Launch(slots=2, checkpoint_every_s=60), **changes,
        )  # fmt: skip
        return acknowledging(Night(tmp_path, question, slots=2, mishaps=mishaps))

    return make


def test_a_bad_shard_is_rolled_back_to_before_its_first_sign_and_skipped_and_that_is_judged(night):
    played = night(shard)
    state = played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.subject == "t1" and opened.incident.cause == "bad_data"
    assert opened.incident.before.metric == "loss" and 0.5 < opened.incident.before.value < 1.0
    (helped,) = played.payloads(facts.TrialHelped)
    assert helped.act.remedy == "roll_back_skip" and helped.act.back_to < helped.act.skip[0][0]
    assert helped.act.needs in ALL
    again = [fact for fact in played.payloads(facts.AttemptOrdered) if fact.trial == "t1"][1]
    assert again.from_step <= ONSET and near(again.directives.skip[0][0])
    aside = [fact for fact in played.payloads(facts.CheckpointPruned) if "set aside" in fact.reason]
    assert aside and all(fact.step > helped.act.back_to for fact in aside)
    (closed,) = played.payloads(facts.IncidentClosed)
    assert "was" in closed.outcome and state.trials["t1"].assisted and not state.trials["t2"].assisted
    last = played.payloads(facts.IncidentAmended)[-1].incident
    assert last.acts[0].outcome == "worked" and last.acts[0].undo
    assert replay(played.ledger).holds


def test_two_tries_that_did_not_help_end_in_a_question_with_a_default_and_a_deadline(night):
    played = night(for_good, answer_within_s=60.0)
    played.run()
    helped = played.payloads(facts.TrialHelped)
    assert [fact.act.remedy for fact in helped] == ["roll_back_skip", "roll_back_lower_rate", "pause"]
    incidents = [fact.incident for fact in played.payloads(facts.IncidentAmended)]
    assert [act.outcome for act in incidents[-1].acts] == ["failed", "failed", "worked"]
    question = next(incident.question() for incident in incidents if incident.question())
    assert question.default == "pause" and question.deadline_at - question.asked_at == 60.0
    assert incidents[-1].questions[0].answered_by == "default"
    assert replay(played.ledger).holds


def test_what_was_not_granted_is_asked_and_never_done(night):
    played = night(for_good, may=("retry_infrastructure", "stop_non_finite"))
    played.run()
    assert all(fact.act.remedy == "leave" for fact in played.payloads(facts.TrialHelped))
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.rung == "ask" and opened.incident.questions[0].default == "leave"
    assert len([fact for fact in played.payloads(facts.AttemptOrdered) if fact.trial == "t1"]) == 1


def test_the_authority_is_enforced_where_decisions_are_arbitrated():
    from secondshift.arbitrate import arbitrate
    from secondshift.records.decisions import stop
    from secondshift.records.nights import Shift
    from secondshift.records.states import State
    from secondshift.records.trials import Trial

    trial = Trial(id="t1", candidate="c1", seed=0, status="paused")
    state = State(study=study(), shift=Shift(id="s1", started_at=0.0, may=("pause",)), trials={"t1": trial})
    wish = replace(stop("t1", reason="it is NaN", by="captain", source="captain"), needs="stop_non_finite")
    (dropped,) = arbitrate(state, [wish])
    assert isinstance(dropped, facts.DecisionDropped) and "does not grant stop_non_finite" in dropped.reason
    asked = replace(wish, source="person")
    assert any(isinstance(fact, facts.TrialClosed) for fact in arbitrate(state, [asked]))


def test_a_script_that_never_says_that_it_did_what_it_was_asked_is_an_incident_of_its_own(night):
    played = night(shard)
    played.engine.record = type(played.engine).record.__get__(played.engine)  # nobody acknowledges anything
    played.run()
    amended = [fact.incident for fact in played.payloads(facts.IncidentAmended)]
    assert any(incident.cause == "remedy_not_applied" for incident in amended)
    assert any("not applied" in fact.why for fact in played.payloads(facts.IncidentAmended))


def test_a_trial_that_fails_by_its_own_error_is_not_tried_again(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps={"t1": [Mishap(kind="fail", at_step=100, attempt=0)]})
    state = played.run()
    assert state.trials["t1"].status == "failed"
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.closed.startswith("not tried again: it would fail in the same way")
    assert not played.payloads(facts.TrialReopened)


def test_a_segmentation_fault_at_the_same_step_again_is_not_tried_a_third_time(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps={"t1": [Mishap(kind="crash", at_step=100, attempt=0)]})
    played.run()
    assert len(played.payloads(facts.IncidentOpened)) == 1, "one trouble, however often it is tried"
    (closed,) = played.payloads(facts.IncidentClosed)
    assert closed.outcome.startswith("not tried again: it would fail in the same way")
    (act,) = played.payloads(facts.IncidentAmended)[-1].incident.acts
    assert (act.remedy, act.outcome) == ("retry", "failed") and "again at step" in act.seen
    assert replay(played.ledger).holds


def lost(*attempts: int, at: int = 100) -> dict[str, list[Mishap]]:
    """The machine of t1 is lost in these attempts, each time at the same step."""
    return {"t1": [Mishap(kind="lost", at_step=at, attempt=number) for number in attempts]}


def test_a_retry_worked_once_the_run_has_come_further_and_not_when_it_was_ordered(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps=lost(1))
    state = played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert not opened.incident.closed and opened.incident.pending() is not None and opened.incident.acts[0].after == 0.0
    (amended,) = played.payloads(facts.IncidentAmended)
    assert amended.incident.acts[0].outcome == "worked" and "past step" in amended.incident.acts[0].seen
    assert len(played.payloads(facts.IncidentClosed)) == 1 and state.trials["t1"].status == "complete"
    assert not state.trials["t1"].rests and replay(played.ledger).holds


def test_what_failed_twice_waits_before_it_is_tried_again_and_the_shift_waits_with_it(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps=lost(1, 2, at=STEPS - 10))
    state = played.run()
    events = list(played.ledger.read())
    began = {e.payload.attempt: e.at for e in events if isinstance(e.payload, facts.AttemptOrdered)}
    ended = {e.payload.attempt: e.at for e in events if isinstance(e.payload, facts.AttemptEnded)}
    assert began["t1.a2"] - ended["t1.a1"] < 10.0 <= 60.0 <= began["t1.a3"] - ended["t1.a2"] < 90.0
    assert ended["t2.a1"] < began["t1.a3"], "nothing else kept the shift going"
    assert state.trials["t1"].status == "complete" and len(played.payloads(facts.IncidentOpened)) == 1
    (first, second) = played.payloads(facts.IncidentAmended)[-1].incident.acts
    assert (first.outcome, second.outcome, second.rested) == ("failed", "worked", True)
    assert replay(played.ledger).holds


def test_after_two_tries_that_came_no_further_it_is_given_up(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps=lost(0))
    state = played.run()
    assert [fact.attempt for fact in played.payloads(facts.AttemptOrdered) if fact.trial == "t1"] == ["t1.a1", "t1.a2", "t1.a3"]
    assert state.trials["t1"].status == "failed" and len(played.payloads(facts.IncidentOpened)) == 1
    (closed,) = played.payloads(facts.IncidentClosed)
    assert closed.outcome == "not tried again: it was tried 2 times"
    assert [act.outcome for act in played.payloads(facts.IncidentAmended)[-1].incident.acts] == ["failed", "failed"]


def test_a_run_that_falls_silent_is_restarted_within_five_of_its_longest_gaps(night):
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps={"t1": [Mishap(kind="hang", at_step=300)]})
    state = played.run()
    (helped,) = played.payloads(facts.TrialHelped)
    assert helped.act.remedy == "restart" and state.trials["t1"].status == "complete"
    seen = next(fact for fact in played.payloads(facts.SymptomSeen) if fact.findings[0].symptom == "silence")
    evidence = seen.findings[0].evidence
    assert evidence["silent_s"] <= 5.0 * evidence["longest_normal_gap_s"]
    assert replay(played.ledger).holds


def test_an_engine_that_was_killed_takes_up_the_detectors_where_they_were(night):
    played = night(shard)
    played.engine.begin(None)
    while not played.payloads(facts.SymptomSeen):
        if not played.engine.tick():
            played.host.sleep(0.5)
    played.take_over(played.engine.state)
    played.run()
    assert played.payloads(facts.TrialHelped)[0].act.back_to <= ONSET
    seen = [
        (one.symptom, one.step, one.lasted)
        for fact in played.payloads(facts.SymptomSeen) if fact.trial == "t1" and fact.attempt == "t1.a1"
        for one in fact.findings
    ]  # fmt: skip
    assert len(seen) == len(set(seen)), "a finding was recorded twice"
    assert replay(played.ledger).holds


def test_what_a_run_shows_while_its_retry_is_not_judged_yet_is_an_incident_of_its_own(night):
    mishaps = {"t1": [Mishap(kind="lost", at_step=100, attempt=1), Mishap(kind="nan", at_step=60, attempt=2)]}
    played = night(lambda order: {"loss": falling(1, STEPS)}, mishaps=mishaps)
    played.run()
    causes = [fact.incident.cause for fact in played.payloads(facts.IncidentOpened)]
    assert causes[:2] == ["node_lost", "bad_numbers"] and replay(played.ledger).holds

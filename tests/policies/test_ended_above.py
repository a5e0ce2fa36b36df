"""A trial that came to its own end above the best it had is asked about once, though its process is gone; nothing waits for it."""

from array import array
from dataclasses import replace

import numpy as np
import pytest

import simulated_nights
from secondshift.interfaces.brief.captains_log import handover
from secondshift.interfaces.brief.trace import trace
from secondshift.policies.captain import incidents
from secondshift.policies.captain.verifying import outcome_of
from secondshift.policies.captain.watchkeeping import Watchkeeper
from secondshift.policies.oncall.stakes import stakes
from secondshift.policies.oncall.waking import Trouble
from secondshift.records import events as facts
from secondshift.records.incidents import Act, Care, Finding, Incident
from secondshift.records.nights import Shift
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Policy, Study
from secondshift.records.trials import Exit, Trial
from secondshift.replay import replay
from simulated_nights import Night, falling, study

STEPS, ONSET = 1200, 1160
STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=400)


def rising_at_its_end(order) -> dict[str, np.ndarray]:
    """t1 is lost in its last forty steps: too few for a rise to have lasted."""
    loss = falling(int(order.trial[1:]), STEPS)
    if order.trial == "t1":
        loss[ONSET:] += 0.8
    return {"loss": loss}


@pytest.fixture
def played(tmp_path, monkeypatch) -> Night:
    monkeypatch.setattr(simulated_nights, "curve", rising_at_its_end)
    (tmp_path / "spool/tmp").mkdir(parents=True)
    question = study(
        horizon_steps=STEPS, budget=Budget(trials=2), policy=Policy(searcher="random", scheduler="fifo"),
        may=("retry_infrastructure", "pause", "stop_non_finite", "roll_back"), launch=Launch(slots=2, checkpoint_every_s=60),
    )  # fmt: skip
    night = Night(tmp_path, question, slots=2)
    night.run()
    return night


def test_the_night_asks_once_about_a_trial_that_ended_above_its_best_and_holds_nothing_for_it(played):
    (opened,) = played.payloads(facts.IncidentOpened)
    incident = opened.incident
    assert (incident.subject, incident.rung, incident.attempt) == ("t1", "ask", "t1.a1")
    assert incident.questions[0].options == ("leave",) and incident.closed and not incident.acts
    state = played.engine.state
    assert not state.incidents and not state.care and not state.pages
    assert state.trials["t1"].status == "complete" and state.trials["t1"].attempts == 1
    assert replay(played.ledger).holds


def test_the_handover_says_that_its_result_is_in_doubt(played):
    state = played.engine.state
    said = list(handover(trace(played.ledger.read(), "s1", state.study.objective), state))
    assert [(one.key, one.values["trial"]) for one in said] == [("handover.doubtful", "t1")]


def leaving(status: str, *, whole: bool = False) -> list[Finding]:
    """What a keeper tells of a trial whose loss rose in the last of 300 steps, or of all 400, and whose process is gone."""
    count = 400 if whole else 300
    values = falling(1, count)
    values[count - 30 :] += 0.8
    keeper = Watchkeeper()
    batch = Batch(trial="t1", attempt="t1.a1", metric="loss", steps=array("q", range(count)), values=array("d", values))
    logged = facts.MetricsLogged(attempt="t1.a1", trial="t1", fragment="f", start=0, end=1, points=count, crc=0)
    ended = facts.AttemptEnded(attempt="t1.a1", exit=Exit(code=0))
    events = [
        facts.Event(seq=number, at=0.0, token=1, kind=kind, payload=fact)
        for number, (kind, fact) in enumerate([("metrics.logged", logged), ("attempt.ended", ended)], 1)
    ]
    keeper.take(STUDY, events, [batch])
    state = State(study=STUDY, trials={"t1": Trial(id="t1", candidate="c1", seed=0, status=status)})
    told = []
    for _ in range(2):
        look = keeper.looks(state).get("t1")
        told += [one for one in look.findings if one.evidence.get("ended")] if look else []
        keeper.told()
    return told


def test_a_trial_that_stops_before_its_horizon_is_judged_once_where_it_stands():
    (found,) = leaving("complete")
    assert (found.symptom, found.step) == ("slow_divergence", 299)
    assert len(leaving("complete", whole=True)) == 1


@pytest.mark.parametrize("status", ["stopped", "paused", "failed"])
def test_a_trial_that_did_not_come_to_its_own_end_is_not_judged_there(status):
    assert leaving(status) == []


def test_the_end_of_a_trial_that_a_new_engine_never_met_has_it_read_from_its_beginning():
    ended = facts.AttemptEnded(attempt="t7.a2", exit=Exit(code=0))
    event = facts.Event(seq=9, at=0.0, token=1, kind="attempt.ended", payload=ended)
    assert Watchkeeper().unknown([event]) == ["t7"]


def found(confidence: float, **evidence: float) -> Finding:
    return Finding(symptom="slow_divergence", stream="loss", step=399, since=370, lasted=30, confidence=confidence,
                   evidence=evidence)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "finding", "asks"),
    [
        ("complete", found(0.9, ended=1.0), True),
        ("complete", found(0.5, ended=1.0), False),
        ("complete", found(0.9), False),
        ("stopped", found(0.9, ended=1.0), False),
        ("failed", found(0.9, ended=1.0), False),
    ],
)
def test_only_a_sure_end_above_the_best_of_a_complete_trial_is_asked_about(status, finding, asks):
    trial = Trial(id="t1", candidate="c1", seed=0, status=status, attempts=2)
    state = State(study=STUDY, shift=Shift(id="s1", started_at=0.0), trials={"t1": trial},
                  care={"t1": Care(seen=(finding,), count=1)})  # fmt: skip
    assert [one.verb for one in incidents.decide(state)] == (["open"] if asks else [])


def test_a_trial_that_is_over_puts_nothing_at_stake_though_devices_are_free():
    trial = Trial(id="t1", candidate="c1", seed=0, status="complete")
    state = State(study=STUDY, trials={"t1": trial}, free_devices=("gpu-0",))
    incident = Incident(id="i1", subject="t1", finding="t1: diverging.", cause="diverging", rung="ask")
    assert stakes(state, incident) == Trouble()
    waiting = replace(state, trials={"t1": replace(trial, status="paused")})
    assert stakes(waiting, incident).idle_devices == 1.0


def test_a_remedy_did_not_work_where_its_trial_ended_above_its_best():
    state = State(study=STUDY, trials={"t1": Trial(id="t1", candidate="c1", seed=0, status="complete")})
    act = Act(remedy="roll_back", reason="r", by="captain")
    incident = Incident(id="i1", subject="t1", finding="f", cause="bad_data", acts=(act,))
    judged = outcome_of(state, incident, act, [found(0.9, ended=1.0)])
    assert judged is not None and judged[0] == "failed"
    assert outcome_of(state, incident, act, []) == ("worked", "t1 came to its end")

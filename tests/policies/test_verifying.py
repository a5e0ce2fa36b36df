"""How an act is judged: by the level from before the incident and by what the script said, never by an attempt that is over."""

from dataclasses import replace

import pytest

from secondshift.ledger.fold import fold
from secondshift.policies.captain.verifying import WORSE, outcome_of
from secondshift.records import events as facts
from secondshift.records.incidents import Act, Care, Finding, Incident, Level, Look
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial
from simulated_nights import study

BEFORE = Level(metric="loss", step=500, value=1.0, noise=0.02)
ACT = Act(remedy="roll_back", reason="r", by="captain", attempt="t1.a1", back_to=490)
INCIDENT = Incident(id="i1", subject="t1", finding="f", cause="bad_data", since=500, step=560, before=BEFORE, acts=(ACT,))
LATER = Attempt(id="t1.a2", trial="t1", number=2, status="running")


def state(level: float, *, step: int = 900, applied: tuple[str, ...] = (), rate: float = 0.0) -> State:
    """A trial in its second attempt, with its loss at `level`."""
    look = Look(level=replace(BEFORE, step=step, value=level, rate=rate))
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", attempts=2, logged_step=step)
    return State(
        study=study(horizon_steps=1200), trials={"t1": trial}, open={"t1": True}, attempts={"t1.a2": LATER},
        looks={"t1": look}, care={"t1": Care(applied=applied)}, incidents={"i1": INCIDENT},
    )  # fmt: skip


def test_a_run_that_stays_worse_than_before_has_not_been_helped_though_nothing_new_was_found():
    margin = WORSE * BEFORE.noise
    assert outcome_of(state(1.0 + 2 * margin), INCIDENT, ACT, ())[0] == "failed"
    assert outcome_of(state(1.0 + margin / 2), INCIDENT, ACT, ())[0] == "worked"
    assert outcome_of(state(1.5), INCIDENT, ACT, ())[0] == "failed", "half as much again is no noise, whatever the margin"


def test_where_more_is_better_a_fall_is_what_counts():
    question = replace(study(horizon_steps=1200), objective=replace(study().objective, goal="max"))
    fallen, risen = (replace(state(value), study=question) for value in (0.5, 1.5))
    assert outcome_of(fallen, INCIDENT, ACT, ())[0] == "failed" and outcome_of(risen, INCIDENT, ACT, ())[0] == "worked"


@pytest.mark.parametrize("step", [500, 560, 575])
def test_nothing_is_judged_before_the_run_has_passed_the_trouble(step):
    assert outcome_of(state(1.0, step=step), INCIDENT, ACT, ()) is None


def test_a_rate_that_was_to_be_lowered_is_read_back():
    act, incident = replace(ACT, remedy="roll_back_lower_rate", lr_scale=0.5), replace(INCIDENT, rate=0.1)
    said = {"applied": ("lr_scale",)}
    assert outcome_of(state(1.0, rate=0.1, **said), incident, act, ())[0] == "not applied"
    assert outcome_of(state(1.0, rate=0.05, **said), incident, act, ())[0] == "worked"
    assert outcome_of(state(1.0, rate=0.05), incident, act, ())[0] == "not applied", "it never said so"


@pytest.mark.parametrize(
    ("was", "usual", "scale", "now", "outcome"),
    [
        (0.1, 0.1, 0.5, 0.085, "not applied"),  # a cosine has gone on, and nothing was halved
        (0.1, 0.1, 0.5, 0.0425, "worked"),
        (10.0, 0.1, 0.01, 8.5, "not applied"),  # it leapt, and was to be set back
        (10.0, 0.1, 0.01, 0.085, "worked"),
        (0.1, 0.05, 0.5, 0.08, "worked"),  # a warm-up that was halved comes back by itself
        (0.1, 0.05, 0.5, 0.1, "not applied"),
    ],
)  # fmt: skip
def test_a_rate_is_read_back_while_its_schedule_goes_on(was, usual, scale, now, outcome):
    act = replace(ACT, remedy="roll_back_lower_rate", lr_scale=scale)
    incident = replace(INCIDENT, rate=was, before=replace(BEFORE, rate=usual))
    assert outcome_of(state(1.0, rate=now, applied=("lr_scale",)), incident, act, ())[0] == outcome


def test_what_was_found_in_an_attempt_that_is_over_does_not_count_against_the_next():
    found = Finding(symptom="step_up", stream="loss", step=561, since=500, lasted=64, confidence=0.9, evidence={})
    late = facts.SymptomSeen(trial="t1", attempt="t1.a1", findings=(found,))
    order = facts.AttemptOrdered(
        attempt="t1.a2", trial="t1", number=2, token=1, devices=("cpu-0",), from_step=490, until_step=1200, grant_s=60.0,
        decision="d1",
    )  # fmt: skip
    trial = Trial(id="t1", candidate="c1", seed=0, status="paused", attempts=1)
    events = [
        facts.Event(seq=n, at=0.0, token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate((late, order), 1)
    ]
    before = fold(State(study=study(), trials={"t1": trial}, open={"t1": True}), events[:1])
    assert before.care["t1"].unclaimed() == (found,)
    assert fold(before, events[1:]).care["t1"].unclaimed() == ()

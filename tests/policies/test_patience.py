"""A rise is undone before it is asked about: after 64 points where that is granted, else asked about when it will not go away."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.captain.early import lasting
from secondshift.policies.captain.incidents import decide
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import follow, start
from secondshift.policies.captain.symptoms.gradients import Gradients
from secondshift.policies.captain.symptoms.numbers import Numbers
from secondshift.records import events as facts
from secondshift.records.incidents import Care
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial
from secondshift.replay import replay
from simulated_nights import falling, on_curve, raised, study

STEPS, ONSET = 1200, 500
NOTHING = ("retry_infrastructure", "pause", "stop_non_finite")
GRANTED = (*NOTHING, "roll_back", "roll_back_skip", "roll_back_lower_rate")
RISE = Finding(symptom="step_up", stream="loss", step=700, since=576, lasted=128, confidence=0.9, evidence={"left": 0.9})


def told(values: list[float], *, announced: tuple[int, ...] = (), sign: float = 1.0) -> list[Finding]:
    """What was told of a metric at doubling lengths of its rises."""
    rows = [{"step": float(step), "loss": sign * value} for step, value in enumerate(values)]
    found = follow(start(goal="min" if sign > 0 else "max"), rows, announced=announced)[1]
    return [one for one in found if one.symptom == "step_up"]


def rising(height, *, at: int = 400, steps: int = 900) -> list[float]:
    """A curve that learned, with small even noise, and what `height` says of each point since the rise began."""
    wave = [0.02 * math.sin(step * 1.7) for step in range(steps)]
    return [0.5 + 2.0 * 0.99**step + wave[step] + (height(step - at) if step >= at else 0.0) for step in range(steps)]


def test_a_rise_of_64_points_is_undone_where_that_is_granted_and_asks_nobody_before_128():
    young = replace(RISE, step=640, lasted=64)
    assert (rung(young), lasting(young), rung(RISE)) == ("note", True, "ask")
    assert not lasting(replace(young, lasted=32)) and not lasting(replace(young, confidence=0.7))
    assert not lasting(replace(young, symptom="slow_divergence")), "one that creeps has no step to go back to"


@given(lasted=st.sampled_from([128, 256, 512, 1024]), left=st.floats(0.0, 0.5))
def test_a_rise_of_which_half_is_left_each_time_it_has_lasted_twice_as_long_is_never_asked_about(lasted, left):
    one = replace(RISE, since=RISE.step - lasted, lasted=lasted, evidence={"left": left})
    assert rung(one) == "note" and rung(replace(one, evidence={"left": 0.8})) == "ask"


def test_where_rises_came_back_before_one_that_is_coming_down_at_all_fast_is_given_time():
    slowly = {"left": 0.7, "came_back": 0.0}
    assert rung(replace(RISE, evidence=slowly)) == "ask" and rung(replace(RISE, evidence={**slowly, "came_back": 1.0})) == "note"
    assert rung(replace(RISE, evidence={"left": 0.9, "came_back": 9.0})) == "ask", "it stays, as none before it did"


def test_rises_of_two_blocks_and_more_that_went_away_are_counted():
    def height(since: int) -> float:
        return 1.0 if 0 <= since < 8 or 80 <= since < 104 or 200 <= since < 232 or since >= 360 else 0.0

    last = [(one.lasted, one.evidence["came_back"]) for one in told(rising(height)) if one.since >= 760]
    assert last[0] == (16, 2.0), "one block is no rise yet"


def test_a_rise_that_is_short_beside_the_run_so_far_is_given_twice_the_time():
    late = replace(RISE, step=5000, since=4876)
    assert rung(late) == "note" and lasting(late)
    assert rung(replace(late, since=4749, lasted=256)) == "ask"


def test_a_rise_of_few_points_that_fills_two_fifths_of_the_run_asks_unless_it_comes_down():
    short = Finding(symptom="step_up", stream="loss", step=111, since=48, lasted=64, confidence=0.75, evidence={"left": 1.0})
    assert rung(short) == "ask" and rung(replace(short, evidence={"left": 0.6})) == "note"
    assert rung(replace(short, step=161, since=98)) == "note", "what came before is longer than it by far"
    assert rung(replace(short, since=80, lasted=32)) == "note", "of few points nobody can say yet, and the end will be judged"


@settings(deadline=None, max_examples=25, derandomize=True)
@given(power=st.floats(0.0, 2.0), scale=st.integers(-15, 15), sign=st.sampled_from([1.0, -1.0]))
def test_what_is_left_of_a_rise_is_by_how_much_it_has_come_down_in_any_scale_and_direction(power, scale, sign):
    values = [2.0**scale * value for value in rising(lambda since: 3.0 * (1.0 + since) ** -power)]
    found = [one for one in told(values, sign=sign) if one.lasted >= 64]
    for one in found:
        assert one.evidence["left"] == pytest.approx(2.0**-power, abs=0.12)
    assert found or power > 0.5


def test_a_rise_that_stays_is_told_as_one_of_which_all_is_left():
    assert [(one.lasted, round(one.evidence["left"], 1)) for one in told(rising(lambda since: 1.0))][:4] == [
        (16, 1.0), (32, 1.0), (64, 1.0), (128, 1.0),
    ]  # fmt: skip


def test_a_rise_right_after_an_announced_change_is_expected_for_twice_as_long():
    values = rising(lambda since: 1.0 if since >= 40 else 0.0)
    asks = [one.lasted for one in told(values) if rung(one) == "ask"]
    planned = [one for one in told(values, announced=(400,)) if one.since >= 400]
    assert asks[0] == 128
    assert next(one.lasted for one in planned if lasting(one)) == 256 == next(one.lasted for one in planned if rung(one) == "ask")


def shard(order) -> dict[str, np.ndarray]:
    """A bad shard in t1, which is gone once its steps are skipped."""
    return raised(order, steps=STEPS, onset=ONSET, skipped=True)


def passing(order) -> dict[str, np.ndarray]:
    """A rise of eighty points in t1, which goes away by itself."""
    loss = falling(int(order.trial[1:]), STEPS)
    if order.trial == "t1":
        loss[ONSET : ONSET + 80] += 2.0
    return {"loss": loss}


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Make a night of two trials on a curve, with an authority."""
    return lambda curve, may: on_curve(tmp_path, monkeypatch, curve, steps=STEPS, may=may)


def test_where_nothing_is_granted_a_rise_that_goes_away_after_80_points_wakes_nobody(night):
    played = night(passing, NOTHING)
    state = played.run()
    assert not played.payloads(facts.IncidentOpened) and state.trials["t1"].status == "complete"
    assert any(lasting(one) for fact in played.payloads(facts.SymptomSeen) for one in fact.findings), "it was noted"


def test_where_nothing_is_granted_the_question_holds_what_would_have_been_undone(night):
    played = night(shard, NOTHING)
    played.run()
    incident = played.payloads(facts.IncidentOpened)[0].incident
    assert incident.rung == "ask" and ONSET + 120 <= incident.step and incident.questions
    assert [one.lasted for one in incident.findings if one.symptom == "step_up"][-2:] == [64, 128]
    assert not [fact for fact in played.payloads(facts.TrialHelped) if fact.act.back_to >= 0]
    assert replay(played.ledger).holds


def test_where_going_back_is_granted_it_is_done_after_64_points(night):
    played = night(shard, GRANTED)
    played.run()
    incident = played.payloads(facts.IncidentOpened)[0].incident
    assert incident.rung == "repair" and not incident.questions and ONSET + 56 <= incident.step <= ONSET + 72
    assert played.payloads(facts.TrialHelped)[0].act.remedy == "roll_back_skip"


@pytest.mark.parametrize(("logged", "acts"), [(660, 1), (763, 1), (765, 0)])
def test_a_rise_that_was_not_told_again_when_it_would_have_lasted_twice_as_long_is_over(logged, acts):
    rise = replace(RISE, step=670, since=577, lasted=64)
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", attempts=1, logged_step=logged)
    state = State(
        study=replace(study(horizon_steps=2000), tier="cooperative"), shift=Shift(id="s1", started_at=0.0, may=GRANTED),
        trials={"t1": trial}, open={"t1": True}, care={"t1": Care(seen=(rise,), count=1)},
        attempts={"t1.a1": Attempt(id="t1.a1", trial="t1", number=1, status="running")},
    )  # fmt: skip
    assert [decision.verb for decision in decide(state)] == ["repair"] * acts


def learning(values: list[float]) -> list[tuple[int, float]]:
    numbers = Numbers()
    found = [one for step, value in enumerate(values) for one in numbers.push(step, value)]
    return [(one.step, one.confidence) for one in found if one.symptom == "not_learning"]


def test_a_run_that_blew_up_and_stands_far_above_its_start_is_noted_though_it_comes_down():
    wave = [0.02 * math.sin(step * 1.7) for step in range(400)]
    values = [2.3 + (40.0 * 0.995**step if step >= 4 else 0.0) + wave[step] for step in range(400)]
    assert learning(values)[0] == (191, 0.5)
    assert not learning([2.3 - 0.005 * step + wave[step] for step in range(300)])


def test_a_run_that_blew_up_and_is_below_its_start_by_more_than_its_noise_is_not_asked_about():
    wave = [0.01 * math.sin(step * 1.7) for step in range(400)]
    blown = [2.0 + wave[step] if step < 4 else 2.0 + 30.0 * 0.7 ** (step - 4) + wave[step] for step in range(400)]
    assert learning(blown)[0] == (191, 0.85)
    assert learning([value - (0.1 if step > 60 else 0.0) for step, value in enumerate(blown)]) == [(383, 0.5)]


def test_one_success_among_the_first_of_many_failures_is_no_run_that_blew_up():
    assert learning([-1.0] + [0.0] * 190 + [0.0] * 210) == [(191, 0.5), (383, 0.5)]
    assert learning([-1.0, -1.0] + [0.0] * 398)[0] == (191, 0.85), "a metric without noise that got worse and stayed so"


def test_one_gradient_of_many_times_the_largest_is_told_where_gradients_spread_widely():
    spread = [math.exp(1.2 * math.sin(step * 2.3) + 0.5 * math.sin(step * 0.9)) for step in range(400)]

    def explosions(norms: list[float]) -> list[int]:
        memory = Gradients()
        found = [one for step, norm in enumerate(norms) for one in memory.push(step, norm, loss_finite=True, loss_fell=False)]
        return [one.step for one in found if one.symptom == "gradient_explosion"]

    assert explosions(spread) == []
    assert explosions([*spread, 25.0 * max(spread), *spread[:20]]) == [400]

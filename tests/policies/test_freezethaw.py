"""The freeze-thaw scheduler: who looks, who goes on, who is run to the end, and when it is over."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.forecasters import fitting
from secondshift.policies.models.proposals import SEARCH
from secondshift.policies.schedulers import budgets, freezethaw
from secondshift.policies.searchers import model
from secondshift.records.decisions import Decision
from secondshift.records.states import Spend, State
from secondshift.records.studies import Budget, Objective, Parameter, Space, Value
from secondshift.records.trials import Attempt
from secondshift.testing.simulated_nights import Night, play
from thawing_states import changed, queued, state, study

NUMBERS = st.one_of(st.integers(-32, 32).map(lambda n: n / 8), st.sampled_from([math.nan, math.inf]))
CURVES = st.lists(st.lists(NUMBERS, max_size=5), max_size=8)


def falling(floor: float, steps: int) -> list[float]:
    return [floor + 1.0 / (step + 1) for step in range(steps)]


def exhausted(asked: State) -> State:
    """The same when no more candidates will come."""
    return replace(asked, memos={**asked.memos, SEARCH: "1/model: every distinct point of the search space has been proposed"})


def starts(asked: State) -> list[Decision]:
    return [one for one in freezethaw.decide(asked) if one.verb == "start"]


def by_x(params: Mapping[str, Value], step: int) -> float:
    """A loss that falls to a floor set by how far x is from 0.3."""
    return abs(float(params["x"]) - 0.3) + 1.0 / (step + 1)


def night(curve: Any = by_x, **given: Any) -> Night:  # Any: as play has them
    asked = study(**{"horizon_steps": 30, "budget": Budget(device_s=150.0), **given.pop("asked", {})})
    deciders = [fitting.decide, freezethaw.decide, model.decide, budgets.decide]
    return play(asked, deciders, curve=curve, **{"tick_s": 1.0, "stride": 1, "slots": 1, "ticks": 3000, **given})


@settings(derandomize=True, deadline=None, max_examples=60)
@given(curves=CURVES, slots=st.integers(1, 5), more=st.integers(0, 5), no_more=st.booleans())
def test_never_more_is_started_than_there_are_slots_and_nothing_twice(
    curves: list[list[float]], slots: int, more: int, no_more: bool
) -> None:
    asked = queued(state(study(), curves, slots=slots), more)
    asked = exhausted(asked) if no_more else asked
    begun = starts(asked)
    assert len(begun) <= slots
    assert len({one.subject for one in begun}) == len(begun)
    for one in begun:
        assert asked.trials[one.subject].steps_done < one.until_step <= 100
        assert one.reason.endswith(".") and str(one.until_step) in one.reason


@settings(derandomize=True, deadline=None, max_examples=60)
@given(curves=CURVES, slots=st.integers(1, 5))
def test_a_free_slot_is_never_left_idle_while_more_candidates_may_come(curves: list[list[float]], slots: int) -> None:
    asked = state(study(), curves, slots=slots)
    proposed = [one for one in model.decide(asked) if one.verb == "propose"]
    assert len(starts(asked)) + len(proposed) == slots


def test_what_is_queued_gets_its_look_first_and_says_what_looks_have_cost() -> None:
    asked = queued(state(study(), [falling(0.1, 20), falling(0.2, 20)], slots=1), 2)
    [one] = starts(asked)
    assert (one.subject, one.until_step) == ("t3", 4)
    assert one.reason == "t3 gets a first look, to step 4: 20% of all steps were first looks, and 38% may be."


def test_one_that_goes_on_says_how_far_among_how_many_and_with_what_chance() -> None:
    asked = state(study(), [falling(0.1 * n, 4) for n in range(1, 6)])
    [one] = starts(asked)
    assert one.until_step == 6
    words = f"{one.subject} goes on from step 4 to step 6: of 5 that wait it promises most, with a chance of "
    assert one.reason.startswith(words) and one.reason.endswith("% to beat the best of now at its end.")


def test_the_one_that_is_ahead_by_far_goes_on() -> None:
    curves = [falling(0.0 if n == 1 else 5.0, 10) for n in range(5)]
    asked = exhausted(state(study(), curves, params=[{"x": 0.5}] * 5))
    chosen = {starts(replace(asked, decisions=number))[0].subject for number in range(12)}
    assert chosen == {"t2"}  # for whatever horizon is drawn


def test_several_slots_do_not_all_follow_one_trial_and_are_filled() -> None:
    asked = state(study(), [falling(0.1 * n, 10) for n in range(8)], slots=4)
    begun = starts(asked)
    looks = sum(one.verb == "propose" for one in model.decide(asked))
    assert len(begun) + looks == 4
    assert len({one.subject for one in begun}) == len(begun)


def test_a_trial_that_has_not_logged_its_metric_goes_deeper_until_it_does() -> None:
    asked = changed(exhausted(state(study(), [falling(0.1, 4), []])), "t2", steps_done=4, logged_step=3, until_step=4)
    [one] = starts(asked)
    assert (one.subject, one.until_step) == ("t2", 8)
    assert one.reason == "t2 goes on to step 8: it has not logged loss yet."
    near = changed(asked, "t2", steps_done=70, logged_step=69, until_step=70)
    assert starts(near)[0].until_step == 100


def test_where_only_diverged_trials_wait_something_new_is_looked_at() -> None:
    asked = changed(state(study(), [falling(0.1, 4), *[[3.0, math.nan, math.nan, math.nan]] * 5]), "t1", status="complete")
    assert [one.verb for one in model.decide(asked)] == ["propose"]
    assert starts(exhausted(asked)) == []


def test_while_nobody_has_had_a_finite_value_what_waits_goes_deeper_and_new_ones_are_looked_at() -> None:
    asked = state(study(), [[math.nan] * 4] * 5)
    [one] = starts(asked)
    assert (one.subject, one.until_step) == ("t1", 8)
    assert one.reason == "t1 goes on to step 8: it has no finite value yet."
    deep = state(study(), [[math.nan] * 32] * 5)
    assert [one.verb for one in model.decide(deep)] == ["propose"] and starts(deep) == []


def test_where_only_assisted_trials_wait_something_new_is_looked_at() -> None:
    asked = state(study(), [falling(0.1, 4)] * 5)
    assert model.decide(asked) == []
    for name in asked.trials:
        asked = changed(asked, name, assisted=True)
    assert [one.verb for one in model.decide(asked)] == ["propose"]


def test_the_baseline_is_run_to_its_end_at_once_and_again_when_it_waits() -> None:
    asked = study(space=Space(parameters=(Parameter(name="x", kind="float", low=0.0, high=1.0, default=0.5),)))
    fresh = queued(state(asked, []), 1)
    fresh = replace(fresh, candidates={"c1": replace(fresh.candidates["c1"], params={"x": 0.5})})
    assert [(one.subject, one.until_step) for one in starts(fresh)] == [("t1", 100)]
    waiting = state(asked, [falling(5.0, 30), falling(0.1, 60)], params=[{"x": 0.5}, {"x": 0.3}])
    [one] = starts(exhausted(waiting))
    assert (one.subject, one.until_step) == ("t1", 100)
    assert freezethaw.BASELINE in one.reason


def test_what_was_cut_short_goes_on_to_where_it_was_going() -> None:
    asked = changed(state(study(), [falling(0.1, 4), falling(0.2, 10)]), "t1", until_step=17, reason="its grant was used up")
    [one] = starts(asked)
    assert (one.subject, one.until_step) == ("t1", 17)


def running(asked: State, name: str, *, done: int, until: int) -> State:
    """The state while a trial runs that cannot pause, at a step."""
    attempt = Attempt(id=f"{name}.a1", trial=name, number=1, status="running", devices=("cpu-0",), until_step=until)
    seen = changed(asked, name, status="running", until_step=until, attempts=1, steps_done=0, logged_step=done - 1)
    return replace(seen, attempts={attempt.id: attempt}, free_devices=asked.free_devices[1:])


@pytest.mark.parametrize(("floor", "verb"), [(0.0, "advance"), (9.0, "stop")])
def test_what_cannot_pause_is_stopped_unless_it_may_beat_the_best(floor: float, verb: str) -> None:
    curves = [falling(0.5 + 0.1 * n, 20) for n in range(5)] + [falling(floor, 20)]
    asked = running(state(study(tier="opaque"), curves, params=[{"x": 0.1 * n} for n in range(6)]), "t6", done=20, until=20)
    [one] = [one for one in freezethaw.decide(asked) if one.subject == "t6"]
    assert one.verb == verb
    assert "% to beat the best of now at its end" in one.reason
    assert one.until_step == (25 if verb == "advance" else 0)


def test_a_night_of_scripts_that_cannot_pause_stops_most_and_runs_one_to_its_end() -> None:
    played = night(asked={"tier": "opaque"}, slots=2)
    verbs = [one.verb for decisions in played.decided for one in decisions]
    assert "stop" in verbs and "advance" in verbs and "pause" not in verbs
    assert played.state.statuses["complete"] >= 1
    assert played.steps < 0.7 * 30 * len(played.state.trials)


def test_a_script_that_runs_past_its_step_is_told_to_wait() -> None:
    asked = running(state(study(), [falling(0.1, 10), falling(0.2, 10)]), "t1", done=10, until=6)
    [one] = [one for one in freezethaw.decide(asked) if one.subject == "t1"]
    assert one.verb == "pause"
    leaving = running(state(study(), [falling(0.1, 10), falling(0.2, 10)]), "t1", done=10, until=10)
    assert not [one for one in freezethaw.decide(leaving) if one.subject == "t1"]


def test_a_search_that_is_over_runs_its_best_to_the_end_and_then_ends() -> None:
    asked = exhausted(state(study(), [falling(0.0, 30), falling(9.0, 30), falling(9.0, 30)]))
    far = changed(asked, "t1", status="complete", steps_done=100, logged_step=99)
    [over] = freezethaw.decide(far)
    assert over.verb == "end" and "every distinct point" in over.reason
    [one] = freezethaw.decide(asked)
    assert (one.verb, one.subject) == ("start", "t1")  # it is hoped of anyway, and so comes to its end bit by bit


def test_without_hope_and_without_a_full_result_the_best_is_run_to_the_end() -> None:
    asked = changed(exhausted(state(study(), [[1.0, math.nan], [2.0, 1.5]])), "t2", status="stopped")
    assert [one.verb for one in freezethaw.decide(asked)] == ["end"]  # what waits has diverged
    helped = changed(exhausted(state(study(), [falling(0.1, 4)])), "t1", assisted=True)
    [one] = freezethaw.decide(helped)
    assert (one.subject, one.until_step) == ("t1", 100) and "is run to the end" in one.reason


def test_a_night_of_a_finite_space_ends_with_a_full_result() -> None:
    space = Space(parameters=(Parameter(name="x", kind="float", low=0.0, high=1.0, step=0.25),))
    played = night(asked={"space": space, "budget": Budget()})
    assert len(played.state.candidates) == 5
    assert played.state.statuses["complete"] >= 1
    assert "exhausted" in played.reason
    best = min(played.state.trials.values(), key=lambda one: one.metrics["loss"].low)
    assert best.status == "complete"
    assert played.state.candidates[best.candidate].params == {"x": 0.25}


@pytest.mark.parametrize("slots", [1, 3])
def test_a_night_spends_most_steps_on_what_is_good(slots: int) -> None:
    played = night(slots=slots)
    state = played.state
    steps = {one.candidate: one.logged_step + 1 for one in state.trials.values()}
    near = sum(count for name, count in steps.items() if abs(float(state.candidates[name].params["x"]) - 0.3) < 0.1)
    assert near > 0.3 * sum(steps.values())  # on a fifth of the space
    assert len(steps) > 9


def test_a_night_in_which_every_value_is_nan_goes_on_looking_to_its_end() -> None:
    played = night(lambda params, step: math.nan, asked={"budget": Budget(device_s=100.0)})
    assert played.reason.startswith("The device time is used up")
    assert len(played.state.trials) > 10


def test_nothing_is_decided_without_a_shift_or_while_it_ends() -> None:
    asked = queued(state(study(), [falling(0.1, 4)]), 1)
    assert freezethaw.decide(replace(asked, shift=None)) == []
    assert freezethaw.decide(replace(asked, ending="it is late")) == []
    spent = replace(study(), budget=Budget(device_s=10.0))
    assert starts(replace(asked, study=spent, spend=Spend(settled_device_s=9.5))) == []


def test_what_breaks_a_guard_does_not_go_on() -> None:
    asked = study(objective=Objective(metric="loss", guards=("loss <= 2",)))
    seen = state(asked, [[3.0, 0.01], falling(0.9, 4)], slots=2)
    assert "t1" not in {one.subject for one in starts(seen)}


def test_the_same_state_gives_the_same_and_another_decision_count_another_draw() -> None:
    asked = exhausted(state(study(), [[1 - 0.01 * n * step for step in range(40 - 5 * n)] for n in range(1, 7)]))
    assert freezethaw.decide(asked) == freezethaw.decide(asked)
    assert len({starts(replace(asked, decisions=number))[0].subject for number in range(40)}) > 1


def test_how_far_ahead_is_looked_is_drawn_from_the_far_half() -> None:
    asked = state(study(), [falling(0.1, 3)])
    drawn = [freezethaw._ahead(replace(asked, decisions=number), study()) for number in range(400)]
    assert min(drawn) >= 50 and max(drawn) <= 100 and len(set(drawn)) > 45
    short = study(horizon_steps=1)
    assert freezethaw._ahead(asked, short) == 1

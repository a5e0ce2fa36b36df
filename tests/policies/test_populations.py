"""Population-based training: the worst make room for children of the best, at equal steps, and no one waits needlessly."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import plugins
from secondshift.policies.models.populations import FACTORS, boundaries, child_of, founders, perturbed, scaled
from secondshift.policies.models.spaces import region
from secondshift.policies.schedulers import budgets, population
from secondshift.policies.searchers import uniform
from secondshift.records.decisions import Decision
from secondshift.records.events import RequestReceived
from secondshift.records.studies import Parameter, Policy, Space, Study, Value
from secondshift.records.trials import Trial
from secondshift.standing import requested
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import Night, play

RATE = Parameter(name="rate", kind="float", low=1e-4, high=1.0, log=True)
WIDTH = Parameter(name="width", kind="int", low=16, high=64, step=16)
KIND = Parameter(name="kind", kind="categorical", choices=("sgd", "adam"))
MOMENTUM = Parameter(name="momentum", kind="float", low=0.0, high=0.99, when={"kind": ("sgd",)})
DECIDERS = [population.decide, uniform.decide, budgets.decide]


def question(space: Space = SPACES["continuous"], *, size: int = 8, trials: int | None = None, **changes: object) -> Study:
    asked = study(space, searcher="random", scheduler="population", trials=trials)
    return replace(asked, policy=replace(asked.policy, population=size, min_steps=10), **changes)


def night(asked: Study, **given: object) -> Night:
    return play(asked, DECIDERS, **{"curve": curve, "slots": 4, "stride": 5, **given})


def made(played: Night, verb: str) -> list[Decision]:
    return [d for decisions in played.decided for d in decisions if d.verb == verb and d.by == "population"]


def test_a_population_is_founded_once_and_then_replaced_by_children_of_what_waits_at_the_same_step() -> None:
    played = night(question())
    trials = played.state.trials
    assert founders(played.state) == 8 and played.reason == "The population of 8 was trained to its end."
    children = [t for t in trials.values() if t.inherited()]
    assert len(children) > 8, "the population hardly changes"
    for child in children:
        parent = trials[child.inherits.trial]
        assert child.inherits.step % 10 == 0 and 0 < child.inherits.step < 90
        assert played.state.candidates[child.candidate].parents == (parent.candidate,)
        assert child.metrics["loss"].first_step == child.inherits.step, "it was not trained on from there"
        params, old = (played.state.candidates[t.candidate].params for t in (child, parent))
        assert params != old and not region(played.state.study.space).fault(params)  # type: ignore[union-attr]
    assert played.steps == 8 * 90, "more was trained than eight whole trials"


def test_only_the_worst_quarter_makes_room_and_only_the_best_quarter_gives() -> None:
    played = night(question(size=12))
    assert len(made(played, "propose")) > 10, "nobody was replaced"
    for state, decisions in zip(played.seen, played.decided, strict=True):
        stops, births = ([d for d in decisions if d.verb == verb and d.by == "population"] for verb in ("stop", "propose"))
        if not births:
            assert not stops
            continue
        step = births[0].inherits.step
        at = {n: next((m.value for m in t.milestones if m.step == step), math.nan) for n, t in state.trials.items() if t.open()}
        order = sorted(at, key=lambda name: math.inf if math.isnan(at[name]) else at[name])
        last = [name for name in order if name != "t1"][-3:]  # t1 is the baseline
        assert {d.inherits.trial for d in births} <= set(order[:3]) and {d.subject for d in stops} <= set(last)
        assert len(births) - len(stops) == 12 - len(order), "those that are gone are replaced as well"


def test_the_baseline_is_trained_to_its_end_and_unaided() -> None:
    def worst(params: Mapping[str, Value], step: int) -> float:
        return 9.0 if params == {"rate": 1e-3, "kind": "adam"} else curve(params, step)

    played = night(question(), curve=worst)
    assert played.state.trials["t1"].status == "complete" and played.state.trials["t1"].unaided()
    first = [d for decisions in played.decided for d in decisions if d.verb == "stop"][:2]
    assert [d.reason.split(" is number ")[1] for d in first] == ["7 of 8.", "6 of 8."], "it stood in the way of an exchange"


def test_goals_mirror() -> None:
    course = []
    for goal, sign in (("min", 1.0), ("max", -1.0)):
        asked = question()
        asked = replace(asked, objective=replace(asked.objective, goal=goal))
        played = night(asked, curve=lambda p, s, sign=sign: sign * curve(p, s))
        course.append([(d.verb, d.subject, d.inherits.trial, dict(d.params)) for ds in played.decided for d in ds])
    assert course[0] == course[1]


def test_a_budget_of_trials_is_kept_and_without_children_nobody_is_stopped() -> None:
    played = night(question(trials=11))
    assert len(played.state.trials) == 11 and played.state.statuses["complete"] == 8
    none = night(question(trials=8))
    assert len(none.state.trials) == 8 and not made(none, "stop") and none.state.statuses["complete"] == 8


def test_who_failed_is_replaced_at_the_next_comparison() -> None:
    def mishap(trial: Trial, step: int) -> str:
        return "crash" if trial.id in ("t2", "t3") and step == 12 else ""

    asked = question()
    asked = replace(asked, policy=replace(asked.policy, max_failure_rate=1.0))
    played = night(asked, mishap=mishap)
    at_20 = [t for t in played.state.trials.values() if t.inherits.step == 20]
    ended = [t.id for t in played.state.trials.values() if t.status == "failed"]
    assert ended == [name for name in ("t2", "t3") if name in ended] and ended
    assert len(at_20) >= len(ended)
    assert played.state.statuses["complete"] == 8


def test_if_all_diverge_nobody_has_children_and_the_night_ends() -> None:
    played = night(question(), curve=lambda params, step: math.nan)
    assert not made(played, "propose") and played.reason


def test_a_shift_that_ends_in_a_slice_goes_on_where_it_was() -> None:
    asked = question()
    whole = night(asked)
    first = night(asked, deadline_s=170.0)
    assert "deadline" in first.reason and not first.state.attempts
    second = night(asked, before=first.state)
    assert second.reason == whole.reason and second.state.statuses["complete"] == 8
    assert first.steps + second.steps == 8 * 90


def test_an_interrupted_member_is_waited_for() -> None:
    def mishap(trial: Trial, step: int) -> str:
        return "kill" if trial.id == "t4" and step == 27 and trial.interruptions == 0 else ""

    played = night(question(), mishap=mishap)
    assert played.reason.startswith("The population of 8") and played.state.statuses["complete"] == 8


def test_a_trial_that_a_person_stops_is_replaced_and_not_waited_for() -> None:
    ask = RequestReceived(id="r1", verb="stop", who="kim", args={"trial": "t3"}, asked_at=0.0)
    asked = question()
    played = play(asked, [requested, *DECIDERS], curve=curve, slots=4, stride=5, requests=[ask])  # type: ignore[list-item]
    assert played.reason.startswith("The population of")
    assert played.state.statuses["complete"] == 8


def test_with_fewer_slots_than_members_whose_place_is_settled_goes_on_and_slots_are_not_left_idle() -> None:
    asked = question(size=8, trials=8)
    played = night(asked, slots=3, stride=10)
    early = [d.reason for d in made(played, "start") if "worse already" in d.reason]
    assert early, "everybody waited for the last"
    for state, decisions in zip(played.seen, played.decided, strict=True):
        for d in decisions:
            if d.verb == "start" and "worse already" in d.reason:
                step = d.until_step - 10
                behind = [t for t in state.trials.values() if t.open() and t.logged_step + 1 < step]
                assert behind or founders(state) < 8, "nobody was still to come"


def test_who_went_on_early_is_neither_replaced_nor_a_parent_there() -> None:
    played = night(question(size=12), slots=5, stride=10)
    early: dict[int, set[str]] = {}
    for decisions in played.decided:
        for d in decisions:
            if d.verb == "start" and "worse already" in d.reason:
                early.setdefault(d.until_step - 10, set()).add(d.subject)
        births = [d for d in decisions if d.verb == "propose" and d.by == "population"]
        for d in births:
            assert d.inherits.trial not in early.get(d.inherits.step, set())
            stopped = {s.subject for s in decisions if s.verb == "stop"}
            assert not stopped & early.get(d.inherits.step, set())
    assert early


def test_where_nothing_can_pause_all_are_trained_to_the_end() -> None:
    asked = question(tier="opaque")
    assert boundaries(asked) == ()
    played = night(asked)
    assert played.state.statuses["complete"] == 8 and len(played.state.trials) == 8


def test_the_steps_of_comparison_are_slices_of_the_horizon() -> None:
    asked = question()
    assert boundaries(asked) == tuple(range(10, 90, 10))
    assert boundaries(replace(asked, policy=Policy(scheduler="population"))) == tuple(range(9, 90, 9))
    assert boundaries(replace(asked, horizon_steps=3, policy=Policy(scheduler="population"))) == (1, 2)


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_no_searcher_proposes_more_than_the_population_lacks(name: str) -> None:
    searcher = plugins.load("secondshift.searchers", name)
    played = play(question(), [population.decide, searcher, budgets.decide], curve=curve, slots=20)
    assert founders(played.state) == 8


def test_a_space_with_fewer_points_than_members_is_a_smaller_population() -> None:
    space = Space(parameters=(KIND, replace(WIDTH, high=32)))
    played = night(replace(question(space), command="x --kind {kind} --width {width}"))
    assert founders(played.state) == 4 and played.reason == "The population of 4 was trained to its end."


def test_a_schedule_that_matters_is_found() -> None:
    """A loss whose best rate falls as the loss does: what no fixed rate can follow. The true course of each trial is simulated."""
    space = Space(parameters=(RATE,))
    losses: dict[tuple[str, int], float] = {}

    def course(trial: Trial, params: Mapping[str, Value], step: int) -> float:
        parent = trial.inherits.trial if step == trial.inherits.step else trial.id
        before = losses.get((parent, step - 1), 1.0)
        rate = float(params["rate"])
        losses[trial.id, step] = before * (1.0 - 0.5 * min(rate, 1.0)) + 0.02 * rate**2  # small steps keep the noise small
        return losses[trial.id, step]

    asked = replace(question(space, size=12), command="x --rate {rate}")
    played = play(asked, DECIDERS, curve=curve, slots=4, stride=5, course=course)
    best = min(value for (_, step), value in losses.items() if step == 89)
    fixed = []
    for rate in np.geomspace(1e-4, 1.0, 200):
        value = 1.0
        for _ in range(90):
            value = value * (1.0 - 0.5 * rate) + 0.02 * rate**2
        fixed.append(value)
    assert played.state.statuses["complete"] == 12
    assert best < 0.9 * min(fixed), f"the population came to {best:.4f}, the best of 200 fixed rates to {min(fixed):.4f}"
    line = [trial := min(((v, n) for (n, s), v in losses.items() if s == 89))[1]]
    while played.state.trials[trial].inherited():
        line.append(trial := played.state.trials[trial].inherits.trial)
    rates = [float(played.state.candidates[played.state.trials[n].candidate].params["rate"]) for n in reversed(line)]
    assert len(rates) > 2 and rates[-1] < rates[0], f"the rates of its line do not fall: {rates}"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(old=st.floats(1e-4, 1.0), factor=st.sampled_from(FACTORS))
def test_a_number_is_multiplied_within_its_axis(old: float, factor: float) -> None:
    assert scaled(RATE, old, factor) == pytest.approx(min(max(old * factor, 1e-4), 1.0))


def test_a_number_with_steps_moves_by_one_at_least_unless_it_is_at_the_end() -> None:
    assert [scaled(WIDTH, old, 1.25) for old in (16, 32, 48, 64)] == [32, 48, 64, 64]
    assert [scaled(WIDTH, old, 0.8) for old in (16, 32, 48, 64)] == [16, 16, 32, 48]


def test_a_child_differs_keeps_to_constraints_and_has_what_is_active() -> None:
    space = Space(parameters=(RATE, WIDTH, KIND, MOMENTUM), constraints=("width * rate <= 16",))
    ground, rng = region(space), np.random.default_rng(1)
    params: dict[str, Value] = {"rate": 0.25, "width": 64, "kind": "sgd", "momentum": 0.9}
    seen = set()
    for _ in range(300):
        child = child_of(ground, params, rng)
        assert child is not None and child != params and not ground.fault(child)
        seen.add(("momentum" in child, child["kind"]))
    assert seen == {(True, "sgd"), (False, "adam")}
    stuck = region(Space(parameters=(replace(KIND, choices=("sgd",)),)))
    assert child_of(stuck, {"kind": "sgd"}, rng) is None


def test_one_in_four_parameters_is_drawn_anew() -> None:
    ground, rng = region(Space(parameters=(RATE,))), np.random.default_rng(2)
    found = [float(perturbed(ground, {"rate": 0.01}, rng)["rate"]) for _ in range(2000)]
    near = [any(abs(rate - 0.01 * factor) < 1e-12 for factor in FACTORS) for rate in found]
    assert 0.21 < 1 - np.mean(near) < 0.29


def test_the_same_facts_give_the_same_children() -> None:
    def told(seed: int) -> list[object]:
        return [(c.params, c.parents) for c in night(replace(question(), seed=seed)).state.candidates.values()]

    assert told(1) == told(1) and told(1) != told(2)


def test_steps_of_comparison_are_taken_in_order_and_each_once() -> None:
    played = night(question())
    memos = [d.memo for d in made(played, "remember")]
    steps = [int(memo.split()[1]) for memo in memos]
    assert steps == list(range(10, 90, 10)) and all(a < b for a, b in pairwise(steps))

"""The model-based searcher: inside the space, never twice, never more than is wanted, and towards what is good."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from secondshift.policies.forecasters import fitting
from secondshift.policies.models.outlook import MEMO, fitted, job, outlook
from secondshift.policies.models.spaces import region
from secondshift.policies.models.thawing import bench
from secondshift.policies.schedulers import budgets, fifo, freezethaw
from secondshift.policies.searchers import model
from secondshift.records.states import State
from secondshift.records.studies import Budget, Parameter, Policy, Space, Study, Value
from secondshift.records.trials import Candidate
from secondshift.testing.simulated_nights import play
from thawing_states import curve, queued, state, study, trial

RATE = Parameter(name="rate", kind="float", low=1e-5, high=1e-1, log=True)
WIDTH = Parameter(name="width", kind="int", low=16, high=64, step=16)
KIND = Parameter(name="kind", kind="categorical", choices=("sgd", "adam", "lion"))
MOMENTUM = Parameter(name="momentum", kind="float", low=0.0, high=0.99, when={"kind": ("sgd",)})
SPACES = {
    "one number": Space(parameters=(Parameter(name="x", kind="float", low=0.0, high=1.0),)),
    "mixed and conditional": Space(parameters=(RATE, WIDTH, KIND, MOMENTUM)),
    "constrained": Space(parameters=(RATE, WIDTH, KIND), constraints=("rate * width <= 0.1", "width < 64 or kind == 'adam'")),
    "whole numbers": Space(parameters=(Parameter(name="n", kind="int", low=1, high=100_000, log=True),)),
}


def falling(floor: float, steps: int) -> list[float]:
    return [floor + 1.0 / (step + 1) for step in range(steps)]


def over(space: Space, **changes: Any) -> Study:  # Any: a field of Study
    """A study over a space, whose script is told every parameter."""
    return study(space=space, command=" ".join(f"--{one.name} {{{one.name}}}" for one in space.parameters), **changes)


def asked(
    space: Space, count: int, *, slots: int = 2, steps: int = 8, scheduler: str = "halving", best: Mapping[str, Value] | None = None
) -> State:
    """A state after so many random candidates of a space, the settings of its outlook fitted."""
    ground = region(space)
    wide = over(space, policy=Policy(searcher="model", scheduler=scheduler))
    points = list(_points(space, count))
    losses = [0.5 + 0.01 * (n * 7 % count) if best is None else _apart(ground, one, best) for n, one in enumerate(points)]
    seen = state(wide, [falling(loss, steps) for loss in losses], slots=slots, params=points)
    return replace(seen, memos={MEMO: fitted(job(seen))} if fitting.decide(seen) else {})


def _points(space: Space, count: int) -> Any:  # Any: an iterator of parameters
    ground, made, n = region(space), 0, 0
    while made < count:
        n += 1
        point = ground.decode([(n * step) % 1.0 for step in (0.7548777, 0.5698403, 0.3141593, 0.2360680)[: len(ground.parameters)]])
        if not ground.broken(point):
            made += 1
            yield point


def _apart(ground: Any, one: Mapping[str, Value], best: Mapping[str, Value]) -> float:
    return math.dist(ground.encode(one), ground.encode(best))


def proposals(seen: State) -> list[dict[str, Value]]:
    return [dict(one.params) for one in model.decide(seen) if one.verb == "propose"]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_what_is_proposed_lies_in_the_space_keeps_its_constraints_and_is_new(space: Space) -> None:
    ground = region(space)
    for count in (0, 4, 12):
        seen = asked(space, count, slots=4)
        for attempt in range(3):
            found = proposals(replace(seen, study=replace(seen.study, seed=attempt)))  # type: ignore[type-var]  # there is one
            assert len(found) == 4
            for place, params in enumerate(found):
                assert not ground.fault(params), params
                assert params not in found[:place]
                assert params not in [dict(one.params) for one in seen.candidates.values()]


def test_the_model_looks_near_what_is_good() -> None:
    space, best = SPACES["mixed and conditional"], {"rate": 1e-3, "width": 32, "kind": "adam"}
    seen = asked(space, 25, slots=12, best=best)
    ground = region(space)
    by_model = [one for one in model.decide(seen) if "promises most" in one.reason]
    by_chance = list(_points(space, 60))
    assert len(by_model) >= 6
    near = [_apart(ground, one.params, best) for one in by_model]
    assert sorted(near)[len(near) // 2] < sorted(_apart(ground, one, best) for one in by_chance)[20]
    assert sum(one.params["kind"] == "adam" for one in by_model) > len(by_model) / 3


def test_a_proposal_of_the_model_says_among_how_many_and_with_what_chance() -> None:
    seen = asked(SPACES["one number"], 12, slots=6, best={"x": 0.3})
    reasons = [one.reason for one in model.decide(seen)]
    told = [reason for reason in reasons if "promises most" in reason]
    said = re.compile(r"Of [4-7]\d\d points this one promises most, with a chance of \d+% to end as the best; ")
    assert told and all(said.match(reason) for reason in told)
    assert all(reason.startswith("Drawn at random") for reason in reasons if reason not in told)


def test_the_first_candidates_are_drawn_at_random_and_some_later_on() -> None:
    first = model.decide(asked(SPACES["one number"], 0, slots=3))
    assert all(one.reason.startswith("Drawn at random") for one in first) and len(first) == 3


@pytest.mark.parametrize(("best", "least", "most"), [({"x": 0.3}, 0.05, 0.4), (None, 0.65, 0.95)], ids=["told", "untold"])
def test_more_is_drawn_at_random_where_parameters_tell_nothing(best: Any, least: float, most: float) -> None:
    seen = asked(SPACES["one number"], 12, slots=10, best=best)
    random = sum(
        one.reason.startswith("Drawn at random")
        for seed in range(6) for one in model.decide(replace(seen, study=replace(seen.study, seed=seed)))  # type: ignore[type-var]
    )
    assert least < random / 60 < most


def test_many_that_are_proposed_at_once_are_apart() -> None:
    seen = asked(SPACES["one number"], 12, slots=10, best={"x": 0.3})
    liked = sorted(float(one.params["x"]) for one in model.decide(seen) if "promises most" in one.reason)
    assert len(liked) >= 5 and min(b - a for a, b in pairwise(liked)) > 1e-3


def test_nothing_is_a_copy_of_what_waits_for_its_first_look() -> None:
    seen = asked(SPACES["one number"], 12, slots=1, best={"x": 0.3})
    liked = next(one for one in (model.decide(replace(seen, study=replace(seen.study, seed=n)))[0] for n in range(9))  # type: ignore[type-var]
                 if "promises most" in one.reason)  # fmt: skip
    waits = queued(replace(seen, shift=replace(seen.shift, slots=12), free_devices=tuple("abcdefghijkl")), 1)  # type: ignore[type-var]
    candidate = waits.trials[f"t{len(waits.trials)}"].candidate
    waits = replace(waits, candidates={**waits.candidates, candidate: replace(waits.candidates[candidate], params=liked.params)})
    view = outlook(waits)
    others = [one.params for one in model.decide(waits) if "promises most" in one.reason]
    assert view is not None and len(others) >= 5
    assert view.joint.alike(view.placed(others), view.placed([liked.params])).max() <= model.ALIKE


def test_every_other_choice_is_among_points_all_over_the_space_alone() -> None:
    seen = asked(SPACES["one number"], 12, slots=10, best={"x": 0.3})
    reasons = [one.reason for seed in range(6) for one in model.decide(replace(seen, study=replace(seen.study, seed=seed)))]  # type: ignore[type-var]
    counts = [int(found[1]) for reason in reasons if (found := re.match(r"Of (\d+) points", reason))]
    alone = sum(count <= model.DRAWN for count in counts)
    assert len(counts) > 30 and 0.3 < alone / len(counts) < 0.7


@pytest.mark.parametrize("scheduler", [fifo, freezethaw])
def test_a_finite_space_is_walked_to_its_end_without_a_repeat_and_the_end_is_said(scheduler: Any) -> None:
    space = Space(parameters=(WIDTH, KIND), constraints=("width < 64 or kind == 'sgd'",))
    wide = over(space, horizon_steps=10, policy=Policy(searcher="model", scheduler=scheduler.NAME))

    def loss(params: Mapping[str, Value], step: int) -> float:
        return float(params["width"]) / 64 + 1 / (step + 1)

    played = play(wide, [fitting.decide, scheduler.decide, model.decide, budgets.decide], curve=loss, stride=1, ticks=1500)
    proposed = [dict(one.params) for one in played.state.candidates.values()]
    assert len(proposed) == 10 and all(one not in proposed[:place] for place, one in enumerate(proposed))
    assert played.reason
    assert any("every distinct point" in one.reason for decisions in played.decided for one in decisions)


def test_under_freeze_thaw_nothing_is_proposed_where_the_scheduler_is_not_about_to_look() -> None:
    seen = asked(SPACES["one number"], 12, slots=2, steps=4, scheduler="freezethaw")
    assert seen.study is not None
    found = bench(seen, seen.study)
    assert found.first_looks() == 0 and model.decide(seen) == []
    assert len(proposals(replace(seen, study=replace(seen.study, policy=Policy(searcher="model", scheduler="halving"))))) == 2
    deep = {**seen.trials, "t1": trial(1, falling(0.5, 99))}
    looking = replace(seen, trials=deep, curves={**seen.curves, "t1": curve(falling(0.5, 99))})
    count = bench(looking, seen.study).first_looks()
    assert count > 0 and len(proposals(looking)) == count
    assert proposals(queued(looking, count)) == []


def test_no_more_is_proposed_than_the_budget_of_trials_allows() -> None:
    seen = asked(SPACES["one number"], 5, slots=4)
    assert seen.study is not None
    assert len(proposals(replace(seen, study=replace(seen.study, budget=Budget(trials=6))))) == 1
    assert proposals(replace(seen, study=replace(seen.study, budget=Budget(trials=5)))) == []


def test_constraints_that_nothing_keeps_are_said_and_not_searched_for_ever() -> None:
    space = Space(parameters=(RATE,), constraints=("rate > 1",))
    seen = replace(asked(SPACES["one number"], 0), study=over(space))
    [one] = model.decide(seen)
    assert one.verb == "end" and "rate > 1" in one.reason


def test_the_same_state_gives_the_same_proposals_and_another_seed_others() -> None:
    seen = asked(SPACES["mixed and conditional"], 12)
    assert model.decide(seen) == model.decide(seen)
    assert seen.study is not None
    assert proposals(seen) != proposals(replace(seen, study=replace(seen.study, seed=5)))


def test_a_candidate_of_another_revision_may_be_proposed_again() -> None:
    space = Space(parameters=(WIDTH,))
    seen = asked(space, 0, slots=4)
    old = {f"c{n}": Candidate(id=f"c{n}", params={"width": width}, revision=7) for n, width in enumerate((16, 32, 48, 64))}
    assert len(proposals(replace(seen, candidates=old))) == 4

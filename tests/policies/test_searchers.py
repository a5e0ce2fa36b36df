"""Searchers: the same state asks for the same candidates, nothing is repeated, and an end is said with its cause."""

from dataclasses import replace

import pytest

from secondshift import plugins
from secondshift.policies.models.proposals import exhausted
from secondshift.policies.schedulers import budgets, fifo
from secondshift.records.studies import Budget, Parameter, Policy, Space, Study
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import Night, play

X = Parameter(name="x", kind="int", low=0, high=3)
Y = Parameter(name="y", kind="int", low=0, high=3)


def night(asked: Study, slots: int = 2) -> Night:
    searcher = plugins.load("secondshift.searchers", asked.policy.searcher)
    return play(asked, [fifo.decide, searcher, budgets.decide], curve=curve, slots=slots)


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_a_finite_space_is_searched_completely_without_repetition(name: str) -> None:
    asked = study(Space(parameters=(X, Y)), searcher=name, scheduler="fifo", trials=None)
    for slots in (1, 3):
        played = night(asked, slots)
        found = {tuple(sorted(c.params.items())) for c in played.state.candidates.values()}
        assert len(found) == len(played.state.candidates) == 16
        assert "every distinct point" in played.reason


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_another_seed_gives_other_candidates_and_the_same_seed_the_same(name: str) -> None:
    asked = study(SPACES["continuous"], searcher=name, scheduler="fifo")

    def found(seed: int) -> list[object]:
        return [c.params for c in night(replace(asked, seed=seed)).state.candidates.values()]

    assert found(1) == found(1)
    assert found(1)[1:] != found(2)[1:]


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_constraints_that_nothing_satisfies_end_the_shift_and_are_named(name: str) -> None:
    for axis in (X, Parameter(name="x", kind="float", low=0.0, high=1.0)):
        asked = study(Space(parameters=(axis,), constraints=("x > 77",)), searcher=name, scheduler="fifo")
        played = night(asked)
        assert "x > 77" in played.reason
        assert not played.state.candidates


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_an_empty_space_runs_the_baseline_once_and_is_then_exhausted(name: str) -> None:
    played = night(study(Space(), searcher=name, scheduler="fifo", trials=None))
    assert [c.params for c in played.state.candidates.values()] == [{}]
    assert played.state.statuses["complete"] == 1
    assert exhausted(played.state)


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_a_script_that_asks_for_its_parameters_runs_first_with_its_own_defaults(name: str) -> None:
    asked = replace(study(Space(parameters=(X, Y)), searcher=name, scheduler="fifo"), command="python train.py")
    candidates = list(night(asked).state.candidates.values())
    assert candidates[0].params == {} and all(c.params for c in candidates[1:])
    told = night(replace(asked, tier="opaque"))
    assert all(c.params for c in told.state.candidates.values())


def test_a_change_of_the_searcher_goes_on_without_a_second_baseline() -> None:
    asked = study(SPACES["continuous"], searcher="random", scheduler="fifo", trials=5)
    first = night(asked)
    more = replace(asked, policy=Policy(searcher="sobol", scheduler="fifo"), budget=replace(asked.budget, trials=9))
    second = play(
        more,
        [fifo.decide, plugins.load("secondshift.searchers", "sobol"), budgets.decide],
        curve=curve,
        before=replace(first.state, study=more),
    )
    params = [c.params for c in second.state.candidates.values()]
    assert len(params) == 9
    assert params.count(params[0]) == 1


def test_a_grid_spreads_five_values_from_end_to_end_of_a_continuous_axis() -> None:
    axis = Parameter(name="x", kind="float", low=0.0, high=1.0)
    played = night(study(Space(parameters=(axis,)), searcher="grid", scheduler="fifo", trials=None))
    assert [c.params["x"] for c in played.state.candidates.values()] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_no_more_than_the_free_slots_need_is_proposed_in_a_tick() -> None:
    asked = study(SPACES["continuous"], scheduler="fifo", trials=10)
    played = night(asked, slots=3)
    for state, decisions in zip(played.seen, played.decided, strict=True):
        proposals = [d for d in decisions if d.verb == "propose"]
        assert len(proposals) <= max(0, state.free_slots() - state.statuses.get("queued", 0))


def test_a_hundred_single_draws_are_a_hundred_points() -> None:
    for name in ("random", "sobol"):
        played = night(study(SPACES["without defaults"], searcher=name, scheduler="fifo", trials=100), slots=1)
        assert len({c.params["x"] for c in played.state.candidates.values()}) == 100


def test_a_searcher_stops_at_the_budgets_trials_even_where_more_slots_are_free() -> None:
    asked = study(SPACES["continuous"], scheduler="fifo", trials=3)
    first = night(asked, slots=5).seen[0]
    for name in plugins.SEARCHERS:
        assert len(plugins.load("secondshift.searchers", name)(first)) == 3


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_what_a_person_wants_tried_first_comes_after_the_baseline_once_and_in_order(name: str) -> None:
    first = ({"x": 3, "y": 3}, {"x": 0, "y": 2})
    space = Space(parameters=(replace(X, default=1), replace(Y, default=1)))
    asked = study(space, searcher=name, scheduler="fifo", trials=None)
    asked = replace(asked, policy=replace(asked.policy, try_first=(*first, {"x": 1, "y": 1}, first[0])))
    for slots in (1, 3):
        played = night(asked, slots)
        candidates = [c.params for c in played.state.candidates.values()]
        assert candidates[:3] == [{"x": 1, "y": 1}, *first]
        assert len({tuple(sorted(c.items())) for c in candidates}) == len(candidates) == 16
        reasons = [d.reason for made in played.decided for d in made if d.verb == "propose"]
        assert reasons[0].startswith("The baseline") and all(r.startswith("Asked to be tried first") for r in reasons[1:3])


def test_what_is_wanted_first_while_the_search_runs_comes_next_and_moves_no_ones_place() -> None:
    asked = study(Space(parameters=(X, Y)), searcher="grid", scheduler="fifo", trials=5)
    before = night(asked, slots=1)
    wanted = replace(asked, policy=replace(asked.policy, try_first=({"x": 3, "y": 3}, {"x": 0, "y": 1})), budget=Budget(trials=8))
    after = play(
        wanted, [fifo.decide, plugins.load("secondshift.searchers", "grid"), budgets.decide], curve=curve, slots=1,
        before=replace(before.state, study=wanted),
    )  # fmt: skip
    grid = [{"x": x, "y": y} for x in range(4) for y in range(4)]
    assert [c.params for c in after.state.candidates.values()] == [*grid[:5], {"x": 3, "y": 3}, *grid[5:7]]

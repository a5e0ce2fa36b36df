"""Our searchers and schedulers hold the public conformance suite, and the suite notices those that do not."""

import random
from collections.abc import Callable

import pytest

from secondshift import plugins
from secondshift.policies.models.spaces import region
from secondshift.records.decisions import Decision, propose, start
from secondshift.records.states import State
from secondshift.testing.policy_conformance import check_scheduler, check_searcher


@pytest.mark.parametrize("name", plugins.SEARCHERS)
def test_our_searchers_conform(name: str) -> None:
    check_searcher(name, plugins.load("secondshift.searchers", name))


@pytest.mark.parametrize("name", plugins.SCHEDULERS)
def test_our_schedulers_conform(name: str) -> None:
    check_scheduler(plugins.load("secondshift.schedulers", name), name=name)


def test_a_population_conforms_where_it_has_trials_left_for_children() -> None:
    check_scheduler(plugins.load("secondshift.schedulers", "population"), name="population", trials=40)


def _unseeded(state: State) -> list[Decision]:
    if state.study is None or not state.free_slots() or state.statuses.get("queued"):
        return []
    ground = region(state.study.space)
    point = [random.random() for _ in ground.parameters]
    return [propose(params=ground.decode(point), reason="chance", by="bad")]


def _outside(state: State) -> list[Decision]:
    return [propose(params={"nonsense": 1}, reason="why not", by="bad")] if state.free_slots() else []


@pytest.mark.parametrize("decide", [_unseeded, _outside])
def test_a_searcher_that_guesses_or_leaves_the_space_is_found_out(decide: Callable[[State], list[Decision]]) -> None:
    with pytest.raises(AssertionError):
        check_searcher("bad", decide)


def _greedy(state: State) -> list[Decision]:
    return [start(name, until_step=90, reason="all at once", by="bad") for name in state.trials]


def test_a_scheduler_that_starts_more_than_there_are_slots_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"free slots|while it is"):
        check_scheduler(_greedy)

"""A search for programs: who is asked for what, that no device waits for a model, and that a restart changes nothing."""

import json
from dataclasses import replace

import pytest

from policies.program_nights import STUDY, World
from secondshift.policies.models import broods
from secondshift.policies.models.archives import ISLANDS
from secondshift.records import events as facts
from secondshift.records.ideas import Idea
from secondshift.records.studies import Agent, Budget, Parameter, Space


def climbing(count: int = 30) -> tuple[float, ...]:
    return tuple(float(n) for n in range(1, count + 1))


def test_the_baseline_comes_first_and_every_call_becomes_a_trial_of_its_parents_code() -> None:
    world = World(values=climbing()).begin().night()
    state = world.state
    first, *others = state.candidates.values()
    assert first.code == "" and first.params == {}
    assert len(state.calls) == 30 and len(others) == 30
    for candidate in others:
        parent = state.candidates[candidate.parents[0]]
        assert candidate.code.rpartition("+")[0] == parent.code
    assert max(candidate.code.count("+") for candidate in others) >= 3, "children of children of children"
    assert "exhausted" in state.ending and "calls" not in state.ending


def test_the_best_are_parents_more_often_than_the_rest() -> None:
    good = World(values=(50.0, *(0.0,) * 29)).begin().night().state
    best = next(c.id for c in good.candidates.values() if c.code.endswith(f"{1:032x}"))
    asked = [call.task.parent for call in good.calls.values()][8:]
    assert asked.count(best) > len(asked) / 4


@pytest.mark.parametrize("think", [2, 4])
def test_a_program_waits_whenever_a_device_is_free(think: int) -> None:
    """With calls that take no longer than trials, devices are busy; with longer ones as many calls are made as the study allows."""
    study = replace(STUDY, agent=replace(STUDY.agent, turns=24, parallel=4))
    world = World(study=study, think=think, train=4, values=climbing()).begin().night()
    middle = world.idle[4:-12]
    assert sum(middle) <= 0.1 * len(middle) * world.slots, middle


def test_no_more_is_asked_for_than_can_be_trained() -> None:
    world = World(think=1, train=20, slots=1, values=climbing(), study=replace(STUDY, budget=Budget(trials=8))).begin()
    for _ in range(90):
        world.round()
        assert broods.in_hand(world.state) <= world.slots + STUDY.agent.parallel
    assert len(world.state.calls) <= 7


def test_ideas_of_people_are_turned_into_changes_before_programs_are_asked_for() -> None:
    world = World(values=climbing()).begin()
    world.record(facts.IdeaCaptured(idea=Idea(id="e1", text="pack hexagons", author="kim"), decision="d1"))
    for _ in range(8):
        world.round()
    assert next(iter(world.state.calls.values())).idea == "e1"


def test_a_change_that_fails_its_check_is_mended_once_and_never_trained() -> None:
    world = World(values=climbing(), faults=("check failed", "check failed", "the same", "refused")).begin().night()
    state = world.state
    repairs = {call.repairs: call for call in state.calls.values() if call.repairs}
    assert set(repairs) == {"call-1", "call-2"} - {name for name in repairs if state.calls[name].repairs}
    mended = repairs["call-1"]
    assert (mended.task, mended.number) == (state.calls["call-1"].task, 2)
    bad = {f"{n:032x}" for n in (1, 2, 3, 4)}
    assert not any(c.code.rpartition("+")[2] in bad for c in state.candidates.values())


def test_a_program_that_crashes_in_training_is_mended_once() -> None:
    world = World(values=climbing(), crashes=(1, 3, 4)).begin().night()
    mends = {call.repairs: call for call in world.state.calls.values() if call.repairs}
    assert {"call-1", "call-3"} <= set(mends) and all(call.task == world.state.calls[name].task for name, call in mends.items())
    reasons = [d.reason for d in world.log if d.verb == "call" and d.calls[0].repairs == "call-1"]
    assert reasons and all(reason.endswith("what went wrong: its program crashed.") for reason in reasons)
    assert not any(mends[name].id in mends for name in mends), "what mends is not mended"


def test_the_memo_is_small_and_a_search_without_it_comes_to_the_same_population() -> None:
    world = World(values=tuple(float(n % 7) for n in range(30))).begin().night()
    memo = world.state.memos[broods.MEMO]
    assert len(memo) < 2000 and len(json.loads(memo)["islands"]) == ISLANDS
    for state in world.seen:
        afresh = replace(state, memos={})
        assert broods.remembered(afresh)[0] == broods.remembered(state)[0]


def test_the_same_facts_ask_for_the_same_and_another_seed_for_something_else() -> None:
    def asked(seed: int) -> list[tuple[str, tuple[str, ...]]]:
        world = World(values=climbing(), study=replace(STUDY, seed=seed)).begin().night()
        return [(call.task.parent, call.task.beside) for call in world.state.calls.values()]

    assert asked(1) == asked(1) != asked(2)


def test_programs_that_came_to_nothing_are_no_parents() -> None:
    world = World(values=(float("nan"),) * 30).begin()
    world.night()
    assert {call.task.parent for call in world.state.calls.values()} == {"c1"}


def test_parameters_are_searched_with_what_the_agent_leaves_free() -> None:
    space = Space(parameters=(Parameter(name="x", kind="float", low=0.0, high=1.0, default=0.5),))
    study = replace(STUDY, space=space, agent=replace(STUDY.agent, turns=6, parallel=1), command="python pack.py {x}")
    world = World(study=study, think=6, train=2, values=climbing()).begin().night()
    coded = [c for c in world.state.candidates.values() if c.code]
    plain = [c for c in world.state.candidates.values() if not c.code]
    assert len(coded) == 6 and len(plain) == 34
    assert sum(world.idle[:-6]) == 0, "no device waits while there are parameters to try"


def test_without_an_agent_nobody_is_called() -> None:
    world = World(study=replace(STUDY, agent=Agent())).begin().night()
    assert not world.state.calls and len(world.state.trials) == 1

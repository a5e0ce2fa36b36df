"""A population of programs keeps its best, keeps what is unlike the best, and stays small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.models.archives import (
    EXCHANGE,
    INSPIRATIONS,
    ISLANDS,
    NICHES,
    Member,
    Population,
    founded,
    mating,
    passed_by,
    regained,
    settled,
    spread,
)
from secondshift.records.examinations import Likeness

BASELINE = Member(candidate="c1", loss=0.0, likeness=Likeness())


def member(name: str, loss: float, *marks: int) -> Member:
    likeness = Likeness(digest=name, files=("a.py",), sketch=tuple(sorted(marks)), statements=len(marks))
    return Member(candidate=name, loss=loss, likeness=likeness)


def names(population: Population, island: int = 0) -> list[str]:
    return [one.candidate for one in population.islands[island]]


def test_a_better_program_replaces_the_one_that_it_is_most_like() -> None:
    population = settled(founded(BASELINE), member("c2", -1.0, 1, 2, 3, 4), 0)
    population = settled(population, member("c3", -2.0, 1, 2, 3), 0)
    assert names(population) == ["c3", "c1"]
    assert names(settled(population, member("c4", -1.5, 1, 2, 3, 9), 0)) == ["c3", "c1"], "it is worse than its like"


def test_a_worse_program_that_is_unlike_all_others_gets_a_place() -> None:
    population = settled(founded(BASELINE), member("c2", -1.0, 1, 2), 0)
    population = settled(population, member("c3", 5.0, 7, 8), 0)
    assert names(population) == ["c2", "c1", "c3"]
    assert spread(population) == 1.0
    assert spread(founded(BASELINE)) == 0.0


def test_islands_stay_apart_until_their_best_visit_the_next() -> None:
    population = settled(founded(BASELINE), member("c2", -1.0, 1), 0)
    assert [names(population, n) for n in range(ISLANDS)] == [["c2", "c1"], ["c1"], ["c1"]]
    while population.seen < EXCHANGE:
        population = passed_by(population)
    assert [names(population, n) for n in range(ISLANDS)] == [["c2", "c1"], ["c2", "c1"], ["c1"]]


programs = st.lists(
    st.tuples(st.integers(0, ISLANDS - 1), st.floats(-10, 10), st.sets(st.integers(0, 12), min_size=1, max_size=6)), max_size=60
)


@given(programs)
@settings(deadline=None, max_examples=40)
def test_the_best_ever_seen_is_never_lost_and_no_island_grows_too_large(drawn: list[tuple[int, float, set[int]]]) -> None:
    population, best = founded(BASELINE), 0.0
    for number, (island, loss, marks) in enumerate(drawn):
        population = settled(population, member(f"c{number + 2}", loss, *marks), island)
        best = min(best, loss)
        assert population.members()[0].loss == best
        for here in population.islands:
            assert len(here) <= NICHES
            assert [one.loss for one in here] == sorted(one.loss for one in here)
    assert population.seen == len(drawn) + 1


@given(programs, st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_the_same_seed_chooses_the_same_parents_after_a_restart(drawn: list[tuple[int, float, set[int]]], seed: int) -> None:
    population = founded(BASELINE)
    for number, (island, loss, marks) in enumerate(drawn):
        population = settled(population, member(f"c{number + 2}", loss, *marks), island)
    known = {one.candidate: one for one in population.members()}
    again = regained([names(population, n) for n in range(ISLANDS)], population.seen, known)
    assert again == population
    chosen = mating(population, np.random.default_rng(seed))
    assert chosen == mating(again, np.random.default_rng(seed))
    assert chosen.parent.candidate in names(population, chosen.island)
    beside = [one.candidate for one in chosen.inspirations]
    assert len(beside) == len(set(beside)) <= INSPIRATIONS
    assert chosen.parent.candidate not in beside
    assert not chosen.crossed or beside


def test_the_best_is_chosen_most_often_and_less_often_while_it_is_at_work() -> None:
    population = founded(BASELINE)
    for number in range(6):
        population = settled(population, member(f"c{number + 2}", -float(number), number + 1), 0)
    only = Population(islands=(population.islands[0],), seen=7)

    def share(at_work: tuple[str, ...]) -> float:
        rng = np.random.default_rng(0)
        chosen = [mating(only, rng, at_work).parent.candidate for _ in range(600)]
        return chosen.count(only.islands[0][0].candidate) / len(chosen)

    best = only.islands[0][0].candidate
    assert share(()) == pytest.approx(1 / sum(1 / n for n in range(1, 1 + len(only.islands[0]))), abs=0.08)
    assert share((best, best, best)) < 0.6 * share(())


def test_a_lone_program_is_its_own_parent_and_has_no_inspiration() -> None:
    chosen = mating(founded(BASELINE), np.random.default_rng(0))
    assert (chosen.parent, chosen.inspirations, chosen.crossed) == (BASELINE, (), False)

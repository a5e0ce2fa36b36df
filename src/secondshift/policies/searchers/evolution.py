"""Evolutionary search: the best trials so far have children, a step of differential evolution away from them.

Candidates are drawn at random until there are results enough for such a step; from there on each free slot gets a child
of what is known at that moment, so that no worker waits for a generation to end. What was tried: docs/benchmarks.md.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from secondshift.policies.models.breeding import ENOUGH, Level, changes, child, level
from secondshift.policies.models.enumerations import Finite, enumeration
from secondshift.policies.models.proposals import RECENT, Point, drawn, fill, own, shuffled
from secondshift.policies.models.spaces import Region, region
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Study, Value

NAME = "evolution"
CHILDREN = 50  # children in a row that were tried before or break a constraint; then a point is drawn at random


def decide(state: State) -> list[Decision]:
    """Propose just enough candidates to fill the free slots."""
    study = state.study
    if study is None:
        return []
    ground = region(study.space)

    def points(newest: Mapping[str, Value] | None) -> Iterator[Point]:
        found, finite = level(state, study, ground), enumeration(ground)
        rng = np.random.default_rng([study.seed, study.revision, len(state.candidates)])
        if finite is not None:
            return _finite(state, study, ground, finite, found, rng)
        return _endless(state, study, ground, found, rng)

    return fill(
        state, by=NAME, ground=ground, points=points,
        word=f"Drawn at random: {ENOUGH} results come before the first child",
    )  # fmt: skip


def _endless(
    state: State, study: Study, ground: Region, found: Level | None, rng: np.random.Generator
) -> Iterator[Point]:
    """Give children, and points at random before there are parents or where children break the constraints."""
    known = [candidate.params for candidate in islice(own(state, NAME), RECENT)]
    made: list[Point] = []  # since the last point that was good enough

    def draw() -> Mapping[str, Value]:
        if found is not None and len(made) < CHILDREN:
            made.append(_child(study, ground, found, rng))
        else:
            made.append(_drawn(found, ground.decode(rng.random(len(ground.parameters)).tolist())))
        return made[-1].params

    for _ in drawn(ground, draw, known):
        yield made[-1]
        made.clear()


def _finite(
    state: State, study: Study, ground: Region, finite: Finite, found: Level | None, rng: np.random.Generator
) -> Iterator[Point]:
    """Give children that nobody tried; where there are none, the points that are left, until all were tried."""
    revision = study.revision
    known = {_key(candidate.params) for candidate in state.candidates.values() if candidate.revision == revision}
    rest = (params for params in shuffled(state, ground, finite, None) if _key(params) not in known)
    while True:
        children = (_child(study, ground, found, rng) for _ in range(CHILDREN)) if found else iter(())
        point = next((c for c in children if _key(c.params) not in known and not ground.broken(c.params)), None)
        if point is None:
            params = next(rest, None)
            if params is None:
                return
            point = _drawn(found, params)
        known.add(_key(point.params))
        yield point


def _key(params: Mapping[str, Value]) -> frozenset[tuple[str, bool, Value]]:
    return frozenset((name, isinstance(value, bool), value) for name, value in params.items())  # True is not 1


def _child(study: Study, ground: Region, found: Level, rng: np.random.Generator) -> Point:
    params, parents = child(ground, found, rng)
    parent, *others = parents
    place = found.parents.index(parent) + 1
    stands = f"number {place} of {len(found.parents)} at step {found.step}, {study.objective.metric} {parent.value:.6g}"
    names, changed = ", ".join(p.trial for p in others), changes(parent.params, params)
    return Point(
        params=params, parents=tuple(p.candidate for p in parents),
        word=f"A child of {parent.trial} ({stands}) and of {names}: {changed}",
    )  # fmt: skip


def _drawn(found: Level | None, params: Mapping[str, Value]) -> Point:
    if found is None:
        return Point(params=params)
    return Point(params=params, word="Drawn at random: the children of the best were tried before or break a constraint")

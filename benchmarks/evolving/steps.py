"""Evolutionary steps that were tried and are not used; each is a searcher like any other."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import numpy as np

from secondshift.policies.models.breeding import ENOUGH, Level, level, reflected, seen
from secondshift.policies.models.proposals import RECENT, drawn, fill, own
from secondshift.policies.models.spaces import Region, region
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Value

Chosen = Callable[[Level, State, np.random.Generator], Mapping[str, Value]]  # the parent


def aging(population: int, tournament: int) -> Chosen:
    """Regularised evolution: the best of some drawn from the newest has a child.

    E. Real, A. Aggarwal, Y. Huang, Q. V. Le: "Regularized Evolution for Image Classifier Architecture Search" (AAAI 2019).
    """

    def chosen(found: Level, state: State, rng: np.random.Generator) -> Mapping[str, Value]:
        rank = {parent.trial: place for place, parent in enumerate(found.parents)}
        ended = [name for name, trial in state.trials.items() if not trial.open() or name in rank]
        newest = ended[-population:]
        drawn_ones = [newest[int(i)] for i in rng.choice(len(newest), min(tournament, len(newest)), replace=False)]
        places = [rank[name] for name in drawn_ones if name in rank] or [0]
        return found.parents[min(places)].params

    return chosen


def best(count: int) -> Chosen:
    """(mu + lambda): one of the `count` best, the better the likelier."""

    def chosen(found: Level, state: State, rng: np.random.Generator) -> Mapping[str, Value]:
        weights = np.array([1.0 / (1 + place) for place in range(min(count, len(found.parents)))])
        return found.parents[int(rng.choice(len(weights), p=weights / weights.sum()))].params

    return chosen


def gaussian(name: str, chosen: Chosen, *, sigma: float, moved: float) -> Callable[[State], list[Decision]]:
    """Make a searcher that adds a normal step to `moved` of a parent's numbers, on average, and redraws categories."""

    def decide(state: State) -> list[Decision]:
        study = state.study
        if study is None:
            return []
        ground = region(study.space)

        def points(newest: Mapping[str, Value] | None) -> Iterator[Mapping[str, Value]]:
            rng = np.random.default_rng([study.seed, study.revision, len(state.candidates)])
            found = level(state, study, ground) if seen(state, study) >= ENOUGH else None
            known = [candidate.params for candidate in islice(own(state, name), RECENT)]

            def draw() -> Mapping[str, Value]:
                if found is None:
                    return ground.decode(rng.random(len(ground.parameters)).tolist())
                return _moved(ground, chosen(found, state, rng), rng, sigma, moved)

            return drawn(ground, draw, known)

        return fill(state, by=name, ground=ground, points=points, word="tried")

    return decide


def _moved(
    ground: Region, parent: Mapping[str, Value], rng: np.random.Generator, sigma: float, moved: float
) -> Mapping[str, Value]:
    count = len(ground.parameters)
    start, draws, steps = ground.encode(parent), rng.random(count), sigma * rng.standard_normal(count)
    takes_part = rng.random(count) < moved / count
    takes_part[int(rng.integers(count))] = True
    point = []
    for place, parameter in enumerate(ground.parameters):
        if parameter.name not in parent:
            point.append(float(draws[place]))
        elif not takes_part[place]:
            point.append(start[place])
        else:
            anew = parameter.kind == "categorical"
            point.append(float(draws[place]) if anew else reflected(start[place] + float(steps[place])))
    return ground.decode(point)

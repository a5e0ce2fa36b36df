"""Sobol search: points that spread evenly, the n-th one the same however often and whenever it is asked for.

I. M. Sobol', "On the distribution of points in a cube" (1967), shifted modulo 1 by a random vector of the study's
seed (Cranley and Patterson, 1976), so that another seed gives other points.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from scipy.stats import qmc

from secondshift.policies.models.enumerations import enumeration
from secondshift.policies.models.proposals import RECENT, drawn, fill, own, shuffled
from secondshift.policies.models.spaces import Region, region
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Study, Value

NAME = "sobol"


def decide(state: State) -> list[Decision]:
    """Propose just enough candidates to fill the free slots."""
    study = state.study
    if study is None:
        return []
    ground = region(study.space)

    def points(newest: Mapping[str, Value] | None) -> Iterator[Mapping[str, Value]]:
        # Points that spread evenly in the cube would fall on the same values of a finite space again and again.
        finite = enumeration(ground)
        if finite is not None:
            return shuffled(state, ground, finite, newest)
        known = [candidate.params for candidate in islice(own(state, NAME), RECENT)]
        return _spread(study, ground, sum(state.statuses.values()), known)

    return fill(
        state, by=NAME, ground=ground, points=points, word="The next point of a Sobol sequence over the search space"
    )


def _spread(
    study: Study, ground: Region, first: int, known: list[Mapping[str, Value]]
) -> Iterator[Mapping[str, Value]]:
    """Give the points of the sequence from number `first` on; one that breaks a constraint is shifted anew."""
    sequence = qmc.Sobol(len(ground.parameters), scramble=False)
    if first:
        sequence.fast_forward(first)
    while True:
        point = sequence.random(1)[0]
        shifted = _shifted(study, ground, point)
        yield next(drawn(ground, lambda shifted=shifted: next(shifted), known))


def _shifted(study: Study, ground: Region, point: np.ndarray) -> Iterator[Mapping[str, Value]]:
    number = 0
    while True:
        shift = np.random.default_rng([study.seed, study.revision, number]).random(len(point))
        yield ground.decode(((point + shift) % 1.0).tolist())
        number += 1

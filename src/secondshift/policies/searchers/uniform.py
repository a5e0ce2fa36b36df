"""Random search: candidates are drawn independently; a finite space is walked in a shuffled order, no point twice."""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from secondshift.policies.models.enumerations import enumeration
from secondshift.policies.models.proposals import RECENT, drawn, fill, own, shuffled
from secondshift.policies.models.spaces import region
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Value

NAME = "random"


def decide(state: State) -> list[Decision]:
    """Propose just enough candidates to fill the free slots."""
    study = state.study
    if study is None:
        return []
    ground = region(study.space)

    def points(newest: Mapping[str, Value] | None) -> Iterator[Mapping[str, Value]]:
        finite = enumeration(ground)
        if finite is not None:
            return shuffled(state, ground, finite, newest)
        rng = np.random.default_rng([study.seed, study.revision, len(state.candidates)])
        known = [candidate.params for candidate in islice(own(state, NAME), RECENT)]
        return drawn(ground, lambda: ground.decode(rng.random(len(ground.parameters)).tolist()), known)

    return fill(state, by=NAME, ground=ground, points=points, word="Drawn at random from the search space")

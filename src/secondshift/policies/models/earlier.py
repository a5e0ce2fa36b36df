"""Runs that were imported, as the process sees them: curves of their own, on a scale of their own.

They tell which parameters matter and where it is good, never how good: levels of another data set are not comparable. So
each group of runs is warped by its own losses, and one more column says that a curve is of another study; its lengthscale
is fitted as any other, after K. Swersky, J. Snoek, R. Adams: "Multi-Task Bayesian Optimization" (2013), so that what tells
nothing of this study is unlearned.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.losses import FAILED, kept, losses
from secondshift.policies.models.warping import Warp, warp
from secondshift.records.guards import breaks
from secondshift.records.pastruns import Imported
from secondshift.records.states import State
from secondshift.records.studies import Study, Value

MOST_EARLIER, BEST_EARLIER = 60, 40  # curves in all; of them the best, the others evenly chosen of the rest
MOST_OF_EACH = 3  # points of a curve
LEAST_ROOM = MOST_EARLIER  # points that earlier runs may have however many the study has of its own: one of each curve


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """One earlier run."""

    trial: str  # p1, p2, ...
    params: Mapping[str, Value]
    steps: np.ndarray  # float64[points]: steps done
    values: np.ndarray  # float64[points]: warped by the scale of its group
    scale: Warp


def earlier(state: State, study: Study) -> list[Past]:
    """The runs that were imported into this revision, the best first; none where no group of them has a finite value, or where
    the study does not ask for a warm start."""
    if not study.policy.warm_start:
        return []
    groups: dict[tuple[str, str], list[tuple[Imported, np.ndarray, np.ndarray]]] = {}
    for run, steps, found in _curves(state, study):
        study_of_it, mark, _ = run.run.partition("#")
        groups.setdefault((run.source, study_of_it if mark else ""), []).append((run, steps, found))
    pasts = [past for group in groups.values() for past in _warped(group)]
    pasts.sort(key=lambda past: float(np.min(past.values)))
    rest = pasts[BEST_EARLIER:]
    if len(pasts) > MOST_EARLIER:
        rest = [rest[index] for index in np.linspace(0, len(rest) - 1, MOST_EARLIER - BEST_EARLIER).astype(int)]
    return pasts[:BEST_EARLIER] + rest


def thinned(pasts: Sequence[Past], room: int) -> list[Past]:
    """The same with fewer points of each, the newest always, so that they fit into so much room."""
    most = int(np.clip(room // max(1, len(pasts)), 1, MOST_OF_EACH))
    return [_thinned(past, most) for past in pasts]


def _curves(state: State, study: Study) -> Iterator[tuple[Imported, np.ndarray, np.ndarray]]:
    for run in state.imported.values():
        if run.trial.revision != study.revision:
            continue
        curve = state.curves.get(run.trial.id)
        if curve is None or not curve.steps:
            if run.trial.status != "failed":
                continue
            curve = FAILED
        found = losses(study, curve)
        found = np.full(len(found), np.inf) if breaks(study.objective, run.trial) else found
        chosen = kept(len(found))
        yield run, np.array(curve.steps, dtype=float)[chosen], found[chosen]


def _warped(group: Sequence[tuple[Imported, np.ndarray, np.ndarray]]) -> Iterator[Past]:
    scale = warp(np.concatenate([found for _, _, found in group]), np.array([found[0] for _, _, found in group]))
    if scale is None:
        return
    for run, steps, found in group:
        yield Past(trial=run.trial.id, params=run.trial.params, steps=steps, values=scale(found), scale=scale)


def _thinned(past: Past, most: int) -> Past:
    count = len(past.steps)
    chosen = np.unique(np.linspace(count - 1, 0, min(count, most)).astype(int))
    return Past(
        trial=past.trial, params=past.params, steps=past.steps[chosen], values=past.values[chosen], scale=past.scale
    )

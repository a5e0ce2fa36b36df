"""Looking back at a study: how each trial would have ended, and what a random search that trains all of them fully had come to."""

from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.outlook import outlook, seen
from secondshift.policies.models.warping import Warp
from secondshift.records.guards import breaks
from secondshift.records.states import State

LEAST, TRAINED = 12, 3  # trials with a curve, and of them trained to the end, below which nothing is said
DRAWS = 400  # orders in which the trials might have come, and ends that they might have had


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The losses of trials at the horizon, on the outlook's scale (smaller is better)."""

    trials: tuple[str, ...]
    means: np.ndarray  # float64[trials]: as it is for those trained to the end, as expected for the others
    spreads: np.ndarray  # float64[trials]: standard deviations; 0 for those trained to the end or failed
    scale: Warp
    trained: int  # how many came to their end


@dataclass(frozen=True, kw_only=True, slots=True)
class Counterfactual:
    """What full trainings, one after the other in an order of chance, would have come to; in the metric's own unit."""

    low: tuple[float, ...]  # best of the first 1, 2, ... trainings: lower end of the central 80 %
    middle: tuple[float, ...]  # the median
    high: tuple[float, ...]
    trained: int  # how many of them were trained to the end; the others count as their curves say


def ends(state: State) -> Ends | None:
    """How the trials of the present revision end; needs `State.curves`. None where too little is known."""
    known = seen(state)
    view = outlook(state, known) if known is not None else None
    if known is None or view is None or state.study is None or len(own := known.own()) < LEAST:
        return None
    objective, trained = state.study.objective, 0
    means, spreads = view.of(own, [float(state.study.horizon_steps)] * len(own))
    for row, name in enumerate(own):
        trial = state.trials[name]
        if trial.status not in ("complete", "failed"):
            continue
        value = trial.objective(objective)
        good = trial.status == "complete" and value is not None and np.isfinite(value) and not breaks(objective, trial)
        means[row] = known.scale(np.array([objective.loss(value) if good and value is not None else np.inf]))[0]
        spreads[row], trained = 0.0, trained + (trial.status == "complete")
    if trained < TRAINED:
        return None
    return Ends(trials=own, means=means, spreads=spreads, scale=known.scale, trained=trained)


def counterfactual(state: State) -> Counterfactual | None:
    """Estimate random search with full training from the study's own trials; None where too little is known.

    It draws from the trials of the study, so where a model proposed them it is kinder to full training than random
    candidates would be; and nothing is ever said to be better than the best value seen.
    """
    found = ends(state)
    if found is None or state.study is None:
        return None
    rng = np.random.default_rng([state.study.seed, len(found.trials)])
    drawn = found.means + found.spreads * rng.standard_normal((DRAWS, len(found.means)))
    best = np.minimum.accumulate(rng.permuted(drawn, axis=1), axis=1)
    losses = [unwarped(found.scale, line) for line in np.quantile(best, [0.1, 0.5, 0.9], axis=0)]
    if state.study.objective.goal == "max":
        losses = [-line for line in reversed(losses)]
    low, middle, high = (tuple(float(value) for value in line) for line in losses)
    return Counterfactual(low=low, middle=middle, high=high, trained=found.trained)


def unwarped(scale: Warp, warped: np.ndarray) -> np.ndarray:
    """Take numbers of the outlook's scale back to losses, within those that were seen."""
    known = np.unique(scale.table[np.isfinite(scale.table)])
    return np.interp(warped, scale(known), known)

"""What all curves of a study say, looking back: full training beside this search, and which parameters matter. Not yet drawn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from secondshift import plugins
from secondshift.records.curves import Curve
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State

Reader = Callable[[str, str], tuple[Sequence[int], Sequence[float]]]  # (trial, metric) -> steps, values
LEAST = 12  # trials with a curve, below which nobody is asked
MOST = 400  # the newest ones


@dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """What a random search that trains everything fully is estimated to have come to; values in the metric's own unit."""

    points: tuple[tuple[float, float, float, float], ...]  # device-seconds spent; low, middle and high of the best until then
    full_s: float  # device-seconds of one full training
    full_of: int  # full trainings that this is the median of
    trained: int  # trials that came to their end
    trials: int

    def reaches(self, objective: Objective, value: float) -> float | None:
        """Device-seconds until its middle is as good as a value; None if it never is."""
        target = objective.loss(value)
        slack = 1e-9 * max(1.0, abs(target))
        return next((at for at, _, middle, _ in self.points if objective.loss(middle) <= target + slack), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Which parameters the ends of trials depend on."""

    shares: tuple[tuple[str, float], ...]  # the greatest first; empty: nothing can be told
    explained: float  # of the differences between trials that were held out
    trials: int
    trained: int

    def of(self, name: str) -> float | None:
        """The share of a parameter; None where nothing is told of it."""
        return dict(self.shares).get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookback:
    """Both, each None where too little is known."""

    rival: Rival | None = None
    weights: Weights | None = None
    asked: int = 0  # trials with a curve
    trained: int = 0  # of them complete


def lookback(state: State, trials: Sequence[Trial], objective: Objective, read: Reader) -> Lookback:
    """Ask what the curves say. Where every trial was trained to its end, this search is full training itself: it has no rival."""
    known = [trial for trial in trials if objective.metric in trial.metrics and trial.unaided()][-MOST:]
    trained = [trial for trial in known if trial.status == "complete"]
    asked = Lookback(asked=len(known), trained=len(trained))
    if len(known) < LEAST or not trained:
        return asked
    curves = {}
    for trial in known:
        steps, values = read(trial.id, objective.metric)
        if len(steps):
            curves[trial.id] = Curve(steps=tuple(int(step) + 1 for step in steps), values=tuple(map(float, values)))
    seen = replace(state, curves=curves)
    found = plugins.hindsight("counterfactual")(seen)
    if found is None:
        return asked
    full_s, full_of = _full(trained)
    bands = zip(found.low, found.middle, found.high, strict=True)
    points = tuple((full_s * number, *band) for number, band in enumerate(bands, 1))
    rival = Rival(points=points, full_s=full_s, full_of=full_of, trained=found.trained, trials=len(points))
    said = plugins.hindsight("importance")(seen)
    weights = Weights(shares=said.shares, explained=said.explained, trials=said.trials, trained=said.trained)
    return replace(asked, rival=rival if len(trained) < len(known) and full_s > 0 else None, weights=weights)


def _full(trained: Sequence[Trial]) -> tuple[float, int]:
    """What one full training costs: of trials that were never interrupted where there is one, as pausing costs, too."""
    whole = [trial.device_s for trial in trained if trial.attempts == 1] or [min(trial.device_s for trial in trained)]
    return statistics.median(whole), len(whole)

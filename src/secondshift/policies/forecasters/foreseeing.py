"""What every forecaster shares: when a trial is forecast, what it is made from, and that it is said where it cannot be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secondshift.policies.models.losses import losses
from secondshift.records.curves import Curve
from secondshift.records.decisions import Decision, forecast
from secondshift.records.forecasts import Forecast
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

MARKS = (0.125, 0.25, 0.5, 0.75)  # shares of the horizon at which a trial is forecast
LEAST = 3  # points of a trial, below which nothing is said of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """The losses of one trial so far: smaller is better, infinite where there was no value."""

    steps: np.ndarray  # float64[points]: steps done, ascending
    losses: np.ndarray  # float64[points]: as the objective counts them, so far the best or each as it is


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What a forecast is made from."""

    own: Path
    others: Sequence[Path]
    horizon: int
    best: float  # the least loss that any trial had so far
    falls_only: bool  # losses count as the best so far, which cannot become worse


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The loss at the horizon."""

    low: float
    middle: float
    high: float
    chance: float  # to be below `best`


Forecaster = Callable[[Ground], Expected | None]  # None: it has no ground


def observer(name: str, expect: Forecaster) -> Callable[[State], list[Decision]]:
    """Make a decider of the first stage that forecasts each trial of the search when it has passed a mark."""

    def decide(state: State) -> list[Decision]:
        study = state.study
        if study is None or state.shift is None or not state.curves:
            return []
        due = [trial for trial in _searched(state, study) if _due(state, study, trial)]
        if not due:
            return []
        paths = {trial.id: path(study, state.curves[trial.id]) for trial in _searched(state, study) if trial.unaided()}
        return [_said(name, expect, study, paths, trial, state.curves[trial.id]) for trial in due]

    return decide


def path(study: Study, curve: Curve) -> Path:
    """A curve as forecasters see it."""
    return Path(steps=np.array(curve.steps, dtype=float), losses=losses(study, curve))


def _searched(state: State, study: Study) -> list[Trial]:
    trials = (state.trials[name] for name in state.curves if name in state.trials)
    return [trial for trial in trials if trial.revision == study.revision and trial.pair < 0]


def _due(state: State, study: Study, trial: Trial) -> bool:
    """Say whether a trial has passed a mark since it was last forecast, and is not at its end."""
    step = state.curves[trial.id].steps[-1]
    if not trial.open() or step >= study.horizon_steps:
        return False
    passed = [mark for mark in MARKS if step >= mark * study.horizon_steps]
    known = state.forecasts.get(trial.id, ())
    return bool(passed) and not (known and known[-1].step >= passed[-1] * study.horizon_steps)


def _said(
    name: str, expect: Forecaster, study: Study, paths: dict[str, Path], trial: Trial, curve: Curve
) -> Decision:
    own = paths.get(trial.id) or path(study, curve)
    others = [other for known, other in paths.items() if known != trial.id and len(other.steps)]
    said = Forecast(trial=trial.id, step=curve.steps[-1], horizon=study.horizon_steps, curves=len(others), by=name)
    why = _no_ground(own)
    best = min((float(np.min(other.losses)) for other in (own, *others)), default=math.inf)
    expected = None if why else expect(
        Ground(own=own, others=others, horizon=study.horizon_steps, best=best, falls_only=study.objective.at == "best")
    )
    if expected is None:
        said = replace(said, abstains=why or "no curve to compare it with has come far enough")
        return forecast(said, reason=f"No forecast of {trial.id}: {said.abstains}.", by=name)
    ends = (expected.low, expected.high) if study.objective.goal == "min" else (-expected.high, -expected.low)
    middle = expected.middle if study.objective.goal == "min" else -expected.middle
    said = replace(said, low=ends[0], middle=middle, high=ends[1], chance=expected.chance)
    reason = f"{trial.id} is expected to end between {said.low:.6g} and {said.high:.6g}, from {said.curves} other curves."
    return forecast(said, reason=reason, by=name)


def _no_ground(own: Path) -> str:
    if len(own.steps) < LEAST:
        return f"it has logged fewer than {LEAST} values"
    return "" if math.isfinite(own.losses[-1]) else "its newest value is not finite"


def weighted(values: np.ndarray, weights: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Quantiles of weighted values."""
    order = np.argsort(values, kind="stable")
    level = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(shares, level / weights.sum(), values[order])

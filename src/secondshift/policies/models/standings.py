"""Who stands where at each rung of successive halving: trials of one revision compared at equal steps."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secondshift.records.guards import breaks
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Trial


def rungs(study: Study) -> tuple[int, ...]:
    """Give the steps at which trials are compared, ascending, all below the horizon."""
    eta, horizon = max(2, study.policy.eta), study.horizon_steps
    step = study.policy.min_steps or max(1, horizon // eta**2)
    found = []
    while step < horizon:
        found.append(step)
        step *= eta
    return tuple(found)


def reached(trial: Trial) -> int:
    """Count the steps a trial has done, saved or not."""
    return max(trial.steps_done, trial.logged_step + 1)


def rung_of(ladder: tuple[int, ...], steps: int) -> int:
    """Give the index of the highest rung that `steps` steps have reached; -1 for none."""
    return bisect_right(ladder, steps) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """All trials that reached a rung, oldest first, and their losses there (inf: not a finite value, or a guard is broken)."""

    step: int
    trials: tuple[str, ...]
    losses: np.ndarray  # float64[trials]; smaller is better, whatever the goal

    def best(self, count: int) -> Iterator[str]:
        """Give the `count` best trials, best first; of equals the older; none without a finite value."""
        if count <= 0:
            return
        if count < len(self.losses):
            edge = np.partition(self.losses, count - 1)[count - 1]
            inside = np.flatnonzero(self.losses <= edge)
        else:
            inside = np.arange(len(self.losses))
        order = inside[np.argsort(self.losses[inside], kind="stable")][:count]
        for index in order.tolist():
            if not math.isfinite(self.losses[index]):
                return
            yield self.trials[index]

    def ranks(self, losses: list[float]) -> list[int]:
        """Count for each of `losses` the trials that are strictly better."""
        return np.searchsorted(np.sort(self.losses), np.array(losses, dtype=np.float64), side="left").tolist()


def standings(state: State, study: Study, ladder: tuple[int, ...]) -> tuple[Rung, ...]:
    """Collect every trial of the current revision at each rung it reached, in one pass.

    The value at a rung is the first milestone at or after it and before the next one. A trial that has passed a rung
    without one (it cannot pause there) stands with its newest value, as long as it is not past the next rung. One that
    breaks a guard stands without a value.
    """
    names: list[list[str]] = [[] for _ in ladder]
    values: list[list[float]] = [[] for _ in ladder]
    objective, horizon, revision = study.objective, study.horizon_steps, study.revision
    guarded = bool(objective.guards)
    first = ladder[0] if ladder else horizon
    places: dict[int, int] = {}  # this loop is most of a tick with ten thousand trials, so it looks steps up once
    for name, trial in state.trials.items():
        if trial.revision != revision or trial.pair >= 0:
            continue
        newest, step = -1, 0
        spoilt = guarded and breaks(objective, trial)
        for milestone in trial.milestones:
            step = milestone.step
            rung = places.get(step)
            if rung is None:
                rung = places[step] = rung_of(ladder, step) if step < horizon else -1
            if rung > newest:
                newest = rung
                names[rung].append(name)
                values[rung].append(math.nan if spoilt else milestone.value)
        steps = trial.logged_step + 1
        if steps < trial.steps_done:
            steps = trial.steps_done
        if step < steps < horizon and first <= steps:
            rung = rung_of(ladder, steps)
            if rung > newest:
                value = trial.objective(objective)
                names[rung].append(name)
                values[rung].append(math.nan if value is None or spoilt else value)
    return tuple(
        Rung(step=step, trials=tuple(at), losses=_losses(found, objective))
        for step, at, found in zip(ladder, names, values, strict=True)
    )


def _losses(values: list[float], objective: Objective) -> np.ndarray:
    """Do for many values what Objective.loss does for one; what is not finite is worse than anything."""
    array = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(array), array if objective.goal == "min" else -array, np.inf)

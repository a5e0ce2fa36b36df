"""Parents and children: which of the trials seen may have offspring, and how a child differs from its parents.

The step is that of differential evolution: R. Storn and K. Price, "Differential Evolution - A Simple and Efficient
Heuristic for Global Optimization over Continuous Spaces" (Journal of Global Optimization 11, 1997). It is taken in the
unit cube, so that log axes and whole numbers are respected, and categories are taken over or drawn anew.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.spaces import Region
from secondshift.policies.models.standings import rungs, standings
from secondshift.records.guards import breaks
from secondshift.records.states import State
from secondshift.records.studies import Study, Value
from secondshift.records.trials import Candidate, Trial

ELITE = 3  # of the best one is the parent; the better, the likelier
POOL = 8  # of the best: two of them give the direction of a step
ENOUGH = 8  # results at equal steps that make a level worth comparing at, and trials seen before there are any children
LEAST = 3  # parents without which there is no step
CROSSED = 0.6  # of the numbers take part in a step
REDRAWN = 0.1  # of the categories that take part are drawn anew; the others are a parent's
BLUR = 0.05  # of an axis: standard deviation of what is added to each step, so that no line of parents is the end


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """A trial that may have children."""

    trial: str
    candidate: str
    params: Mapping[str, Value]
    value: float  # the objective at the steps at which all parents are compared
    loss: float  # the same, smaller is better


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Trials compared at equal steps: those with a finite value, best first, of equals the older."""

    step: int
    parents: tuple[Parent, ...]


def seen(state: State, study: Study) -> int:
    """Count the trials that say something about where to look: those that ended or wait at a rung, failed ones included."""
    return sum(state.statuses.get(status, 0) for status in ("complete", "failed", "stopped", "paused"))


def level(state: State, study: Study, ground: Region) -> Level | None:
    """Give the trials among which parents are chosen, compared at the most steps that enough of them have done.

    Full results are used from ENOUGH on, else those of the highest rung with as many, else the most there are. A run
    that failed or diverged counts as seen and is never a parent. None as long as too little was seen.
    """
    if seen(state, study) < ENOUGH:
        return None
    best: Level | None = None
    for found in _levels(state, study, ground):
        if len(found.parents) >= ENOUGH:
            return found
        if len(found.parents) >= LEAST and (best is None or len(found.parents) > len(best.parents)):
            best = found
    return best


def _levels(state: State, study: Study, ground: Region) -> list[Level]:
    """Each level at which trials can be compared, that of the most steps first."""
    objective, table = study.objective, standings(state, study, rungs(study))
    full = {
        trial.id: value
        for trial in state.trials.values()
        if trial.status == "complete" and trial.pair < 0 and trial.revision == study.revision
        and (value := trial.objective(objective)) is not None and not breaks(objective, trial)
    }  # fmt: skip
    sign = 1.0 if objective.goal == "min" else -1.0
    levels = [Level(step=study.horizon_steps, parents=_parents(state, ground, {n: (v, sign * v) for n, v in full.items()}))]
    for rung in reversed(table):
        losses = dict(zip(rung.trials, ((sign * loss, loss) for loss in rung.losses.tolist()), strict=True))
        levels.append(Level(step=rung.step, parents=_parents(state, ground, losses)))
    return levels


def _parents(state: State, ground: Region, results: Mapping[str, tuple[float, float]]) -> tuple[Parent, ...]:
    found: list[Parent] = []
    for name, (value, loss) in results.items():
        trial = state.trials[name]
        if not math.isfinite(loss) or not trial.unaided():
            continue  # one that was helped, or began from another's weights, says little of its parameters
        params = placed_of(ground, state.candidates[trial.candidate], trial)
        if params is not None:
            found.append(Parent(trial=name, candidate=trial.candidate, params=params, value=value, loss=loss))
    return tuple(sorted(found, key=lambda parent: parent.loss))


def placed_of(ground: Region, candidate: Candidate, trial: Trial) -> Mapping[str, Value] | None:
    """Give the parameters of a trial as a point of the space, a script's own defaults included; None if they are none."""
    told = {p.name: trial.params[p.name] for p in ground.parameters if p.name in trial.params}
    for params in (candidate.params, {**told, **candidate.params}):
        if params and not ground.fault(params):
            return params
    return None


def child(ground: Region, found: Level, rng: np.random.Generator) -> tuple[Mapping[str, Value], tuple[Parent, ...]]:
    """Make a child: its parent, moved by the difference of two others. Constraints may break."""
    weights = np.array([1.0 / (1 + place) for place in range(min(ELITE, len(found.parents)))])
    parent = found.parents[int(rng.choice(len(weights), p=weights / weights.sum()))]
    pool = found.parents[:POOL]
    one, other = (pool[int(place)] for place in rng.choice(len(pool), 2, replace=False))
    start, ahead, behind = (np.array(ground.encode(p.params)) for p in (parent, one, other))
    count = len(start)
    moved = start + rng.uniform(0.3, 0.9) * (ahead - behind) + BLUR * rng.standard_normal(count)
    takes_part = rng.random(count) < CROSSED
    takes_part[int(rng.integers(count))] = True
    draws, again = rng.random(count), rng.random(count) < REDRAWN
    point: list[float] = []
    for place, parameter in enumerate(ground.parameters):
        name = parameter.name
        if name not in parent.params:
            point.append(float(ahead[place]) if name in one.params else float(draws[place]))
        elif not takes_part[place]:
            point.append(float(start[place]))
        elif parameter.kind == "categorical":
            drawn = again[place] or name not in one.params
            point.append(float(draws[place] if drawn else ahead[place]))
        else:
            point.append(reflected(float(moved[place])))
    return ground.decode(point), (parent, *(p for p in (one, other) if p is not parent))


def reflected(u: float) -> float:
    """Fold a number back between 0 and 1 at the ends."""
    folded = abs(u) % 2.0
    return 2.0 - folded if folded > 1.0 else folded


def changes(before: Mapping[str, Value], after: Mapping[str, Value]) -> str:
    """Say without words what a child has otherwise than its parent."""
    parts = [
        f"{name} {_shown(before[name])} → {_shown(value)}" if name in before else f"+ {name} {_shown(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return ", ".join([*parts, *(f"- {name}" for name in before if name not in after)]) or "="


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

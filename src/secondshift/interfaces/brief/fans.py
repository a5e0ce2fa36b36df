"""What a fan chart shows: a curve, how it was expected to end at each forecast, and how it did. Gathered, not yet drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from secondshift.interfaces.readmodel.forecasts import newest, put_to_test
from secondshift.interfaces.readmodel.objectives import ranked
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State

Reader = Callable[[str, str], tuple[Sequence[int], Sequence[float]]]  # (trial, metric) -> steps, values
Role = Literal["best", "miss", "hope", "asked"]  # why it is shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Ray:
    """One forecast: it opens at the step at which it was made, and reaches to the horizon."""

    step: int  # steps done
    begins: float  # the objective there; NaN where none is known
    low: float
    middle: float
    high: float
    chance: float
    held: bool | None = None  # None while the trial has not come to its end

    def origin(self) -> float:
        """Where it opens: at the curve, or where that is not known at its own middle."""
        return self.begins if math.isfinite(self.begins) else self.middle


@dataclass(frozen=True, kw_only=True, slots=True)
class Fan:
    """One trial with all of its forecasts, in the metric's own unit."""

    trial: str
    metric: str
    horizon: int
    steps: Sequence[int]  # done, ascending
    values: Sequence[float]
    rays: tuple[Ray, ...]  # oldest first; abstentions are not among them
    ended: float | None = None  # the objective at the end; None while it has none
    role: Role = "asked"

    def span(self) -> tuple[float, float]:
        """From where to where its values go: the steep beginning of a curve is left out, what was forecast never is."""
        first = self.rays[0].step / 2
        seen = [v for at, v in zip(self.steps, self.values, strict=True) if at >= first and math.isfinite(v)]
        seen += [end for ray in self.rays for end in (ray.low, ray.high, ray.begins) if math.isfinite(end)]
        if self.ended is not None and math.isfinite(self.ended):
            seen.append(self.ended)
        return (min(seen), max(seen)) if seen else (0.0, 1.0)


def fan(state: State, objective: Objective, trial: Trial, read: Reader, role: Role = "asked") -> Fan | None:
    """Gather the fan of one trial; None where nothing was ever forecast of it."""
    said = [one for one in state.forecasts.get(trial.id, ()) if not one.abstains]
    if not said:
        return None
    logged, values = read(trial.id, objective.metric)
    horizon = said[-1].horizon
    steps = [min(horizon, step + 1) for step in logged]
    values = list(accumulate(values, _better(objective))) if objective.at == "best" else list(values)
    ended = trial.objective(objective) if trial.status == "complete" else None
    rays = tuple(
        Ray(
            step=one.step, begins=_at(steps, values, one.step), low=one.low, middle=one.middle, high=one.high,
            chance=one.chance, held=None if ended is None else one.holds(ended),
        )
        for one in said
    )  # fmt: skip
    return Fan(
        trial=trial.id, metric=objective.metric, horizon=horizon, steps=steps, values=values, rays=rays, ended=ended, role=role
    )


def _better(objective: Objective) -> Callable[[float, float], float]:
    def best(one: float, other: float) -> float:
        return other if math.isnan(one) or objective.better(other, one) else one

    return best


def _at(steps: Sequence[int], values: Sequence[float], step: int) -> float:
    """The newest finite value until a step; NaN if there is none."""
    known = [value for at, value in zip(steps, values, strict=True) if at <= step and math.isfinite(value)]
    return known[-1] if known else math.nan


def fans(state: State, trials: Sequence[Trial], objective: Objective, read: Reader) -> tuple[Fan, ...]:
    """At most three: the best complete trial, the forecast that missed most, and the likeliest of those that may still run."""
    wanted: dict[str, Role] = {}
    best = ranked(objective, [trial for trial in trials if trial.status == "complete"])
    for trial in best[:1]:
        wanted[trial.id] = "best"
    for one in put_to_test(state, objective, trials)[:1]:
        if one.off() > 0:
            wanted.setdefault(one.forecast.trial, "miss")
    hopes = [(trial, newest(state, trial.id)) for trial in trials if trial.open()]
    likely = [(said.chance, trial.id) for trial, said in hopes if said is not None and math.isfinite(said.chance)]
    if likely:
        wanted[max(likely, key=lambda pair: pair[0])[1]] = "hope"
    made = (fan(state, objective, state.trials[name], read, role) for name, role in wanted.items())
    return tuple(one for one in made if one is not None)

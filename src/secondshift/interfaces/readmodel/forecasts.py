"""How trials were expected to end, for every window that shows one, and how those that ended came out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from secondshift.records.forecasts import COVERED, Forecast
from secondshift.records.nights import Statement
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State

QUARTER, HALF = 0.25, 0.5  # shares of the horizon between which a forecast counts as made at a quarter of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """A forecast, and how its trial ended."""

    forecast: Forecast
    value: float  # the objective at the end, in the metric's own unit; may be no number

    @property
    def held(self) -> bool:
        """Say whether the end lies in the interval."""
        return self.forecast.holds(self.value)

    def off(self) -> float:
        """By how much the end lies outside the interval; infinite where it is no number."""
        if not math.isfinite(self.value):
            return math.inf
        return max(self.forecast.low - self.value, self.value - self.forecast.high, 0.0)


def newest(state: State, trial: str) -> Forecast | None:
    """The newest forecast of a trial, or its abstention; None if none was made."""
    known = state.forecasts.get(trial, ())
    return known[-1] if known else None


def expected(state: State, trial: Trial) -> Statement | None:
    """How a trial that may still run is expected to end, or why nobody knows; None where no forecaster spoke."""
    found = newest(state, trial.id) if trial.open() else None
    if found is None:
        return None
    if found.abstains:
        return Statement(key="forecast.abstains", values={"reason": found.abstains, "step": found.step})
    values = {
        "middle": found.middle, "low": found.low, "high": found.high, "covered_share": COVERED, "step": found.step,
        "chance": percent(found.chance),
    }  # fmt: skip
    return Statement(key="forecast.expected", values=values)


def percent(share: float) -> str:
    """A chance as people write it; what is rounded to nothing or to all is not called that."""
    if not math.isfinite(share):
        return "?"
    return "<1%" if 0 < share < 0.01 else ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def row(state: State, trial: Trial) -> dict[str, Any] | None:
    """The newest forecast as a document; what is not known is None."""
    found = newest(state, trial.id)
    if found is None:
        return None
    numbers = {"low": found.low, "middle": found.middle, "high": found.high, "chance": found.chance}
    told = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {"step": found.step, "horizon": found.horizon, **told, "covered": COVERED, "curves": found.curves,
            "by": found.by, "abstains": found.abstains or None}  # fmt: skip


def at_a_quarter(state: State, trial: str) -> Forecast | None:
    """The first forecast of a trial made from a quarter of the horizon on and before the half, abstentions left out."""
    for one in state.forecasts.get(trial, ()):
        if not one.abstains and QUARTER * one.horizon <= one.step < HALF * one.horizon:
            return one
    return None


def put_to_test(state: State, objective: Objective, trials: Sequence[Trial]) -> list[Tested]:
    """Forecasts made at a quarter of the way whose trials came to their end by themselves, the worst miss first."""
    found = []
    for trial in trials:
        said = at_a_quarter(state, trial.id)
        value = trial.objective(objective)
        if said is not None and value is not None and trial.status == "complete" and trial.unaided():
            found.append(Tested(forecast=said, value=value))
    return sorted(found, key=lambda one: -one.off())


def lines(state: State, most: int = 5) -> list[Statement]:
    """What is expected of the trials that may still run, the likeliest to be the best first; for a window of the whole study."""
    known = [(trial, newest(state, trial.id)) for trial in (state.trials[name] for name in state.open)]
    spoken = [(trial, one) for trial, one in known if one is not None and not one.abstains]
    spoken.sort(key=lambda pair: -pair[1].chance if math.isfinite(pair[1].chance) else 0.0)
    said = []
    for trial, _ in spoken[:most]:
        statement = expected(state, trial)
        if statement is not None:
            said.append(Statement(key="forecast.of", values={"trial": trial.id, **statement.values}))
    silent = sum(one is not None and bool(one.abstains) for _, one in known)
    if len(spoken) > most:
        said.append(Statement(key="forecast.more", values={"n": len(spoken) - most}))
    if silent:
        said.append(Statement(key="forecast.silent", values={"n": silent}))
    return said

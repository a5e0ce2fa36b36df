"""How a trial was expected to end, who said so on what ground, and the audits that put it to the test."""

import math
from dataclasses import dataclass
from typing import Literal

COVERED = 0.8  # probability with which the value at the horizon is said to lie within


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The objective of one trial at the horizon, as it was expected after so many steps; in the metric's own unit."""

    trial: str
    step: int  # steps done when it was made
    horizon: int
    low: float = math.nan  # between low and high with probability COVERED; NaN where it abstains
    middle: float = math.nan  # the median
    high: float = math.nan
    chance: float = math.nan  # to be better at the horizon than the best of all trials was when it was made
    curves: int = 0  # other curves it was made from
    by: str = ""  # name of the forecaster
    abstains: str = ""  # why there is no forecast; empty where there is one

    def holds(self, value: float) -> bool:
        """Say whether a value lies in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """A trial that was given up, drawn by chance among all of them, and trained to its end after all."""

    trial: str
    number: int  # of the draw, from 1
    probability: float  # with which this one was drawn
    population: int  # trials that were given up then; each had a chance to be drawn
    revision: int = 1
    step: int = 0  # steps it had done
    spent_s: float = 0.0  # device-seconds it had cost; all that it costs from here on is the audit's
    cost_s: float = 0.0  # device-seconds that the rest is expected to cost
    forecast: Forecast | None = None  # how it was expected to end when it was drawn; None: nobody had said
    widened: float = 1.0  # by how much the deviation behind the forecast was widened
    outcome: Literal["", "ended", "diverged", "cut"] = ""  # cut: it did not come to its end by itself, and counts in no estimate
    value: float = math.nan  # the objective at its end, in the metric's own unit
    best: float = math.nan  # of all other trials then
    regret: float = 0.0  # by how much it was better than that; 0: it was not

    def weight(self) -> float:
        """What it stands for in an estimate over all that were given up: 1 on average, 1 / (population * probability)."""
        return 1.0 / (self.population * self.probability)

    def held(self) -> bool | None:
        """Say whether it ended where it was expected to; None where nobody had said, or it did not come to its end."""
        said = self.forecast
        if said is None or said.abstains or self.outcome in ("", "cut"):
            return None
        if self.outcome == "diverged":
            return math.isinf(said.low) or math.isinf(said.high)
        return said.holds(self.value)

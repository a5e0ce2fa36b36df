"""How a trial was expected to end, and who said so on what ground."""

import math
from dataclasses import dataclass

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

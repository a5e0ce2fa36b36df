"""A scale on which losses of any kind look alike: in part by rank, in part by the logarithm of the distance to the best.

Ranks tell small gains over a plateau from none, which is what the first steps of slow starters show; the logarithm keeps
the distances between good ones, on which models of smooth functions live. Neither does alone: docs/benchmarks.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

RANKS = 0.6  # weight of the scale by rank beside that by logarithm
FLOOR = 0.05  # of the range: nearer to the best seen, distances count as they are
ROUNDING = 1e-9  # a smaller spread is none


@dataclass(frozen=True, kw_only=True, slots=True)
class Warp:
    """A rising function from losses to numbers of mean 0 and variance 1 over what it was made from."""

    table: np.ndarray  # float64[points]: losses, ascending; infinite where there was none
    low: float
    high: float  # losses above it are as bad as it is, but for their ranks
    mean: float = 0.0
    spread: float = 1.0

    def __call__(self, losses: np.ndarray) -> np.ndarray:
        """Map losses of any shape; NaN counts as infinite."""
        found = np.where(np.isnan(losses), np.inf, losses)
        count = len(self.table)
        ranks = 0.5 * (np.searchsorted(self.table, found, "left") + np.searchsorted(self.table, found, "right"))
        by_rank = ndtri(np.clip(ranks / count, 0.5 / count, 1 - 0.5 / count))
        share = np.clip((found - self.low) / (self.high - self.low), 0.0, 1.0)
        return (RANKS * by_rank + np.log(share + FLOOR) - self.mean) / self.spread

    def back(self, value: float) -> float:
        """The least loss that is mapped so high: below the best seen along the slope there, infinite above the worst."""
        low, high = self.low, float(np.max(self.table[np.isfinite(self.table)]))
        if (short := float(self(np.array(low))) - value) > 0:
            return low - short * self.spread * FLOOR * (self.high - self.low)
        if value > float(self(np.array(high))):
            return np.inf
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if float(self(np.array(middle))) >= value else (middle, high)
        return high


def warp(losses: np.ndarray, firsts: np.ndarray) -> Warp | None:
    """Make the scale of all losses seen; `firsts` are those of the first points. None without a finite loss."""
    finite, begun = losses[np.isfinite(losses)], firsts[np.isfinite(firsts)]
    if not len(finite):
        return None
    low = float(np.min(finite))
    high = float(max(np.median(finite), np.median(begun) if len(begun) else low))
    table = np.sort(np.where(np.isfinite(losses), losses, np.inf))
    raw = Warp(table=table, low=low, high=high if high > low else low + max(abs(low), 1.0) * 1e-9)
    seen = raw(losses)
    spread = float(seen.std())
    return Warp(table=table, low=low, high=raw.high, mean=float(seen.mean()), spread=spread if spread > ROUNDING else 1.0)

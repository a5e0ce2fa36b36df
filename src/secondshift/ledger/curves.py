"""Curves as they are read: one value per step, thinned for a plot without losing a spike."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Series:
    """Points of one metric of one trial."""

    steps: np.ndarray  # int64[n]
    values: np.ndarray  # float64[n]; NaN and infinities as they were logged
    attempts: np.ndarray  # int32[n]: which attempt of the trial wrote each point, from 1; 0 if its id does not say

    def __len__(self) -> int:
        return len(self.steps)


EMPTY = Series(steps=np.empty(0, np.int64), values=np.empty(0, np.float64), attempts=np.empty(0, np.int32))


def check_series(points: int | None, raw: bool) -> None:
    """Raise ValueError if a raw curve is to be thinned, or to almost nothing."""
    if raw and points is not None:
        raise ValueError(
            f"raw=True and points={points} were given. Expected one: raw curves are every point ever logged."
        )
    if points is not None and points < 4:
        raise ValueError(f"A curve of {points} points was asked for. Expected at least 4, or None for all of them.")


def joined(older: Series, newer: Series) -> Series:
    """Put one behind the other, in the order of writing."""
    return Series(
        steps=np.concatenate([older.steps, newer.steps]),
        values=np.concatenate([older.values, newer.values]),
        attempts=np.concatenate([older.attempts, newer.attempts]),
    )


def merged(series: Series) -> Series:
    """Keep one value per step, the last written, sorted by step."""
    steps = series.steps
    if len(steps) < 2 or bool(np.all(steps[1:] > steps[:-1])):
        return series
    # unique() keeps the first of equals, so it is asked about the reversed order.
    _, found = np.unique(steps[::-1], return_index=True)
    return _taken(series, len(steps) - 1 - found)


def decimated(series: Series, points: int) -> Series:
    """Thin a curve (sorted by step) to at most `points` of its own points.

    Each of equal runs of points keeps its lowest and its highest, and its first NaN if the curve has any NaN at all.
    `points` is at least 4.
    """
    n = len(series)
    if n <= points:
        return series
    holes = np.isnan(series.values)
    any_hole = bool(holes.any())
    runs = points // (3 if any_hole else 2)
    bounds = np.linspace(0, n, runs + 1).astype(np.int64)
    kept = [_extremes(np.where(holes, np.inf, series.values) if any_hole else series.values, bounds, n)]
    kept.append(_extremes(-np.where(holes, -np.inf, series.values) if any_hole else -series.values, bounds, n))
    if any_hole:
        kept.append(_extremes(np.where(holes, 0.0, 1.0), bounds, n))
    return _taken(series, np.unique(np.concatenate(kept)))


def _extremes(numbers: np.ndarray, bounds: np.ndarray, n: int) -> np.ndarray:
    """Index of the smallest number of each run bounds[i]:bounds[i+1]; the first of equals."""
    runs = len(bounds) - 1
    width = -(-n // runs)
    # Runs differ in length by at most one; the short ones are filled up with what never wins.
    index = bounds[:-1, None] + np.arange(width)[None, :]
    inside = index < bounds[1:, None]
    table = np.where(inside, numbers[np.minimum(index, n - 1)], np.inf)
    return bounds[:-1] + table.argmin(axis=1)


def _taken(series: Series, index: np.ndarray) -> Series:
    return Series(steps=series.steps[index], values=series.values[index], attempts=series.attempts[index])


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A curve as far as it has been read from the store."""

    last_row: int = 0  # newest stored batch that is in it
    raw: Series = EMPTY  # in the order of writing
    merged: Series = EMPTY

    def extended(self, last_row: int, newer: Series) -> "Curve":
        """Return the curve with newly read points behind it."""
        raw = joined(self.raw, newer) if len(self.raw) else newer
        return Curve(last_row=last_row, raw=raw, merged=merged(raw))


@dataclass(slots=True)
class CurveCache:
    """Decoded curves, so that reading one again costs only what is new; the least recently used are forgotten."""

    limit_points: int = 4_000_000  # 20 bytes each, twice that where steps repeat
    _curves: "OrderedDict[tuple[str, str], Curve]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, trial: str, metric: str) -> Curve:
        """Return what is known of a curve; an empty one if nothing is."""
        with self._lock:
            return self._curves.get((trial, metric), Curve())

    def put(self, trial: str, metric: str, curve: Curve) -> None:
        """Keep a curve; others make room for it."""
        with self._lock:
            self._curves.pop((trial, metric), None)
            self._curves[trial, metric] = curve
            total = sum(len(kept.raw) for kept in self._curves.values())
            while total > self.limit_points and len(self._curves) > 1:
                total -= len(self._curves.popitem(last=False)[1].raw)

"""Intervals of a mean, and of the difference of two: what repeats leave open, and what a sample of cases does."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

SIDE = 0.025  # error of each side
_Z = 1.959963984540054  # of a normal distribution, for SIDE


class Interval(NamedTuple):
    """A mean with both ends."""

    mean: float
    low: float
    high: float


def of_mean(values: Sequence[float], cases: int = 0) -> Interval:
    """Give the interval of a mean by Student's t over repeats.

    values: at least two; cases: how many cases each value is a share of, 0: it is no share. With cases the interval also
    covers what another sample of as many cases could have given (E. B. Wilson 1927, doi:10.1080/01621459.1927.10502953);
    the wider end counts on each side.
    """
    mean, width = float(np.mean(values)), _half(values)
    low, high = mean - width, mean + width
    if cases > 0:
        by_cases = wilson(mean, cases)
        low, high = min(low, by_cases[0]), max(high, by_cases[1])
    return Interval(mean, low, high)


def of_difference(ours: Sequence[float], theirs: Sequence[float], cases: int = 0, their_cases: int = 0) -> Interval:
    """Give the interval of ours less theirs by Welch's t, and where both are shares of cases by Newcombe's hybrid too.

    Source of the latter: R. G. Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    It takes the two samples for independent; on the same cases it is wider than need be.
    """
    one, other = float(np.mean(ours)), float(np.mean(theirs))
    difference, width = one - other, _welch(ours, theirs)
    low, high = difference - width, difference + width
    if cases > 0 and their_cases > 0:
        (low1, high1), (low2, high2) = wilson(one, cases), wilson(other, their_cases)
        low = min(low, difference - math.hypot(one - low1, high2 - other))
        high = max(high, difference + math.hypot(high1 - one, other - low2))
    return Interval(difference, low, high)


def wilson(share: float, cases: int) -> tuple[float, float]:
    """The score interval of a share of so many cases."""
    share = min(1.0, max(0.0, share))
    square = _Z * _Z / cases
    centre = (share + square / 2.0) / (1.0 + square)
    half = _Z / (1.0 + square) * math.sqrt(share * (1.0 - share) / cases + square / (4.0 * cases))
    return min(share, centre - half), max(share, centre + half)


def _half(values: Sequence[float]) -> float:
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(stdtrit(len(values) - 1, 1.0 - SIDE)) * error if error > 0.0 else 0.0


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> float:
    one, other = float(np.var(ours, ddof=1)) / len(ours), float(np.var(theirs, ddof=1)) / len(theirs)
    total = one + other
    if total <= 0.0:
        return 0.0
    part = one / total  # squares of the variances themselves may be too small for a float
    freedom = 1.0 / (part**2 / (len(ours) - 1) + (1.0 - part) ** 2 / (len(theirs) - 1))
    return float(stdtrit(freedom, 1.0 - SIDE)) * math.sqrt(total)

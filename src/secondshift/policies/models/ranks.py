"""Rank correlation with bounds: does one number order things as another does, and how sure is that?"""

import math

import numpy as np


def correlation_bounds(pairs: np.ndarray) -> tuple[float, float]:
    """Bounds, one standard error to each side, of Spearman's rank correlation of two columns; -1 and 1 for fewer than five rows.

    The error is that of Fisher's z. Infinite values rank last.
    """
    if len(pairs) < 5:
        return -1.0, 1.0
    angle = math.atanh(min(max(correlation(pairs), -0.999), 0.999))
    error = 1 / math.sqrt(len(pairs) - 3)
    return math.tanh(angle - error), math.tanh(angle + error)


def correlation(pairs: np.ndarray) -> float:
    """Spearman's rank correlation of two columns; 0 where one of them is constant."""
    one, other = (_ranks(column) for column in pairs.T)
    one, other = one - one.mean(), other - other.mean()
    size = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / size if size else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    ordered = np.sort(values)
    return 0.5 * (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right"))

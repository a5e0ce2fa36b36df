"""What a seed adds to a loss: kinds of noise for simulated studies in which no idea does anything.

Each kind gives the losses float64[studies, 1 + ideas, pairs] of a baseline, first, and of ideas that are no different; inf is a
run that crashed. A normal run has standard deviation 1. In COVERED a no-op can be swapped with its baseline in each pair, given
all pairs before it: that is all that the test assumes. In UNCOVERED it cannot; what happens is reported.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

Shape = tuple[int, int, int]
Noise = Callable[[np.random.Generator, Shape], np.ndarray]
CRASHING = 0.1
TOUGH = 2.0  # how much wider the spread of an idea is that changes nothing but the spread


def normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """What textbooks assume."""
    return rng.normal(size=shape)


def student(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Heavy tails: Student's t with 2 degrees of freedom has no variance."""
    return rng.standard_t(2, size=shape)


def crashing(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every tenth run, of either side, comes to no result."""
    return np.where(rng.random(shape) < CRASHING, math.inf, rng.normal(size=shape))


def two_modes(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Three in ten runs get stuck at a bad place, far from the others."""
    return np.where(rng.random(shape) < 0.3, 5.0, 0.0) + 0.3 * rng.normal(size=shape)


def drifting(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Hardware whose level and noise drift over the nights, alike for all runs with the same fresh seed."""
    studies, _, pairs = shape
    level = np.cumsum(rng.normal(size=(studies, 1, pairs)), axis=2)
    scale = np.exp(np.cumsum(0.3 * rng.normal(size=(studies, 1, pairs)), axis=2))
    return level + scale * rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A long tail on the bad side, the same for both: their difference is symmetric all the same."""
    return rng.exponential(size=shape)


def wider(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Ideas that change nothing but the spread, which is symmetric: heavy tails, twice as wide."""
    losses = rng.standard_t(3, size=shape)
    losses[:, 1:] *= TOUGH
    return losses


def skewed_same_mean(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A skewed loss of twice the spread and the same mean: more than half of the pairs are truly better."""
    losses = rng.exponential(size=shape) - 1.0
    losses[:, 1:] *= TOUGH
    return losses


def skewed_same_median(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A skewed loss of twice the spread and the same median: its mean is worse."""
    losses = rng.exponential(size=shape) - math.log(2.0)
    losses[:, 1:] *= TOUGH
    return losses


def skewed_downward(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """The other way round: a long tail on the good side, twice the spread and the same median; its mean is better."""
    losses = math.log(2.0) - rng.exponential(size=shape)
    losses[:, 1:] *= TOUGH
    return losses


def later(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A metric of the machine that worsens steadily, and ideas that run after the baseline: the last loses half a deviation."""
    return rng.normal(size=shape) + _lag(shape) * 0.5


def earlier(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """The same, of a metric that improves steadily: the last idea gains half a standard deviation by running later."""
    return rng.normal(size=shape) - _lag(shape) * 0.5


def _lag(shape: Shape) -> np.ndarray:
    """How much later than its baseline an idea runs, of the longest (float64[1, 1 + ideas, 1])."""
    return (np.arange(shape[1]) / max(1, shape[1] - 1))[None, :, None]


COVERED: Mapping[str, Noise] = {
    "normal": normal, "Student t(2)": student, "10 % crashing": crashing, "two modes": two_modes,
    "drifting hardware": drifting, "skewed": skewed, "wider, symmetric": wider,
}  # fmt: skip
UNCOVERED: Mapping[str, Noise] = {
    "wider, skewed, same mean": skewed_same_mean, "wider, skewed, same median": skewed_same_median,
    "wider, good tail, same median": skewed_downward, "runs later, metric worsens": later, "runs later, metric improves": earlier,
}  # fmt: skip

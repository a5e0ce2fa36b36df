"""How much a night compressed the compute of full random search, and how sure that is."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from real.pool import Pool, chances, curve, needed
from real.witness import Witnessed

DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Compression:
    """Trainings that random search needs, in expectation, for the mean of what nights reached, over those they spent."""

    mean: float
    low: float  # ends of the two-sided 95% interval: what the ends of Student's t interval of the mean reached would need
    high: float
    each: tuple[float, ...]  # of each night by itself: says how nights differ, but a mean of them flatters (see alone)
    below: int  # nights that reached less than all of the pool


def compression(reached: Sequence[float], budget: float, path: np.ndarray) -> Compression:
    """Compare the mean that nights reached with what random search expects: a mean with a mean.

    Turning each night into trainings first and averaging those would flatter: what the best of k comes to is skewed, so that
    random search itself would look like 2 (`alone`).
    """
    found, wide = np.array(reached), 0.0
    if len(found) > 1:
        wide = float(student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    low, mean, high = (needed(path, float(found.mean()) + away) / budget for away in (wide, 0.0, -wide))
    return Compression(
        mean=mean, low=low, high=high,
        each=tuple(needed(path, value) / budget for value in reached), below=int((found < path[-1]).sum()),
    )  # fmt: skip


def alone(each: Sequence[float]) -> tuple[float, float]:
    """The geometric mean of nights by themselves, and the lower end of its 95% interval (Student's t of the logarithms)."""
    logs = np.log(each)
    wide = float(student.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0
    return math.exp(float(logs.mean())), math.exp(float(logs.mean()) - wide)


def of_random_search(pool: Pool, budget: int) -> tuple[float, float]:
    """Both figures for random search itself, the best of `budget` drawn anew and anew; without a bias they would be 1."""
    rng, path = np.random.default_rng(3), pool.path()
    places = rng.choice(len(pool.loss), DRAWS, p=chances(len(pool.loss), budget))
    found = compression(list(pool.loss[places[:500]]), budget, path)
    return needed(path, float(pool.loss[places].mean())) / budget, alone(found.each)[0]


def apart(seen: Witnessed, data: dict[str, np.ndarray]) -> tuple[float, int]:
    """How far the losses of real processes lie from one unbroken training in this process; and how many were compared."""
    worst, count = 0.0, 0
    for (params, seed), losses in seen.curves().items():
        unbroken = curve(data, json.loads(params), seed, 1 + max(losses))[:, 0]
        for epoch, loss in losses.items():
            same = loss == unbroken[epoch] or (math.isnan(loss) and math.isnan(unbroken[epoch]))
            worst, count = max(worst, 0.0 if same else abs(loss - unbroken[epoch])), count + 1
    return worst, count

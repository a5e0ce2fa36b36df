"""What others do: rules by which a change is kept, as they are used, on the same runs.

Each rule takes losses float64[studies, 1 + ideas, pairs] (smaller is better, the baseline first, inf a crashed run) and says
which ideas it keeps, bool[studies, ideas]. Tests ask two sides at 5 % and keep what is better. A run that crashed is left out, and
the next seed taken for it, as people do; in paired tests the pair is.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

Rule = Callable[[np.ndarray], np.ndarray]
ALPHA = 0.05
RESAMPLED = 1000
FIRST_LOOK = 3  # pairs; two have hardly a spread


def greedy(losses: np.ndarray, seeds: int = 1) -> np.ndarray:
    """Keep what scores better than the best so far, over the mean of some seeds; each kept idea is the one to beat."""
    means = np.stack([_first(losses[:, k], seeds).mean(axis=-1) for k in range(losses.shape[1])], axis=1)
    best = np.minimum.accumulate(means, axis=1)
    return means[:, 1:] < best[:, :-1]


def two_sigma(losses: np.ndarray) -> np.ndarray:
    """Keep what is better by two standard errors of the paired differences at any look, after each pair from the third on."""
    better, mask = _differences(losses)
    count = np.cumsum(mask, axis=-1)
    total, squares = np.cumsum(better, axis=-1), np.cumsum(better**2, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        error = np.sqrt(np.maximum(squares - count * mean**2, 0.0) / (count - 1) / count)
        passed = (mean > 2.0 * error) & (count >= FIRST_LOOK)
    return passed.any(axis=-1)


def welch(losses: np.ndarray, seeds: int, alpha: float = ALPHA) -> np.ndarray:
    """Welch's test of the first seeds of each."""
    ours, theirs = _first(losses[:, 1:], seeds), _first(losses[:, :1], seeds)
    found = stats.ttest_ind(theirs, ours, axis=-1, equal_var=False)
    return (found.pvalue < alpha) & (found.statistic > 0.0)


def wilcoxon(losses: np.ndarray, seeds: int, alpha: float = ALPHA) -> np.ndarray:
    """Wilcoxon's signed rank test of the first paired differences."""
    better = _paired(losses, seeds)
    rank = stats.rankdata(np.abs(better), axis=-1)
    up = np.where(better > 0.0, rank, 0.0).sum(axis=-1)
    return up >= _critical(seeds, alpha / 2.0)


def bootstrap(losses: np.ndarray, seeds: int) -> np.ndarray:
    """Keep what has all of a 95 % percentile interval of the mean difference above 0."""
    better = _paired(losses, seeds)
    drawn = np.random.default_rng(5).multinomial(seeds, np.full(seeds, 1.0 / seeds), size=RESAMPLED) / seeds
    kept = np.zeros(better.shape[:-1], dtype=bool)
    for study in range(len(better)):
        kept[study] = np.quantile(better[study] @ drawn.T, ALPHA / 2.0, axis=-1) > 0.0
    return kept


def rules(ideas: int) -> Mapping[str, Rule]:
    """All rules, in the order of a table."""
    fair = ALPHA / ideas
    return {
        "greedy, 1 seed": lambda x: greedy(x, 1), "greedy, mean of 3": lambda x: greedy(x, 3), "2 sigma, peeking": two_sigma,
        "Welch, n=5": lambda x: welch(x, 5), "Welch, n=5, Bonferroni": lambda x: welch(x, 5, fair),
        "Welch, n=10": lambda x: welch(x, 10), "Welch, n=10, Bonferroni": lambda x: welch(x, 10, fair),
        "Wilcoxon, n=10": lambda x: wilcoxon(x, 10), "Wilcoxon, n=10, Bonferroni": lambda x: wilcoxon(x, 10, fair),
        "bootstrap, n=10": lambda x: bootstrap(x, 10),
    }  # fmt: skip


def _critical(seeds: int, alpha: float) -> float:
    """The least sum of positive ranks whose chance, counted over all signs, is at most alpha; inf where there is none."""
    ways = np.zeros(seeds * (seeds + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, seeds + 1):
        ways[rank:] = ways[rank:] + ways[:-rank].copy()
    tail = np.cumsum(ways[::-1])[::-1] / 2.0**seeds
    allowed = np.flatnonzero(tail <= alpha)
    return float(allowed[0]) if len(allowed) else np.inf


def _first(losses: np.ndarray, seeds: int) -> np.ndarray:
    """The first runs with a result (float64[..., seeds])."""
    order = np.argsort(~np.isfinite(losses), axis=-1, kind="stable")[..., :seeds]
    return np.take_along_axis(losses, order, axis=-1)


def _differences(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much ideas are better, 0 where one of a pair crashed, and where both came to a result."""
    mask = np.isfinite(losses[:, 1:]) & np.isfinite(losses[:, :1])
    with np.errstate(invalid="ignore"):
        return np.where(mask, losses[:, :1] - losses[:, 1:], 0.0), mask


def _paired(losses: np.ndarray, seeds: int) -> np.ndarray:
    """The first differences of pairs with two results (float64[studies, ideas, seeds])."""
    better, mask = _differences(losses)
    order = np.argsort(~mask, axis=-1, kind="stable")[..., :seeds]
    return np.take_along_axis(better, order, axis=-1)

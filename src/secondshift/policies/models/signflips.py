"""Always-valid inference on paired differences, from one assumption: under the null they are as likely up as down.

A pair is a candidate and its baseline with the same fresh seed. If a change does nothing, which of the two is which
does not matter, so each difference is symmetric about 0, whatever its distribution: heavy tails, two modes, crashes
and noise that drifts are all allowed, and nothing is estimated that could be wrong. Betting on the sign of each
difference with stakes that depend on its size makes a nonnegative martingale (an e-process), and by Ville's inequality
the chance that it ever passes 1/alpha is at most alpha, however often one looks and whenever one stops.

Sources: V. Vovk, R. Wang: "Nonparametric e-tests of symmetry" (New England Journal of Statistics in Data Science, 2024);
A. Ramdas, J. Ruf, M. Larsson, W. Koolen: "Admissible anytime-valid sequential inference must rely on nonnegative
martingales" (2020), section on symmetric distributions; stakes as a mixture over effect sizes after the likelihood ratio
of a normal difference given its size. The scale of the stakes is the running median of the sizes: those, unlike the
signs, may be used freely, because under the null they say nothing of the signs.
"""

import math
from bisect import insort
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

EFFECTS = (0.4, 1.0, 2.5)  # in standard deviations of a difference: what the mixture bets on, in equal parts
BOLD = 0.95  # the largest stake; below 1, so that a single loss never ends a bet for good
CRASHES = (0.5, 0.9)  # stakes on a pair of which one came to no result, in two halves of the mixture: crashes are rare or they tell
NORMAL_MEDIAN = 0.6745  # of the size of a standard normal number
REACH = 60  # doublings when a bound is looked for


def scales(sizes: np.ndarray) -> np.ndarray:
    """Give after each size (float64[n], not negative, inf allowed) the running median over those so far, as of a normal."""
    seen: list[float] = []
    medians = np.empty(len(sizes))
    for index, size in enumerate(sizes.tolist()):
        insort(seen, size)
        middle = len(seen) // 2
        medians[index] = seen[middle] if len(seen) % 2 else 0.5 * (seen[middle - 1] + seen[middle])
    return medians / NORMAL_MEDIAN


def wealth(differences: Sequence[float] | np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Give the log of the e-process after each pair: bets that differences (float64[n]) lie above `shift`; natural log.

    A difference of +inf or -inf is a pair of which one did not come to a result; of 0, after the shift, says nothing.
    """
    centred = np.asarray(differences, dtype=np.float64) - shift
    sizes, signs = np.abs(centred), np.sign(centred)
    scale = scales(sizes)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # beside a tiny scale, a size is as good as infinite
        relative = sizes / scale
    relative = np.where(np.isnan(relative), np.where(np.isinf(sizes), np.inf, 0.0), relative)  # inf/inf, 0/0
    effects = np.array(EFFECTS)[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        stakes = BOLD * np.tanh(effects * np.sqrt(1.0 + effects**2) * relative[None, :])
    halves = [np.where(np.isinf(sizes), crash, stakes) for crash in CRASHES]
    logs = np.cumsum(np.log1p(np.concatenate(halves) * signs), axis=1)
    top = logs.max(axis=0)
    return top + np.log(np.mean(np.exp(logs - top), axis=0))


def evidence(differences: Sequence[float] | np.ndarray, shift: float = 0.0) -> float:
    """Give the log of the largest e-value so far that differences lie above `shift`; 0 without pairs."""
    return max(0.0, float(wealth(differences, shift).max())) if len(differences) else 0.0


def lower_bound(differences: Sequence[float] | np.ndarray, alpha: float) -> float:
    """Give a bound below the centre of the differences that holds at all times at once with probability 1 - alpha.

    -inf until there are pairs enough. The bound only rises as pairs come, but never above the centre of all of them.
    """
    data = np.asarray(differences, dtype=np.float64)
    limit = -math.log(alpha)
    if len(data) == 0 or len(data) * math.log1p(BOLD) < limit:
        return -math.inf
    centre = middle(data)
    if not math.isfinite(centre):
        return math.inf if centre > 0 else -math.inf
    step = _width(data, centre)
    low = centre
    for _ in range(REACH):
        if evidence(data, low) >= limit:
            break
        low -= step
        step *= 2.0
    else:
        return -math.inf
    return _bisect(data, low, max(low, centre), limit)


def upper_bound(differences: Sequence[float] | np.ndarray, alpha: float) -> float:
    """Give a bound above the centre, as `lower_bound` gives one below."""
    return -lower_bound(-np.asarray(differences, dtype=np.float64), alpha)


def middle(differences: Sequence[float] | np.ndarray) -> float:
    """Give the centre of the differences: the median of all means of two (Hodges and Lehmann 1963), infinite ones included."""
    data = np.asarray(differences, dtype=np.float64)
    if len(data) == 0:
        return math.nan
    first, second = np.triu_indices(len(data))
    with np.errstate(invalid="ignore"):
        means = 0.5 * (data[first] + data[second])
    ordered = np.sort(means[~np.isnan(means)])  # a crash of each side in two pairs says nothing
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    if low == high:
        return float(low)
    return 0.0 if math.isinf(low) and math.isinf(high) else float(0.5 * (low + high))


def _width(data: np.ndarray, centre: float) -> float:
    """A first step from the centre: what is typical, but no less than a millionth of the farthest."""
    away = np.abs(data[np.isfinite(data)] - centre)
    typical = float(np.median(away)) if len(away) else 0.0
    return max(typical, 1e-6 * float(away.max(initial=0.0)), abs(centre) * 1e-6) or 1e-9


def _bisect(data: np.ndarray, low: float, high: float, limit: float) -> float:
    """Find between a value that is ruled out and one that is not the edge, to a thousandth of what lies between."""
    tolerance = 1e-3 * (high - low)
    while high - low > tolerance:
        between = 0.5 * (low + high)
        if evidence(data, between) >= limit:
            low = between
        else:
            high = between
    return low


@lru_cache(maxsize=512)
def growth(effect: float) -> float:
    """Give the expected log e-value that one more pair adds where differences are normal with this effect.

    `effect` in standard deviations of a difference, its sign ignored; in nats per pair, for the best of the bets.
    """
    grid = np.linspace(-8.0, 8.0, 1601)
    density = np.exp(-0.5 * grid**2)
    density /= density.sum()
    values = grid + abs(effect)
    best = 0.0
    for bet in EFFECTS:
        # The scale is that of the sizes, which holds the effect itself; so does the stake's.
        stakes = BOLD * np.tanh(bet * math.sqrt(1.0 + bet * bet) * values / math.sqrt(1.0 + effect * effect))
        best = max(best, float(np.sum(density * np.log1p(stakes))))
    return best


def pairs_needed(effect: float, alpha: float, have: float = 0.0) -> float:
    """Estimate how many more pairs an effect (in standard deviations of a difference) needs to pass 1/alpha.

    `have` is the log e-value so far. inf where no number of pairs would do.
    """
    rate = growth(round(abs(effect), 3))
    missing = max(0.0, -math.log(alpha) - max(0.0, have))
    return missing / rate if rate > 0.0 else math.inf

"""Forecasts by analogy: curves that looked like this one, at a like share of their way, fell by so much more.

Every stretch of every curve of the study is an analogue: what it had done at a step t, and what it did until t times
horizon / step. Stretches that resemble this curve in the fall of their last doubling of steps, and in how much less that was
than the fall of the doubling before, count most. Until the study has many, curves drawn from a prior over shapes (power laws,
exponentials, late bloomers, those that come to a stand) count beside them. How the widths were chosen: docs/search/forecasts.md.
"""

from functools import lru_cache

import numpy as np

from secondshift.policies.forecasters.foreseeing import Expected, Ground, Path, observer, weighted

NAME = "analogues"
WANTS_CURVES = True  # the engine fills in State.curves
FLOOR = 0.003  # of the study's range: smaller falls are not told apart
WIDTHS = np.array([0.8, 0.64])  # of the kernel over the two features of a stretch
NEAR = 0.7  # width of the kernel over the logarithm of steps
STRENGTH = 25.0  # analogues that the prior counts for
LEVEL = 0.88  # of the weight of analogues within the interval, which then holds 80 % of ends (docs/search/forecasts.md)
DRAWN, LENGTH, SEED = 600, 64, 1  # curves of the prior
STANDS = 0.45  # share of them that come to a stand


def expect(ground: Ground) -> Expected | None:
    """Forecast one trial."""
    own, ratio = ground.own, ground.horizon / ground.own.steps[-1]
    begun = [one.losses[0] for one in (own, *ground.others) if np.isfinite(one.losses[0])]
    reach = max(float(np.median(begun)) - ground.best, 1e-12) if begun else 1e-12
    mark, scale = (found[0] for found in stretches(own, own.steps[-1:], reach))
    features, falls, weights = [], [], []
    for other in ground.others:
        ends = other.steps[-1] / ratio
        at = other.steps[(other.steps <= ends) & (other.steps > other.steps[0]) & np.isfinite(other.losses)]
        if len(at):
            found, size = stretches(other, at, reach)
            fall = (_best_at(other, at) - _at(other, at * ratio)) / reach
            known = np.isfinite(fall)
            features.append(found[known])
            falls.append((fall / size)[known])
            weights.append(np.exp(-0.5 * (np.log(at / own.steps[-1]) / NEAR) ** 2)[known])
    seen, drawn = prior(len(own.steps), round(len(own.steps) * ratio), ground.falls_only)
    near = _near(seen, mark) + 1e-12
    features, falls, weights = [seen, *features], [drawn, *falls], [near * STRENGTH / near.sum(), *weights]
    kept = np.concatenate([weights[0], *(w * _near(f, mark) for f, w in zip(features[1:], weights[1:], strict=True))])
    now = float(np.min(own.losses))
    ends = now - np.concatenate(falls) * scale * reach
    low, high = shortest(ends, kept, LEVEL)
    middle = float(weighted(ends, kept, [0.5])[0])
    return Expected(low=low, middle=middle, high=high, chance=float(kept[ends < ground.best].sum() / kept.sum()))


def stretches(one: Path, at: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Describe a curve at steps: features [steps, 2], and the fall of the last doubling [steps], in units of `reach`."""
    now, half, quarter = _best_at(one, at), _best_at(one, at / 2), _best_at(one, at / 4)
    with np.errstate(invalid="ignore"):
        late, early = (half - now) / reach, (quarter - half) / reach
    late, early = (np.where(np.isfinite(fall), fall, 0.0) + FLOOR for fall in (late, early))
    return np.column_stack([np.log(late), np.log(early / late)]), late


def _at(one: Path, steps: np.ndarray) -> np.ndarray:
    """The loss of a curve at steps: that of its newest point until then, or of its first."""
    return one.losses[np.maximum(np.searchsorted(one.steps, steps + 1e-9, "right") - 1, 0)]


def _best_at(one: Path, steps: np.ndarray) -> np.ndarray:
    return np.minimum.accumulate(one.losses)[np.maximum(np.searchsorted(one.steps, steps + 1e-9, "right") - 1, 0)]


def _near(features: np.ndarray, mark: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.sum(((features - mark) / WIDTHS) ** 2, axis=1))


def shortest(values: np.ndarray, weights: np.ndarray, level: float) -> tuple[float, float]:
    """The shortest interval that holds `level` of the weight."""
    order = np.argsort(values, kind="stable")
    found, upto = values[order], np.cumsum(weights[order]) / weights.sum()
    before = np.concatenate([[0.0], upto[:-1]])
    last = np.minimum(np.searchsorted(upto, before + level - 1e-12), len(found) - 1)
    wide = np.where(before + level <= 1 + 1e-12, found[last] - found, np.inf)
    first = int(np.argmin(wide))
    return float(found[first]), float(found[last[first]])


@lru_cache(maxsize=64)
def prior(points: int, end: int, falls_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Describe the curves of the prior at `points` of `end` points: features [curves, 2], and their falls until then [curves]."""
    rng = np.random.default_rng(SEED)
    curves = _drawn(rng, max(LENGTH, end), falls_only) * np.exp(rng.uniform(np.log(0.05), 0.0, (DRAWN, 1)))
    step = np.arange(1, curves.shape[1] + 1, dtype=float)
    features, falls = [], []
    for curve in curves:
        one = Path(steps=step, losses=curve)
        found, size = stretches(one, np.array([float(points)]), 1.0)
        features.append(found[0])
        falls.append((float(np.min(curve[:points])) - curve[end - 1]) / size[0])
    return np.array(features), np.array(falls)


def _drawn(rng: np.random.Generator, length: int, falls_only: bool) -> np.ndarray:
    """Curves that fall by about one: half power laws, a quarter stretched exponentials, a quarter late bloomers."""
    step, shape = np.arange(1, length + 1, dtype=float)[None], (DRAWN, 1)
    kind = rng.random(shape)
    power = step ** -np.exp(rng.normal(np.log(0.6), 0.7, shape))
    pace = np.exp(rng.uniform(0.0, np.log(length), shape))
    exponential = np.exp(-((step / pace) ** np.exp(rng.normal(0.0, 0.3, shape))))
    middle = np.exp(rng.uniform(0.0, np.log(1.5 * length), shape))
    late = 1 / (1 + (step / middle) ** np.exp(rng.normal(np.log(3.0), 0.4, shape)))
    curves = np.where(kind < 0.5, power, np.where(kind < 0.75, exponential, late))
    stand = np.minimum(np.exp(rng.uniform(np.log(2.0), np.log(8.0 * length), shape)), length).astype(int)
    stands = rng.random(shape) < STANDS
    curves = np.where(stands & (step >= stand), np.take_along_axis(curves, stand - 1, axis=1), curves)
    noise = 10 ** rng.uniform(-4.0, -1.0, shape) * rng.standard_normal((DRAWN, length))
    return np.minimum.accumulate(curves + noise, axis=1) if falls_only else curves + noise


decide = observer(NAME, expect)

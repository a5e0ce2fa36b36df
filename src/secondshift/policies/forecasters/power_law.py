"""A power law through a trial's own points: loss = level + size * step ** -exponent.

Level and size are a Bayesian regression for each exponent of a grid, and the exponents are weighed by how well they explain the
points (T. Domhan, J. Springenberg, F. Hutter 2015 extrapolate with this among other shapes). No other curve is looked at.
"""

import numpy as np
from scipy.stats import t as student

from secondshift.policies.forecasters.foreseeing import Expected, Ground, observer, weighted

NAME = "power_law"
WANTS_CURVES = True  # the engine fills in State.curves
EXPONENTS = np.geomspace(0.05, 3.0, 16)
SHARES = np.linspace(0.02, 0.98, 25)  # quantiles of each exponent's prediction
RIDGE, NOISE = 1e-4, 1e-5  # priors of the regression, on losses scaled to a range of one


def expect(ground: Ground) -> Expected | None:
    """Forecast one trial."""
    finite = np.isfinite(ground.own.losses)
    step, loss = ground.own.steps[finite], ground.own.losses[finite]
    low, reach = float(loss.min()), max(float(np.ptp(loss)), 1e-12)
    scaled, count = (loss - low) / reach, len(loss)
    drawn, weights = [], []
    for exponent in EXPONENTS:
        design = np.column_stack([np.ones(count), step**-exponent])
        gram = design.T @ design + RIDGE * np.eye(2)
        found = np.linalg.solve(gram, design.T @ scaled)
        rest = scaled - design @ found
        spread = (float(rest @ rest) + NOISE) / (count + 1)
        end = np.array([1.0, float(ground.horizon) ** -exponent])
        width = np.sqrt(spread * (float(end @ np.linalg.solve(gram, end)) + 1.0))
        drawn.append(end @ found + width * student.ppf(SHARES, max(count - 2, 1)))
        weights.append(-0.5 * (count + 1) * np.log(spread) - 0.5 * np.linalg.slogdet(gram)[1])
    kept = np.repeat(np.exp(np.array(weights) - max(weights)), len(SHARES))
    ends = low + reach * np.concatenate(drawn)
    if ground.falls_only:
        ends = np.minimum(ends, low)
    quantiles = weighted(ends, kept, [0.1, 0.5, 0.9])
    chance = float(kept[ends < ground.best].sum() / kept.sum())
    return Expected(low=float(quantiles[0]), middle=float(quantiles[1]), high=float(quantiles[2]), chance=chance)


decide = observer(NAME, expect)

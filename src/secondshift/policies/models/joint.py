"""One Gaussian process over all curves of a study: what every configuration would log at every step, and how sure that is.

A value is the sum of what parameters say of the level (`level`) and of the shape (`shape`), of a shape that all curves share
(`common`), of what is a curve's own (`own`, and `drift`, which grows with the time between two steps), and of noise. Steps
count by their logarithm. K. Swersky, J. Snoek, R. Adams: "Freeze-Thaw Bayesian Optimization" (2014) has the idea; kernels
are Matern 5/2 over parameters (one lengthscale each), Gaussian over log steps, and Ornstein-Uhlenbeck for the drift.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

ROOT5 = np.sqrt(5.0)
JITTER = 1e-6
TAIL = 8  # settings that follow the lengthscales
# Medians and spreads (both of logarithms) of the prior over settings: level, shape, its lengthscale in log steps, common,
# own, drift, its lengthscale, noise. Variances are of values scaled to a variance of one.
MEDIANS = np.log([1.0, 1.0, 2.5, 3.0, 0.1, 0.1, 2.0, 0.01])
SPREADS = np.array([1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 0.7, 1.0])
LENGTH, LENGTH_SPREAD = 0.0, 1.0  # of a parameter, in its unit interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """What was seen: one row per point, those of one curve side by side."""

    features: np.ndarray  # float64[curves, features]: configurations, each axis from 0 to 1
    curve: np.ndarray  # int[points]: row of `features`, ascending
    step: np.ndarray  # float64[points]: steps done, from 1
    value: np.ndarray  # float64[points]: of mean 0 and variance 1


def prior(features: int) -> tuple[np.ndarray, np.ndarray]:
    """Give medians and spreads of the logarithms of all settings."""
    medians = np.concatenate([np.full(features, LENGTH), MEDIANS])
    return medians, np.concatenate([np.full(features, LENGTH_SPREAD), SPREADS])


def fit(points: Points, settings: np.ndarray, *, rounds: int = 25) -> np.ndarray:
    """Give the settings of the greatest posterior density, looked for from `settings` on with a gradient."""
    medians, spreads = prior(points.features.shape[1])
    starts = np.flatnonzero(np.diff(points.curve, prepend=-1))
    bounds = list(zip(medians - 4 * spreads, medians + 4 * spreads, strict=True))
    found = minimize(
        _loss, settings, args=(points, starts, medians, spreads), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": rounds, "maxfun": rounds + 10},
    )  # fmt: skip
    return found.x if np.all(np.isfinite(found.x)) else settings


class Joint:
    """The process, given what was seen. Raises numpy.linalg.LinAlgError where the points contradict the settings."""

    def __init__(self, points: Points, settings: np.ndarray) -> None:
        self.points, self.settings = points, settings
        self._log = np.log(points.step)
        covariance = _covariance(points, settings)
        self._factor = cho_factor(covariance, lower=True, check_finite=False)
        self._weights = cho_solve(self._factor, points.value, check_finite=False)

    def without_own(self) -> np.ndarray:
        """What all curves but its own say of each point that was seen: the mean, [points].

        The inverse of the covariance holds every leave-out: S. Sundararajan and S. Keerthi, "Predictive Approaches for
        Choosing Hyperparameters in Gaussian Processes" (2001), here with the points of one curve left out together.
        """
        inverse = cho_solve(self._factor, np.eye(len(self._weights)), check_finite=False)
        found, values = np.empty(len(self._weights)), self.points.value
        for own in np.split(np.arange(len(found)), np.flatnonzero(np.diff(self.points.curve)) + 1):
            found[own] = values[own] - np.linalg.solve(inverse[np.ix_(own, own)], self._weights[own])
        return found

    def alike(self, features: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The greatest correlation, by parameters alone, of each configuration with any of some others; 0 of none.

        features: [queries, features]; others: [others, features].
        """
        lengths, _ = _read(self.settings)
        near = _matern(_distances(features / lengths, others / lengths))[0]
        return np.max(near, axis=1, initial=0.0)

    def predict(self, features: np.ndarray, curve: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give means and standard deviations, without noise, of curves at steps.

        features: [queries, features]; curve: [queries], the row of a curve that was seen, -1 for a new one; step: [queries].
        """
        lengths, (level, shape, width, common, own, drift, fade, _) = _read(self.settings)
        near = _matern(_distances(features / lengths, self.points.features / lengths))[0][:, self.points.curve]
        apart = np.log(step)[:, None] - self._log[None]
        bell = np.exp(-0.5 * (apart / width) ** 2)
        cross = near * (level + shape * bell) + common * bell
        known = np.flatnonzero(curve >= 0)
        if len(known):
            same = curve[known][:, None] == self.points.curve[None]
            cross[known] += same * (own + drift * np.exp(-np.abs(apart[known]) / fade))
        explained = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)
        spread = level + shape + common + own + drift - np.sum(explained**2, axis=0)
        return cross @ self._weights, np.sqrt(np.maximum(spread, 1e-9))


def _read(settings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.exp(settings[:-TAIL]), np.exp(settings[-TAIL:])


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared distances between the rows of two arrays."""
    return np.maximum(np.sum(one**2, 1)[:, None] + np.sum(other**2, 1)[None] - 2 * one @ other.T, 0.0)


def _matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Matern 5/2 kernel, and its derivative by the squared distance."""
    distance = np.sqrt(np.maximum(squared, 1e-16))
    fading = np.exp(-ROOT5 * distance)
    return (1 + ROOT5 * distance + 5 / 3 * squared) * fading, -5 / 6 * (1 + ROOT5 * distance) * fading


def _covariance(points: Points, settings: np.ndarray) -> np.ndarray:
    lengths, (level, shape, width, common, own, drift, fade, noise) = _read(settings)
    scaled = points.features / lengths
    near = _matern(_distances(scaled, scaled))[0][np.ix_(points.curve, points.curve)]
    apart = np.log(points.step)[:, None] - np.log(points.step)[None]
    bell = np.exp(-0.5 * (apart / width) ** 2)
    same = points.curve[:, None] == points.curve[None]
    covariance = near * (level + shape * bell) + common * bell + same * (own + drift * np.exp(-np.abs(apart) / fade))
    covariance[np.diag_indices_from(covariance)] += noise + JITTER
    return covariance


def _loss(
    settings: np.ndarray, points: Points, starts: np.ndarray, medians: np.ndarray, spreads: np.ndarray
) -> tuple[float, np.ndarray]:
    """The negative log posterior of the settings, up to a constant, and its gradient.

    Derivatives of the kernel over parameters are summed up to pairs of curves first, so that each lengthscale costs
    curves^2 instead of points^2.
    """
    lengths, (level, shape, width, common, own, drift, fade, noise) = _read(settings)
    scaled, log = points.features / lengths, np.log(points.step)
    near, slope = _matern(_distances(scaled, scaled))
    wide = near[np.ix_(points.curve, points.curve)]
    apart = log[:, None] - log[None]
    bell, fading = np.exp(-0.5 * (apart / width) ** 2), np.exp(-np.abs(apart) / fade)
    same = points.curve[:, None] == points.curve[None]
    covariance = wide * (level + shape * bell) + common * bell + same * (own + drift * fading)
    covariance[np.diag_indices_from(covariance)] += noise + JITTER
    try:
        lower = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(settings)
    root = solve_triangular(lower, np.eye(len(log)), lower=True, check_finite=False)
    inverse = root.T @ root
    weights = inverse @ points.value
    away = (settings - medians) / spreads
    loss = 0.5 * points.value @ weights + float(np.sum(np.log(np.diag(lower)))) + 0.5 * float(away @ away)
    by = 0.5 * (inverse - np.outer(weights, weights))  # derivative of the loss by each entry of the covariance
    of_curves = np.add.reduceat(np.add.reduceat(by * (level + shape * bell), starts, axis=0), starts, axis=1) * slope
    total = of_curves.sum(1)
    bells, own_part = by * bell, by * same
    gradient = np.concatenate([
        -4 * (total @ scaled**2 - np.sum(scaled * (of_curves @ scaled), axis=0)),
        [
            level * np.sum(by * wide), shape * np.sum(bells * wide),
            np.sum(bells * (shape * wide + common) * (apart / width) ** 2), common * np.sum(bells),
            own * np.sum(own_part), drift * np.sum(own_part * fading),
            drift * np.sum(own_part * fading * np.abs(apart)) / fade, noise * np.trace(by),
        ],
    ])  # fmt: skip
    return float(loss), gradient + away / spreads

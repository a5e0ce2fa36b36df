"""The process over all curves: its gradient is the slope of its loss, and it knows what it saw and what it did not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from secondshift.policies.models.joint import TAIL, Joint, Points, _loss, fit, prior


def points(curves: int, each: int, features: int = 2, *, seed: int = 0) -> Points:
    """Curves that fall to a floor which the first feature sets, of different lengths."""
    rng = np.random.default_rng(seed)
    at = rng.random((curves, features))
    lengths = rng.integers(1, each + 1, curves)
    curve = np.repeat(np.arange(curves), lengths)
    step = np.concatenate([np.arange(1.0, length + 1) for length in lengths])
    value = at[curve, 0] + 1 / step + 0.01 * rng.standard_normal(len(step))
    return Points(features=at, curve=curve, step=step, value=(value - value.mean()) / (value.std() or 1.0))


def steady(features: int, *, noise: float) -> np.ndarray:
    """The prior's settings, but for the noise."""
    found = prior(features)[0].copy()
    found[-1] = np.log(noise)
    return found


def of_loss(seen: Points, at: np.ndarray) -> tuple[float, np.ndarray]:
    medians, spreads = prior(seen.features.shape[1])
    return _loss(at, seen, np.flatnonzero(np.diff(seen.curve, prepend=-1)), medians, spreads)


@pytest.mark.parametrize("features", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_slope_of_the_loss_in_every_setting(features: int, seed: int) -> None:
    seen = points(5, 6, max(features, 1), seed=seed)
    seen = Points(features=seen.features[:, :features], curve=seen.curve, step=seen.step, value=seen.value)
    at = prior(features)[0] + 0.5 * np.random.default_rng(seed).standard_normal(features + TAIL)
    _, gradient = of_loss(seen, at)
    for place in range(len(at)):
        away = np.zeros_like(at)
        away[place] = 1e-5
        slope = (of_loss(seen, at + away)[0] - of_loss(seen, at - away)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-5), f"setting {place} of {len(at)}"


def test_with_little_noise_what_was_seen_is_what_is_expected() -> None:
    seen = points(6, 5)
    mean, spread = Joint(seen, steady(2, noise=1e-6)).predict(seen.features[seen.curve], seen.curve, seen.step)
    assert mean == pytest.approx(seen.value, abs=2e-3)
    assert np.all(spread < 5e-3)


def test_a_new_curve_far_from_all_others_is_as_uncertain_as_before_anything_was_seen() -> None:
    seen = points(4, 3)
    at = steady(2, noise=0.01)
    at[:2] = np.log(0.05)  # configurations say nothing of others so far away
    level, shape, _, common, own, drift, _, _ = np.exp(at[-TAIL:])
    mean, spread = Joint(seen, at).predict(np.full((1, 2), 50.0), np.array([-1]), np.array([1e6]))
    assert spread[0] ** 2 == pytest.approx(level + shape + common + own + drift, rel=1e-3)
    assert mean[0] == pytest.approx(0.0, abs=1e-3)


def test_a_curve_that_was_seen_is_better_known_than_a_new_one_with_the_same_parameters() -> None:
    seen = points(6, 5)
    model = Joint(seen, prior(2)[0])
    _, known = model.predict(seen.features, np.arange(6), np.full(6, 10.0))
    _, new = model.predict(seen.features, np.full(6, -1), np.full(6, 10.0))
    assert np.all(known < new)


def test_further_ahead_is_less_certain() -> None:
    seen = points(1, 5)
    steps = np.array([1.0, 10.0, 100.0, 1000.0]) * seen.step.max()
    _, spread = Joint(seen, prior(2)[0]).predict(seen.features[[0] * 4], np.zeros(4, dtype=int), steps)
    assert np.all(np.diff(spread) > 0)


def test_fitting_finds_which_parameter_matters_and_gives_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    at = rng.random((40, 2))
    value = np.sin(6 * at[:, 0])  # the second parameter has no part in it
    seen = Points(features=at, curve=np.arange(40), step=np.ones(40), value=(value - value.mean()) / value.std())
    found = fit(seen, prior(2)[0])
    assert found[1] > found[0] + 1.0  # a lengthscale e times as long, at least
    assert of_loss(seen, found)[0] < of_loss(seen, prior(2)[0])[0]
    assert np.array_equal(found, fit(seen, prior(2)[0]))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    value=arrays(float, st.integers(1, 12), elements=st.floats(-5, 5)),
    repeated=st.booleans(), alike=st.booleans(), features=st.integers(0, 3),
)  # fmt: skip
def test_duplicates_constants_and_single_points_are_fitted_and_predicted(
    value: np.ndarray, repeated: bool, alike: bool, features: int
) -> None:
    count = len(value)
    at = np.zeros((count, features)) if alike else np.linspace(0, 1, count)[:, None].repeat(features, 1)
    curve = np.arange(count)
    step = np.ones(count) if repeated else np.arange(1.0, count + 1)
    seen = Points(features=at, curve=curve, step=step, value=np.zeros(count) if count == 1 else value)
    mean, spread = Joint(seen, fit(seen, prior(features)[0])).predict(at, curve, np.full(count, 100.0))
    assert np.all(np.isfinite(mean)) and np.all(spread > 0)


def test_the_same_point_twice_is_taken_as_two_looks_at_it() -> None:
    once = Points(features=np.zeros((1, 1)), curve=np.zeros(1, dtype=int), step=np.ones(1), value=np.ones(1))
    twice = Points(features=np.zeros((1, 1)), curve=np.zeros(2, dtype=int), step=np.ones(2), value=np.ones(2))
    asked = (np.zeros((1, 1)), np.zeros(1, dtype=int), np.ones(1))
    at = steady(1, noise=0.5)
    (mean, spread), (of_two, spread_of_two) = (Joint(seen, at).predict(*asked) for seen in (once, twice))
    assert mean[0] < of_two[0] < 1 and spread_of_two[0] < spread[0]


@pytest.mark.parametrize("seed", range(3))
def test_what_others_say_of_a_curve_is_what_they_say_without_it(seed: int) -> None:
    known, chosen = points(7, 3, seed=seed), steady(2, noise=0.1)
    said = Joint(known, chosen).without_own()
    for curve in range(7):
        own = known.curve == curve
        rest = Points(
            features=np.delete(known.features, curve, axis=0), step=known.step[~own], value=known.value[~own],
            curve=known.curve[~own] - (known.curve[~own] > curve),
        )  # fmt: skip
        at = np.repeat(known.features[curve : curve + 1], own.sum(), axis=0)
        mean, _ = Joint(rest, chosen).predict(at, np.full(own.sum(), -1), known.step[own])
        assert said[own] == pytest.approx(mean, abs=1e-6)

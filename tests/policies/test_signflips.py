"""Always-valid inference on paired differences: the error holds for any symmetric noise, and the algebra is right."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secondshift.policies.models.signflips import (
    evidence,
    growth,
    lower_bound,
    middle,
    pairs_needed,
    upper_bound,
    wealth,
)

NOISES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "two modes": lambda rng, n: rng.choice([-3.0, 3.0], n) + 0.1 * rng.normal(size=n),
    "drifting": lambda rng, n: rng.normal(size=n) * np.linspace(0.1, 10.0, n),
    "ties": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n),
    "crashes": lambda rng, n: np.where(rng.random(n) < 0.2, rng.choice([-math.inf, math.inf], n), rng.normal(size=n)),
}


@pytest.mark.parametrize("noise", NOISES)
def test_under_any_symmetric_noise_the_chance_of_ever_passing_is_at_most_alpha(noise: str) -> None:
    rng = np.random.default_rng(7)
    passed = sum(evidence(NOISES[noise](rng, 60)) >= math.log(20) for _ in range(1500))
    assert passed / 1500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_averaged_over_all_signs_the_wealth_is_exactly_one(sizes: list[float]) -> None:
    sizes = np.abs(np.array(sizes))
    total = 0.0
    for signs in range(2 ** len(sizes)):
        flips = np.array([1.0 if signs >> k & 1 else -1.0 for k in range(len(sizes))])
        total += math.exp(wealth(sizes * flips)[-1])
    assert total / 2 ** len(sizes) == pytest.approx(1.0, rel=1e-9)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(values: list[float], scale: float, shift: float) -> None:
    data = np.round(np.array(values), 3)
    assert np.allclose(wealth(data), wealth(data * 2.0**5), atol=1e-9)
    assert evidence(data + 1.0, 1.0) == pytest.approx(evidence(data + 1.0 - 1.0), abs=1e-9)


@example([0.0] * 8, 4)
@given(st.lists(st.floats(-5, 5), min_size=6, max_size=20), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_bounds_only_tighten_as_pairs_come(values: list[float], more: int) -> None:
    rng = np.random.default_rng(len(values))
    data = np.array(values)
    longer = np.concatenate([data, rng.normal(size=more)])
    # A centre that came to lie below what was ruled out before is where the bound stands then: it says less than it could.
    expected = min(lower_bound(data, 0.05), middle(longer))
    assert lower_bound(longer, 0.05) >= expected - 1e-2 * (1 + abs(middle(data)))
    assert lower_bound(data, 0.025) <= middle(data) <= upper_bound(data, 0.025)


def test_the_interval_covers_the_centre_at_the_moment_at_which_one_stops() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(200):
        data = rng.normal(1.0, 1.0, 40)
        stop = next((n for n in range(6, 41) if evidence(data[:n]) >= math.log(100)), 40)
        missed += not lower_bound(data[:stop], 0.025) <= 1.0 <= upper_bound(data[:stop], 0.025)
    assert missed <= 20


def test_crashes_count_and_do_not_end_everything() -> None:
    better = np.array([2.0] * 12)
    assert evidence(better) > math.log(100)
    once = better.copy()
    once[0] = -math.inf
    assert 0.0 < evidence(once) < evidence(better)
    assert evidence(np.full(12, -math.inf)) == 0.0 and middle([math.inf, -math.inf]) == 0.0


def test_what_is_expected_of_a_pair_grows_with_the_effect_and_the_estimate_is_about_right() -> None:
    assert 0.0 == pytest.approx(growth(0.0), abs=1e-3) and growth(0.5) < growth(1.0) < growth(2.0) < math.log(2)
    rng = np.random.default_rng(5)
    took = []
    for _ in range(300):
        path = np.maximum.accumulate(wealth(rng.normal(1.4, 1.0, 80)))
        took.append(int(np.argmax(path >= math.log(760))) + 1)
    assert pairs_needed(1.4, 1 / 760) == pytest.approx(np.median(took), rel=0.25)
    assert pairs_needed(0.0, 0.05) > 1000

"""Rank correlation: any rising change of scale leaves it as it is, and its bounds say how little a few rows tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from secondshift.policies.models.ranks import correlation, correlation_bounds

ROWS = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=5, max_size=30).map(lambda rows: np.array(rows, float))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(rows=ROWS)
def test_it_is_spearmans_and_knows_no_scale(rows: np.ndarray) -> None:
    found = correlation(rows)
    if min(len(np.unique(column)) for column in rows.T) > 1:
        assert found == pytest.approx(float(spearmanr(rows).statistic), abs=1e-9)
    else:
        assert found == 0.0
    assert correlation(np.column_stack([np.exp(rows[:, 0]), rows[:, 1] ** 3])) == pytest.approx(found, abs=1e-9)
    assert correlation(rows[:, ::-1]) == pytest.approx(found, abs=1e-9)


def test_infinite_values_rank_last() -> None:
    rows = np.array([[1, 1], [2, 2], [3, 3], [4, np.inf], [np.inf, np.inf]], float)
    assert correlation(rows) > 0.9


def test_bounds_close_in_with_more_rows_and_a_few_say_nothing() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal(400)
    rows = np.column_stack([one, one + rng.standard_normal(400)])
    assert correlation_bounds(rows[:4]) == (-1.0, 1.0)
    few, many = correlation_bounds(rows[:12]), correlation_bounds(rows)
    assert few[0] < correlation(rows[:12]) < few[1] and many[0] < correlation(rows) < many[1]
    assert many[1] - many[0] < 0.3 * (few[1] - few[0])

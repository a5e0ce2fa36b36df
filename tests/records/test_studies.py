"""The objective: the one place that knows which direction is better."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.studies import Objective

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(derandomize=True, deadline=None)
@given(FINITE, FINITE)
def test_a_metric_to_be_raised_is_better_where_one_to_be_lowered_is_worse(a: float, b: float) -> None:
    low, high = Objective(metric="m", goal="min"), Objective(metric="m", goal="max")
    assert low.better(a, b) == (a < b)
    assert high.better(a, b) == (a > b)


@settings(derandomize=True, deadline=None)
@given(FINITE, st.sampled_from(["min", "max"]))
def test_nan_beats_nothing_and_everything_beats_nan(value: float, goal: str) -> None:
    objective = Objective(metric="m", goal=goal)  # type: ignore[arg-type]  # sampled from exactly these two
    assert not objective.better(math.nan, value)
    assert objective.better(value, math.nan)

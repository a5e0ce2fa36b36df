"""The scale of losses: it keeps the order, cares for no unit, and puts what is not finite last."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from secondshift.policies.models.warping import warp

LOSSES = arrays(float, st.integers(1, 30), elements=st.integers(-1000, 1000).map(lambda n: n / 8))
ODD = st.sampled_from([np.nan, np.inf])


@settings(derandomize=True, deadline=None)
@given(losses=LOSSES, asked=LOSSES)
def test_a_greater_loss_is_never_the_smaller_number(losses: np.ndarray, asked: np.ndarray) -> None:
    scale = warp(losses, losses[:1])
    assert scale is not None
    assert np.all(np.diff(scale(np.sort(asked))) >= 0)
    distinct = np.unique(losses)
    assert np.all(np.diff(scale(distinct)) > 0)  # what was seen is told apart


@settings(derandomize=True, deadline=None)
@given(losses=LOSSES, factor=st.sampled_from([0.25, 2.0, 1024.0]), offset=st.integers(-50, 50))
def test_neither_unit_nor_zero_of_a_metric_matter(losses: np.ndarray, factor: float, offset: int) -> None:
    if len(np.unique(losses)) == 1:
        return  # a constant has no unit
    plain, other = warp(losses, losses[:2]), warp(losses * factor + offset, losses[:2] * factor + offset)
    assert plain is not None and other is not None
    np.testing.assert_allclose(plain(losses), other(losses * factor + offset), atol=1e-9)


@settings(derandomize=True, deadline=None)
@given(losses=LOSSES, odd=st.lists(ODD, min_size=1, max_size=5))
def test_what_is_not_finite_is_worse_than_all_that_is_and_alike(losses: np.ndarray, odd: list[float]) -> None:
    every = np.concatenate([losses, odd])
    scale = warp(every, losses)
    assert scale is not None
    found = scale(every)
    assert np.all(np.isfinite(found))
    assert np.max(found[: len(losses)]) < np.min(found[len(losses) :])
    assert len(np.unique(found[len(losses) :])) == 1


@settings(derandomize=True, deadline=None)
@given(losses=LOSSES)
def test_what_it_was_made_from_has_mean_zero_and_variance_one(losses: np.ndarray) -> None:
    scale = warp(losses, losses)
    assert scale is not None
    found = scale(losses)
    assert abs(found.mean()) < 1e-9
    assert abs(found.std() - 1) < 1e-9 or len(np.unique(losses)) == 1


def test_a_constant_metric_has_a_scale_and_what_is_better_than_it_is_better() -> None:
    scale = warp(np.full(5, 0.7), np.full(5, 0.7))
    assert scale is not None
    assert np.allclose(scale(np.full(3, 0.7)), 0.0)
    better, same, worse = scale(np.array([0.1, 0.7, 0.9]))
    assert better < same < worse


def test_without_a_finite_loss_there_is_no_scale() -> None:
    assert warp(np.array([np.inf, np.nan]), np.array([np.inf])) is None
    assert warp(np.empty(0), np.empty(0)) is None


def test_near_the_best_distances_count_and_not_ranks_alone() -> None:
    scale = warp(np.array([0.0, 0.001, 0.5, 0.501, 1.0]), np.array([1.0]))
    assert scale is not None
    best, near, half, little_worse, _ = scale(np.array([0.0, 0.001, 0.5, 0.501, 1.0]))
    assert half - near > 2 * max(near - best, little_worse - half)  # as many ranks, and far more between them

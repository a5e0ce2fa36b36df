import math
import zlib
from array import array
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import LedgerDamaged
from secondshift.ledger.batches import crc, pack, unpack
from secondshift.ledger.curves import Curve, CurveCache, Series, decimated, merged
from secondshift.records.orders import Batch

STEPS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 50)
POINTS = st.lists(st.tuples(STEPS, st.floats()), min_size=1, max_size=80)


def batch(points, *, attempt: str = "t1.a1", metric: str = "loss") -> Batch:
    steps, values = array("q", [s for s, _ in points]), array("d", [v for _, v in points])
    return Batch(trial="t1", attempt=attempt, metric=metric, steps=steps, values=values)


def series(steps, values) -> Series:
    n = len(steps)
    return Series(steps=np.array(steps, np.int64), values=np.array(values, np.float64), attempts=np.ones(n, np.int32))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(POINTS, min_size=1, max_size=4))
def test_any_points_come_back_bit_by_bit(many) -> None:
    given_ = [batch(points) for points in many]
    found = unpack(pack(given_))
    assert found.steps.tolist() == [step for points in many for step, _ in points]
    assert found.values.tobytes() == b"".join(b.values.tobytes() for b in given_)
    assert crc(given_) == crc([batch(points) for points in many])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 1000), st.integers(1, 300))
def test_evenly_spaced_steps_take_no_room(first: int, stride: int, n: int) -> None:
    points = [(first + i * stride, 0.0) for i in range(n)]
    (row,) = pack([batch(points)])
    assert unpack([row]).steps.tolist() == [step for step, _ in points]
    assert len(row.body) <= 8 * n + 1


def test_empty_batches_leave_no_row() -> None:
    assert pack([batch([])]) == []


def test_the_checksum_tells_order_names_and_values_apart() -> None:
    a, b = batch([(0, 1.0)]), batch([(0, 2.0)])
    other_name, other_step = replace(a, metric="acc"), batch([(1, 1.0)])
    assert len({crc([a, b]), crc([b, a]), crc([a]), crc([b]), crc([other_name]), crc([other_step])}) == 6


@pytest.mark.parametrize("n", [3, 100])
def test_a_row_whose_bytes_changed_is_damage_not_numbers(n: int) -> None:
    (row,) = pack([batch([(i * i, float(i)) for i in range(n)])])
    for body in (b"", row.body[:-1], row.body[:9], bytes([row.body[0]]), row.body + b"x" * 8):
        if n > 24 and body[:-8] == row.body:
            continue  # bytes behind the end of a deflated stream are not read
        with pytest.raises(LedgerDamaged, match=r"t1\.a1"):
            unpack([replace(row, body=body)])
    with pytest.raises(LedgerDamaged):
        unpack([replace(row, n=n + 1)])
    assert zlib.crc32(row.body) == zlib.crc32(pack([batch([(i * i, float(i)) for i in range(n)])])[0].body)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 30), st.floats(allow_nan=False)), max_size=60))
def test_the_last_written_value_of_a_step_wins(points) -> None:
    expected = dict(points)
    found = merged(series([s for s, _ in points], [v for _, v in points]))
    assert found.steps.tolist() == sorted(expected)
    assert found.values.tolist() == [expected[step] for step in sorted(expected)]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.floats() | st.just(math.nan), min_size=1, max_size=200), st.integers(4, 60))
def test_a_thinned_curve_is_a_part_of_the_curve_with_its_extremes(values, points: int) -> None:
    whole = series(range(len(values)), values)
    thin = decimated(whole, points)
    assert len(thin) <= max(points, 4)
    assert bool(np.all(np.diff(thin.steps) > 0))
    assert all(
        repr(values[step]) == repr(value) for step, value in zip(thin.steps.tolist(), thin.values.tolist(), strict=True)
    )
    numbers = [v for v in values if not math.isnan(v)]
    kept = [v for v in thin.values.tolist() if not math.isnan(v)]
    assert (min(numbers, default=0), max(numbers, default=0)) == (min(kept, default=0), max(kept, default=0))
    assert any(math.isnan(v) for v in values) == any(math.isnan(v) for v in thin.values.tolist())


def test_the_cache_forgets_the_curve_used_longest_ago() -> None:
    cache = CurveCache(limit_points=10)
    for name in ("a", "b", "c"):
        cache.put("t1", name, Curve().extended(5, series(range(5), range(5))))
    assert [cache.get("t1", name).last_row for name in ("a", "b", "c")] == [0, 5, 5]

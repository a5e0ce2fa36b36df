"""Guards: how they are read, and that the worst a run has shown so far is what counts."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.ledger.summaries import merge, summarise
from secondshift.records.guards import Breach, Guard, breaks, guard_of, guards_of, standing
from secondshift.records.studies import Objective
from secondshift.records.trials import Summary, Trial

SIGNS = st.sampled_from(("<=", "<", ">=", ">"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = st.lists(st.floats(width=32), min_size=1, max_size=20)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="<>=!", exclude_categories=("C", "Z")), min_size=1, max_size=12)


def guarded(*texts: str) -> Objective:
    return Objective(metric="loss", guards=texts)


def run(**metrics: list[float]) -> Trial:
    found = {name: summarise(range(len(values)), values) for name, values in metrics.items()}
    return Trial(id="t1", candidate="c1", seed=0, metrics=found)


@settings(derandomize=True, deadline=None)
@given(metric=NAMES, sign=SIGNS, limit=NUMBERS)
def test_what_is_written_is_what_is_read(metric: str, sign: str, limit: float) -> None:
    found = guard_of(f" {metric}  {sign}{limit!r} ")
    assert found is not None and (found.metric, found.sign, found.limit) == (metric, sign, limit)


@pytest.mark.parametrize("text", [
    "", "mem", "mem <=", "<= 3", "22 >= mem", "mem == 3", "mem = 3", "mem != 3", "0 <= mem <= 3", "mem <= 22GB", "mem <= inf",
    "mem <= 1e999", "mem <= nan", "mem <= baseline", "mem <= 3, time <= 2",
])  # fmt: skip
def test_what_is_no_limit_of_a_metric_is_no_guard(text: str) -> None:
    assert guard_of(text) is None


def test_names_with_slashes_spaces_and_dots_are_names() -> None:
    found = guards_of(guarded("val/peak mem.gb <= 2", "sys/gpu_mb.0<2e4"))
    assert [guard.metric for guard in found] == ["val/peak mem.gb", "sys/gpu_mb.0"]


@settings(derandomize=True, deadline=None)
@given(sign=SIGNS, limit=NUMBERS, first=VALUES, then=VALUES)
def test_a_run_keeps_a_guard_as_far_as_both_of_its_parts_do(sign: str, limit: float, first: list[float], then: list[float]) -> None:
    objective = guarded(f"mem {sign} {limit!r}")
    whole = run(mem=[*first, *then])
    parts = merge(run(mem=first).metrics["mem"], run(mem=then).metrics["mem"])
    assert breaks(objective, whole) == breaks(objective, replace(whole, metrics={"mem": parts}))
    assert breaks(objective, whole) == (breaks(objective, run(mem=first)) or breaks(objective, run(mem=then)))


@settings(derandomize=True, deadline=None)
@given(sign=SIGNS, limit=NUMBERS, values=VALUES, order=st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(sign: str, limit: float, values: list[float], order) -> None:
    objective, turned = guarded(f"mem {sign} {limit!r}"), list(values)
    order.shuffle(turned)
    assert standing(objective, run(mem=values)).word() == standing(objective, run(mem=turned)).word()


@settings(derandomize=True, deadline=None)
@given(sign=SIGNS, limit=NUMBERS, values=VALUES)
def test_it_is_broken_exactly_when_a_finite_value_is_on_the_wrong_side(sign: str, limit: float, values: list[float]) -> None:
    guard = guard_of(f"mem {sign} {limit!r}")
    assert guard is not None
    wrong = [value for value in values if math.isfinite(value) and not guard.holds(value)]
    found = standing(guarded(guard.text), run(mem=values))
    assert bool(found.broken) == bool(wrong) == breaks(guarded(guard.text), run(mem=values))
    if wrong:
        worst = max(wrong) if guard.from_above() else min(wrong)
        assert found.broken == (Breach(guard=guard, value=worst),) and found.broken[0].over() == abs(worst - limit)
    else:
        assert (found.word() == "ok") == all(map(math.isfinite, values))


@settings(derandomize=True, deadline=None)
@given(limit=NUMBERS, value=NUMBERS)
def test_a_value_keeps_to_a_limit_or_to_its_opposite_and_never_to_both(limit: float, value: float) -> None:
    for one, other in (("<=", ">"), (">=", "<")):
        sides = [guard_of(f"m {sign} {limit!r}") for sign in (one, other)]
        assert [guard is not None and guard.holds(value) for guard in sides].count(True) == 1


def test_what_was_never_logged_is_unknown_and_neither_kept_nor_broken() -> None:
    objective = guarded("mem <= 22", "time < 3")
    found = standing(objective, run(mem=[1.0]))
    assert found.word() == "unknown" and [guard.metric for guard in found.unknown] == ["time"]
    assert standing(objective, run(mem=[1.0], time=[math.nan])).word() == "unknown"
    assert standing(objective, replace(run(mem=[1.0]), metrics={"time": Summary()})).word() == "unknown"
    assert standing(objective, run(mem=[30.0])).word() == "broken"  # though nothing is known of the other
    assert standing(objective, run(mem=[22.0], time=[2.9])).word() == "ok"


def test_no_guards_bar_nothing() -> None:
    assert not breaks(Objective(metric="loss"), run(mem=[1e9])) and standing(Objective(metric="loss"), run()).word() == "ok"


def test_a_guard_that_is_written_twice_counts_once() -> None:
    assert guards_of(guarded("mem <= 22", " mem  <=  22")) == (Guard(metric="mem", sign="<=", limit=22.0, text="mem <= 22"),)

"""What a script says of its batches: steps that it skipped, and labels of hardly more than one class."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Row, follow, start


def told(stream: str, values: Sequence[float], *, every: int = 1) -> list[Finding]:
    """What is found in one stream beside a healthy loss."""
    rng = random.Random(1)
    rows: list[Row] = [
        {"step": step * every, "loss": 1.0 + 0.05 * rng.gauss(0, 1), stream: value} for step, value in enumerate(values)
    ]
    return [one for one in follow(start(), rows)[1] if one.stream == stream]


def summed(values: Sequence[float]) -> list[float]:
    """A count of all so far."""
    return [sum(values[: place + 1]) for place in range(len(values))]


SEARCH = [1.0] * 3 + [0.0] * 40  # a loss scale that is searched
OVERFLOW = [*SEARCH, *[1.0] * 40]


@pytest.mark.parametrize(("stream", "values"), [("skipped", OVERFLOW), ("skipped_total", summed(OVERFLOW))])
def test_steps_that_are_skipped_on_and_on_are_repaired_as_overflow(stream: str, values: list[float]) -> None:
    found = told(stream, values)
    assert [one.lasted for one in found] == [4, 8, 16, 32]
    assert {one.symptom for one in found} == {"overflow_skipping"} and {one.since for one in found} == {43}
    assert [rung(one) for one in found] == ["note", "note", "repair", "repair"]
    diagnosis = diagnose(found)
    assert diagnosis is not None and diagnosis.cause == "overflow"


@pytest.mark.parametrize(
    "values",
    [SEARCH, SEARCH + ([0.0] * 30 + [1.0]) * 10, [*SEARCH, *[1.0] * 3, *[0.0] * 20]],
    ids=["a search", "one now and then", "three in a row"],
)
@pytest.mark.parametrize("stream", ["skipped", "skipped_total"])
def test_what_a_loss_scale_skips_while_it_searches_is_nothing(stream: str, values: list[float]) -> None:
    assert told(stream, values if stream == "skipped" else summed(values)) == []


def test_a_count_of_all_so_far_that_stands_still_skips_nothing_whatever_it_is_called() -> None:
    assert told("skipped_total", [1.0] * 100) == [] and told("skipped_total", [37.0] * 100) == []
    assert told("skipped", [0.0] * 10 + [1.0] * 5 + [2.0] * 200 + [3.0] * 200) == told("skipped", [0.0] * 10 + [1.0] * 5)
    assert all(rung(one) == "note" for one in told("skipped", [0.0] * 10 + [1.0] * 200))  # which it is, nobody can know


def test_a_row_each_ten_steps_counts_the_steps_between() -> None:
    assert [one.lasted for one in told("skipped_total", summed([0.0] * 9 + [10.0] * 3), every=10)] == [10, 20]
    assert told("skipped_total", summed([0.0] * 9 + [2.0] * 30), every=10) == []


def test_a_restart_that_counts_anew_skips_nothing() -> None:
    rows: list[Row] = [{"step": step, "skipped_total": 9.0} for step in range(50)]
    again: list[Row] = [{"step": step, "skipped_total": 0.0} for step in range(30, 80)]
    state, found = follow(start(), [*rows, *again])
    assert found == [] and not state.skipping.each


def test_overflow_that_the_gradient_norm_shows_is_told_once() -> None:
    rows: list[Row] = [{"step": step, "loss": 1.0 + step % 7, "grad_norm": 1.0 + step % 3, "skipped": 0.0} for step in range(40)]
    bad: list[Row] = [{"step": step, "loss": 1.0 + step % 7, "grad_norm": float("inf"), "skipped": 1.0} for step in range(40, 80)]
    found = follow(start(), [*rows, *bad])[1]
    assert {one.stream for one in found if one.symptom == "overflow_skipping"} == {"grad_norm"}


def entropies(count: int, *, usual: float = 2.2, spread: float = 0.05) -> list[float]:
    rng = random.Random(2)
    return [max(0.0, usual + spread * rng.gauss(0, 1)) for _ in range(count)]


@pytest.mark.parametrize("unit", [1.0, 1.4427, 100.0])
def test_labels_of_one_class_are_told_since_their_first_batch_and_asked_about(unit: float) -> None:
    found = told("label_entropy", [unit * value for value in [*entropies(100), *[0.01] * 30]])
    assert [(one.symptom, one.since, one.lasted) for one in found] == [("one_class", 100, 12), ("one_class", 100, 24)]
    assert [rung(one) for one in found] == ["note", "ask"]
    diagnosis = diagnose(found)
    assert diagnosis is not None and diagnosis.cause == "unshuffled_loader"


@pytest.mark.parametrize(
    "values",
    [
        entropies(300), [*entropies(100), 0.0, *entropies(50), 0.0, 0.0, *entropies(50)],
        [*entropies(100), *entropies(100, usual=1.1)],
        [0.0] * 200, [value * (step % 3 > 0) for step, value in enumerate(entropies(300, usual=0.2))],
    ],
    ids=["as usual", "single batches", "half of it", "never any", "a rare class that is often missing"],
)  # fmt: skip
def test_labels_that_only_vary_are_nothing(values: list[float]) -> None:
    assert told("label_entropy", values) == []


def test_other_data_that_were_announced_are_nothing() -> None:
    values = [*entropies(100), *entropies(100, usual=0.2, spread=0.01)]
    rows: list[Row] = [{"step": step, "label_entropy": value} for step, value in enumerate(values)]
    assert [one.symptom for one in follow(start(), rows)[1]] == ["one_class"] * 4
    assert follow(start(), rows, announced=[100])[1] == []


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 30.0, float("nan"), float("inf"), -1.0]), max_size=120),
    st.lists(st.integers(0, 120), max_size=4), st.sampled_from(["skipped", "skipped_total", "label_entropy"]),
)  # fmt: skip
def test_batches_in_any_cuts_give_the_same_findings_and_the_same_state(values: list[float], cuts: list[int], stream: str) -> None:
    rows: list[Row] = [{"step": step, stream: value} for step, value in enumerate(values)]
    whole, expected = follow(start(), rows)
    state, found = start(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        state, part = follow(state, rows[begin:end])
        found += part
    assert (repr(state), found) == (repr(whole), expected)

"""What the captain asks a script to do otherwise: given as ordered, and answered once for each."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import secondshift
from secondshift.records.orders import Order
from secondshift.records.trials import Directives as Asked
from secondshift.runtime.executors.folders import write_order
from secondshift.tracking.directives import Directives
from secondshift.tracking.orders import OrderUnreadable, read_order

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda p: (p[0], p[0] + p[1])), max_size=5)


@settings(deadline=None, derandomize=True)
@given(RANGES, st.lists(st.integers(0, 90), max_size=90))
def test_a_step_is_skipped_where_a_range_holds_it_and_each_range_is_answered_once(ranges, asked):
    said = []
    directives = Directives({"skip": [list(pair) for pair in ranges]})
    directives.tell = lambda **values: said.append(values)
    for step in asked:
        assert directives.skips(step) == any(first <= step < end for first, end in ranges)
    firsts = {pair: next((s for s in asked if pair[0] <= s < pair[1]), None) for pair in set(ranges)}
    wanted = {(f"{first}:{end}", at) for (first, end), at in firsts.items() if at is not None}
    assert {(note["value"], note["step"]) for note in said} == wanted and len(said) == len(wanted)
    assert all(note["directive"] == "skip" for note in said)


@settings(deadline=None, derandomize=True)
@given(st.floats(1e-6, 100.0), st.integers(0, 50), st.integers(1, 4))
def test_a_factor_and_a_count_are_given_each_time_and_answered_once(scale, count, times):
    said = []
    directives = Directives({"lr_scale": scale, "fresh_loader": count})
    directives.tell = lambda **values: said.append(values)
    for step in range(times):
        assert directives.lr_scale(step) == scale and directives.fresh_loader(step) == count
    wanted = [{"directive": "lr_scale", "value": repr(scale), "step": 0}] if scale != 1.0 else []
    wanted += [{"directive": "fresh_loader", "value": str(count), "step": 0}] if count else []
    assert said == wanted


def test_in_a_study_using_a_directive_is_noted(attempt):
    attempt.order(horizon_steps=100, directives={"skip": [[5, 8], [20, 21]], "lr_scale": 0.5, "fresh_loader": 2})
    with secondshift.init() as run:
        assert (run.lr_scale, run.fresh_loader) == (0.5, 2)
        for step in range(10):
            if not run.skips(step):
                run.log(step, loss=1.0)
        assert run.lr_scale == 0.5
    assert attempt.notes("applied") == [
        {"directive": "lr_scale", "value": "0.5", "step": 0},
        {"directive": "fresh_loader", "value": "2", "step": 0},
        {"directive": "skip", "value": "5:8", "step": 5},
    ]
    assert [step for step, _ in attempt.points("loss")] == [0, 1, 2, 3, 4, 8, 9]


@pytest.mark.parametrize("inside", [True, False])
def test_where_nothing_is_asked_the_defaults_are_harmless_and_nothing_is_answered(attempt, monkeypatch, inside):
    if not inside:
        monkeypatch.delenv("SECONDSHIFT_ATTEMPT")
    with secondshift.init(horizon=9) as run:
        assert (run.skips(3), run.lr_scale, run.fresh_loader) == (False, 1.0, 0)
    assert attempt.notes("applied") == []


def test_a_step_that_is_no_number_is_not_skipped_and_never_raises(attempt):
    attempt.order(horizon_steps=9, directives={"skip": [[0, 9]]})
    with secondshift.init() as run:
        assert not run.skips("3") and not run.skips(None)  # type: ignore[arg-type]  # on purpose
    assert attempt.notes("applied") == [] and "skips failed" in attempt.notes("dropped")[0]["reason"]


@pytest.mark.parametrize(
    "wrong",
    [{"skip": [[5, 5]]}, {"skip": [[-1, 5]]}, {"skip": [5]}, {"skip": [["a", "b"]]}, {"lr_scale": 0.0}, {"lr_scale": -1},
     {"lr_scale": "half"}, {"lr_scale": float("nan")}, {"lr_scale": float("inf")}, {"fresh_loader": 0.5}, []],
)  # fmt: skip
def test_directives_that_mean_nothing_stop_the_script_before_it_trains_with_others(attempt, wrong):
    attempt.order(horizon_steps=9, directives=wrong)
    with pytest.raises(OrderUnreadable, match=r"order\.json"):
        secondshift.init()


def test_what_an_executor_writes_is_what_the_script_is_asked(attempt, tmp_path, monkeypatch):
    asked = Asked(skip=((100, 120), (300, 301)), lr_scale=0.25, fresh_loader=3)
    order = Order(
        attempt="t1.a2", trial="t1", number=2, token=1, command=("x",), cwd="/", folder=str(tmp_path / "t1.a2"),
        checkpoints=str(tmp_path / "checkpoints"), horizon_steps=9, keep_older=6, directives=asked,
    )  # fmt: skip
    write_order(order)
    monkeypatch.setenv("SECONDSHIFT_ATTEMPT", order.folder)
    read = read_order()
    assert read.keep_older == 6 and (read.directives.lr_scale(0), read.directives.fresh_loader(0)) == (0.25, 3)
    skipped = [step for step in range(400) if read.directives.skips(step)]
    assert skipped == [*range(100, 120), 300]
    assert json.loads((tmp_path / "t1.a2" / "order.json").read_text())["directives"]["skip"] == [[100, 120], [300, 301]]

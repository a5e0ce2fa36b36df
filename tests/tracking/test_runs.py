"""What a training script sees of its run, inside a study and outside."""

import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import secondshift
from secondshift.records.orders import Order
from secondshift.tracking.orders import OrderUnreadable, read_order


def test_outside_a_study_everything_is_harmless(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with secondshift.init(horizon=3) as run:
        p = run.params(lr=0.5, width=8)
        assert (p.lr, p["width"], run.seed, run.horizon) == (0.5, 8, 0, 3)
        assert run.restore() is None
        for step in range(run.horizon):
            run.log(step, loss=1.0, bad="text")
            run.log({"loss": 1.0})
            assert run.eval_due(step)
        assert run.checkpoint_due(2) and not run.checkpoint_due(0)
        with run.checkpoint(3) as folder:
            (folder / "model").write_bytes(b"x")
        assert not run.stopping and run.dropped == 0
    kept = list(tmp_path.glob("secondshift-checkpoints-*/step-3/model"))
    assert len(kept) == 1 and str(kept[0].parents[1]) in capsys.readouterr().err


def test_outside_a_study_a_missing_horizon_is_said_instead_of_training_nothing():
    with pytest.raises(RuntimeError, match=r"init\(horizon=1000\)"):
        _ = secondshift.init().horizon


def test_an_order_that_cannot_be_read_stops_the_script_before_it_trains_the_wrong_thing(attempt):
    (attempt.folder / "order.json").write_text("{torn")
    with pytest.raises(OrderUnreadable, match=r"order\.json could not be used"):
        secondshift.init()


def test_parameters_of_the_order_replace_defaults_and_keep_their_type(attempt):
    attempt.order(params={"lr": 1, "width": 64.0, "name": "relu", "extra": 3}, horizon_steps=10)
    run = secondshift.init(horizon=99)
    p = run.params(lr=0.1, width=32, name="gelu", layers=[1, 2])
    assert dict(**p) == {"lr": 1.0, "width": 64, "name": "relu", "extra": 3, "layers": [1, 2]}
    assert isinstance(p.lr, float) and isinstance(p.width, int) and p["extra"] == p.extra == 3
    assert (run.seed, run.horizon) == (7, 10)
    with pytest.raises(AttributeError, match=r"no parameter 'depth'.*lr.*run\.params\(depth="):
        _ = p.depth
    assert attempt.notes("params") == [{"lr": 1.0, "width": 64, "name": "relu", "layers": "[1, 2]", "extra": 3}]


def test_points_come_back_as_they_were_logged_late_and_repeated_steps_included(attempt):
    run = secondshift.init()
    for step, value in ((0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0)):
        run.log(step, loss=value)
    run.log(2, loss=5.0, acc=0.5)
    run.log(3, loss=6.0)
    assert attempt.points("loss") == [(0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0), (2, 5.0), (3, 6.0)]
    assert attempt.points("acc") == [(2, 0.5)]
    walls = [seconds for _, seconds in attempt.points("_wall_s")]
    assert walls == sorted(walls) and len(walls) == 6 and 0 <= walls[0] < 3600


def test_nan_and_infinities_survive_bit_for_bit(attempt):
    odd = [struct.unpack("<d", bits)[0] for bits in (b"\x01\0\0\0\0\0\xf8\x7f", b"\xff" * 8, b"\0" * 7 + b"\x80")]
    values = [*odd, math.inf, -math.inf, math.nan, 5e-324]
    run = secondshift.init()
    for step, value in enumerate(values):
        run.log(step, loss=value)
    read = [value for _, value in attempt.points("loss")]
    assert [struct.pack("<d", v) for v in read] == [struct.pack("<d", v) for v in values]


class Tensor:
    """Like a one-element tensor: item() works where float() does not."""

    def __float__(self) -> float:
        raise TypeError("only 0-d tensors")

    def item(self) -> float:
        return 2.5


def test_whatever_float_takes_is_accepted(attempt):
    values = [1, True, np.float32(0.5), np.int64(3), np.array(4.0), np.array([6.0]), Fraction(1, 4), Tensor(), "0.75"]
    run = secondshift.init()
    for step, value in enumerate(values):
        run.log(np.int64(step), x=value)
    assert [v for _, v in attempt.points("x")] == [1, 1, 0.5, 3, 4, 6, 0.25, 2.5, 0.75]
    assert run.dropped == 0
    run.log(step=20, x=1)
    run.log(21.0, x=1)
    assert [s for s, _ in attempt.points("x")][-2:] == [20, 21]


class Nasty:
    def __float__(self) -> float:
        raise RuntimeError("not today")

    __index__ = __float__


@pytest.mark.parametrize("step", [-1, None, "3", 1.5, math.nan, 2**63, 10**400, Nasty(), [1], 1j])
def test_an_unusable_step_is_counted_and_never_raises(attempt, step):
    run = secondshift.init()
    run.log(step, a=1, b=2)
    assert run.dropped == 2 and attempt.points("a") == []
    (note,) = attempt.notes("dropped")
    assert note["points"] == 2 and "step" in note["reason"]


@pytest.mark.parametrize("value", [None, "high", 10**400, Nasty(), np.zeros(3), [1.0], {}, 1j, object()])
def test_an_unusable_value_is_counted_and_the_others_are_kept(attempt, value, capsys):
    run = secondshift.init()
    for step in range(3):
        run.log(step, good=1.0, bad=value)
    assert run.dropped == 3 and attempt.points("bad") == [] and len(attempt.points("good")) == 3
    assert sum(note["points"] for note in attempt.notes("dropped")) == 3
    warned = [line for line in capsys.readouterr().err.splitlines() if "bad" in line]
    assert len(warned) == 1 and "not a number" in warned[0]


@pytest.mark.parametrize("name", ["", "x" * 600, "\ud800", "_wall_s"])
def test_an_unusable_name_is_counted(attempt, name):
    run = secondshift.init()
    run.log(0, **{name: 1.0, "fine": 2.0})
    assert run.dropped == 1 and attempt.points("fine") == [(0, 2.0)]


def test_a_dict_of_metrics_is_taken_before_or_behind_the_step(attempt):
    run = secondshift.init()
    run.log(0, {"a": 1, "b": 2})
    run.log({"a": 3}, 1)
    run.log({"a": 4}, step=2)
    run.log({"a": 5, "step": 3}, b=6)
    assert attempt.points("a") == [(0, 1.0), (1, 3.0), (2, 4.0), (3, 5.0)] and attempt.points("b") == [(0, 2.0), (3, 6.0)]
    run.log({"a": 7})
    assert attempt.points("a")[-1] == (3, 7.0), "the newest step that the script named"
    assert run.dropped == 0


def test_dicts_without_any_step_count_the_steps(attempt):
    run = secondshift.init(horizon=4)
    for value in range(3):
        run.log({"loss": value, 7: 1.0})
    assert attempt.points("loss") == [(0, 0.0), (1, 1.0), (2, 2.0)] and len(attempt.points("7")) == 3
    run.checkpoint_due(3)
    run.log({"loss": 3})
    assert attempt.points("loss")[-1] == (3, 3.0)


@pytest.mark.parametrize("given", [(0, {"a": 1}, {"b": 2}), (0, 1, {"a": 1}), (0, [1])])
def test_what_is_neither_step_nor_dict_is_counted_with_the_cure(attempt, given, capsys):
    run = secondshift.init()
    run.log(*given)
    assert run.dropped and "log(step, name=value)" in attempt.notes("dropped")[0]["reason"]
    assert "log(step, name=value)" in capsys.readouterr().err


def test_neither_an_empty_dict_nor_one_of_no_use_is_a_step(attempt):
    run = secondshift.init()
    run.log({})
    assert run.dropped == 0
    run.log({"loss": "high"})
    run.log({"loss": 1.0})
    run.log({"loss": 2.0})
    values = attempt.points("loss")
    assert [value for _, value in values] == [1.0, 2.0] and values[1][0] == values[0][0] + 1 and run.dropped == 1


def test_very_many_metrics_in_one_call_all_arrive(attempt):
    run = secondshift.init()
    run.log(4, **{f"layer/{i}": i for i in range(20_000)})
    found = {b.metric: list(b.values) for chunk in attempt.chunks() for b in chunk.batches}
    assert len(found) == 20_001 and found["layer/19999"] == [19_999.0] and run.dropped == 0


def test_too_many_different_names_are_counted_and_known_ones_go_on(attempt):
    run = secondshift.init()
    for first in range(0, 70_000, 10_000):
        run.log(0, **{f"m{i}": 1.0 for i in range(first, first + 10_000)})
    run.log(1, m5=2.0)
    assert run.dropped == 70_000 - 65_536 and attempt.points("m5")[-1] == (1, 2.0)


def test_due_questions_follow_the_order(attempt):
    attempt.order(horizon_steps=10, until_step=7, eval_every_steps=4, checkpoint_every_s=1000.0)
    run = secondshift.init()
    assert [s for s in range(10) if run.eval_due(s)] == [3, 6, 7, 8, 9]
    assert not run.stopping
    assert [s for s in range(7) if run.checkpoint_due(s)] == [6]
    assert run.stopping
    for wrong in (None, "x", Nasty()):
        assert run.eval_due(wrong) is False and run.checkpoint_due(wrong) is False


def test_a_run_goes_on_where_its_grant_was_extended_while_it_ran(attempt):
    attempt.order(horizon_steps=10, until_step=3)
    run = secondshift.init()
    (attempt.folder / "until").write_text("6")
    assert not run.checkpoint_due(2) and not run.stopping
    assert run.checkpoint_due(5) and run.stopping


def test_the_interval_makes_a_checkpoint_due_and_saving_resets_it(attempt):
    attempt.order(horizon_steps=10, checkpoint_every_s=0.0)
    run = secondshift.init()
    assert run.checkpoint_due(0)
    run._order.checkpoint_every_s = 1000.0
    assert not run.checkpoint_due(1) and run.checkpoint_due(9)


def test_the_flag_file_stops_the_run_and_the_closing_note_says_so(attempt):
    run = secondshift.init()
    run.log(4, loss=1.0)
    assert not run.stopping
    run._stops._look_at = 0.0
    (attempt.folder / "stopping").touch()
    assert run.checkpoint_due(4) and run.stopping
    run.close()
    run.close()
    assert attempt.notes("closed") == [{"clean": True, "stopping": True, "steps_done": 5}]


def test_a_run_that_reached_the_horizon_was_not_stopped(attempt):
    run = secondshift.init()
    (attempt.folder / "stopping").touch()
    run.log(99, loss=1.0)
    run.close()
    assert attempt.notes("closed") == [{"clean": True, "stopping": False, "steps_done": 100}]


def test_sigterm_asks_to_stop_and_calls_the_handler_that_was_there(attempt):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        run = secondshift.init()
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stopping and seen == [signal.SIGTERM]
        run.close()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_init_closes_the_first_run_and_has_a_file_of_its_own(attempt):
    first = secondshift.init()
    first.log(0, loss=1.0)
    second = secondshift.init()
    second.log(1, loss=2.0)
    first.log(2, loss=3.0)
    second.close()
    assert [note["clean"] for note in attempt.notes("closed")] == [False, True]
    assert attempt.points("loss") == [(0, 1.0), (1, 2.0)] and first.dropped == 1
    assert "after close" in attempt.notes("dropped")[0]["reason"]


@pytest.mark.parametrize(
    ("raised", "clean"), [(None, True), (KeyError("x"), False), (SystemExit(0), True), (SystemExit(3), False)]
)
def test_leaving_the_block_by_an_exception_is_no_clean_close(attempt, raised, clean):
    try:
        with secondshift.init() as run:
            run.log(0, loss=1.0)
            if raised is not None:
                raise raised
    except (KeyError, SystemExit):
        pass
    assert [note["clean"] for note in attempt.notes("closed")] == [clean]


def test_a_run_works_in_a_thread_where_signals_cannot_be_handled(attempt):
    def train() -> None:
        run = secondshift.init()
        run.log(0, loss=1.0)
        run.close()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(timeout=20)
    assert attempt.points("loss") == [(0, 1.0)] and attempt.notes("closed")[0]["clean"]


def test_importing_and_beginning_loads_nothing_heavy():
    probe = (
        "import sys; import secondshift; bare = set(sys.modules); secondshift.init(horizon=1);"
        "print(*sorted(set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(secondshift.__file__).parents[1])}
    out = subprocess.run([sys.executable, "-S", "-c", probe], env=env, capture_output=True, text=True, check=True)
    heavy = {"dataclasses", "inspect", "typing", "logging", "numpy", "tempfile", "shutil", "threading", "asyncio"}
    assert not heavy & set(out.stdout.split())
    ours = {name for name in out.stdout.split() if name.startswith("secondshift.")}
    assert all(name.startswith("secondshift.tracking") for name in ours)


def test_the_order_that_executors_write_is_understood(attempt):
    order = Order(
        attempt="t2.a3", trial="t2", number=3, token=1, command=("x",), cwd="/", folder=str(attempt.folder),
        checkpoints="/c", seed=5, params={"lr": 0.5}, horizon_steps=9, until_step=4, eval_every_steps=2,
        checkpoint_every_s=3.0, keep_checkpoints=4,
    )  # fmt: skip
    (attempt.folder / "order.json").write_text(json.dumps(asdict(order)))
    read = read_order()
    for name in ("attempt", "trial", "folder", "checkpoints", "seed", "params", "horizon_steps", "until_step",
                 "eval_every_steps", "checkpoint_every_s", "keep_checkpoints"):  # fmt: skip
        assert getattr(read, name) == getattr(order, name), name

"""Checkpoints: whole or not used, newest first, and never the last good one removed."""

import errno
import json
import os
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

import secondshift
from secondshift.tracking import checkpoints
from secondshift.tracking.checkpoints import newest_verified, verify


def save(run, step: int, text: str = "") -> None:
    with run.checkpoint(step) as folder:
        (folder / "model.bin").write_text(text or f"weights {step}")
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "state").write_text("s" * 1000)


def names(attempt) -> list[str]:
    return sorted(os.listdir(attempt.checkpoints))


def test_a_saved_checkpoint_is_restored_by_the_next_attempt(attempt):
    run = secondshift.init()
    assert run.restore() is None
    save(run, 5)
    run.close()
    (note,) = attempt.notes("saved")
    assert note["folder"] == "trials/t1/checkpoints/step-5" and note["step"] == 5 and note["bytes"] == 1009
    manifest = json.loads((attempt.checkpoints / "step-5" / "manifest.json").read_text())
    assert (manifest["attempt"], manifest["seed"], manifest["step"]) == ("t1.a1", 7, 5)
    again = secondshift.init()
    restored = again.restore()
    assert restored is not None and restored.step == 5
    assert (restored.path / "model.bin").read_text() == "weights 5"
    again.close()
    assert attempt.notes("restored") == [{"step": 5}]
    assert attempt.notes("closed")[-1]["steps_done"] == 5


def test_old_checkpoints_are_pruned_and_told(attempt):
    attempt.order(horizon_steps=100, keep_checkpoints=2)
    run = secondshift.init()
    for step in (1, 2, 3, 4):
        save(run, step)
    assert names(attempt) == ["step-3", "step-4"]
    assert [note["step"] for note in attempt.notes("pruned")] == [1, 2]


def test_saving_an_earlier_step_never_removes_what_was_just_saved(attempt):
    attempt.order(horizon_steps=100, keep_checkpoints=1)
    run = secondshift.init()
    save(run, 9)
    save(run, 3)
    assert names(attempt) == ["step-3"]


def test_the_same_step_saved_again_replaces_the_first(attempt):
    run = secondshift.init()
    save(run, 2, "old")
    save(run, 2, "new")
    assert names(attempt) == ["step-2"] and (attempt.checkpoints / "step-2" / "model.bin").read_text() == "new"
    assert isinstance(verify(attempt.checkpoints / "step-2"), dict)


def test_a_writer_killed_while_replacing_leaves_the_replaced_one_usable(attempt):
    run = secondshift.init()
    save(run, 2, "old")
    os.rename(attempt.checkpoints / "step-2", attempt.checkpoints / ".old-step-2-1-a")
    restored = run.restore()
    assert restored is not None and (restored.path / "model.bin").read_text() == "old" and restored.step == 2
    save(run, 3)
    assert names(attempt) == ["step-3"]


def test_a_replacement_that_fails_half_way_leaves_the_replaced_one_usable(attempt, monkeypatch):
    def fail(source: Path, target: Path) -> None:
        if ".writing-" in str(source):
            raise OSError(errno.EIO, "Input/output error")
        os_rename(source, target)

    run, os_rename = secondshift.init(), os.rename
    save(run, 2, "old")
    monkeypatch.setattr(checkpoints.os, "rename", fail)
    save(run, 2, "new")
    monkeypatch.undo()
    restored = run.restore()
    assert restored is not None and (restored.path / "model.bin").read_text() == "old"


def corrupt_byte(folder: Path) -> None:
    data = bytearray((folder / "model.bin").read_bytes())
    data[0] ^= 1
    (folder / "model.bin").write_bytes(data)


DAMAGES = {
    "a flipped bit": corrupt_byte,
    "a truncated file": lambda folder: os.truncate(folder / "model.bin", 2),
    "a missing file": lambda folder: (folder / "deep" / "er" / "state").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "an empty manifest": lambda folder: os.truncate(folder / "manifest.json", 0),
    "a manifest of something else": lambda folder: (folder / "manifest.json").write_text("[1, 2]"),
    "a manifest of another step": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace('"step": 8', '"step": 80')
    ),
    "a path that leads outside": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace("model.bin", "../step-4/model.bin")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(attempt, damage):
    run = secondshift.init()
    save(run, 4)
    save(run, 8)
    DAMAGES[damage](attempt.checkpoints / "step-8")
    assert isinstance(verify(attempt.checkpoints / "step-8"), str)
    restored = run.restore()
    assert restored is not None and restored.step == 4
    (note,) = attempt.notes("rejected")
    assert note["step"] == 8 and note["reason"]
    save(run, 6)
    assert names(attempt) == ["step-4", "step-6"]  # the damaged one was pruned first


def test_a_checkpoint_of_another_seed_is_not_used(attempt):
    run = secondshift.init()
    save(run, 4)
    attempt.order(seed=8, horizon_steps=100)
    other = secondshift.init()
    assert other.restore() is None and "seed 7" in attempt.notes("rejected")[0]["reason"]


def test_what_the_block_raises_goes_on_its_way_and_nothing_is_kept(attempt):
    run = secondshift.init()
    for raised in (KeyError("mine"), KeyboardInterrupt(), OSError(errno.EACCES, "mine")):
        with pytest.raises(type(raised)), run.checkpoint(3) as folder:
            (folder / "half").write_text("x")
            raise raised
    assert names(attempt) == [] and attempt.notes("saved") == []


def test_a_full_disk_in_the_scripts_own_save_costs_the_checkpoint_and_not_the_training(attempt, capsys):
    run = secondshift.init()
    save(run, 1)
    with run.checkpoint(2) as folder:
        (folder / "half").write_text("x")
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as problem:
            raise RuntimeError("torch: file write failed") from problem
    assert names(attempt) == ["step-1"] and attempt.notes("saved")[-1]["step"] == 1
    (note,) = attempt.notes("unsaved")
    assert note == {"step": 2, "reason": "RuntimeError: torch: file write failed"} and not attempt.notes("dropped")
    assert "checkpoint of step 2" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["seal", "install", "begin"])
def test_a_disk_that_fails_us_costs_the_checkpoint_and_not_the_training(attempt, monkeypatch, broken):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = secondshift.init()
    save(run, 1)
    monkeypatch.setattr(checkpoints, broken, fail)
    save(run, 2)
    monkeypatch.undo()
    assert names(attempt) == ["step-1"] and "No space left" in attempt.notes("unsaved")[0]["reason"]
    save(run, 3)
    assert names(attempt) == ["step-1", "step-3"]


@pytest.mark.parametrize("step", [-1, "x", None])
def test_a_step_that_makes_no_sense_costs_the_checkpoint_and_not_the_training(attempt, step, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = secondshift.init()
    with run.checkpoint(step) as folder:
        (folder / "x").write_text("x")
    (note,) = attempt.notes("unsaved")
    assert note["step"] == -1 and note["reason"] and list(tmp_path.glob("secondshift-*")) == []


def test_our_own_manifest_name_is_refused_with_the_cure(attempt):
    run = secondshift.init()
    with run.checkpoint(1) as folder:
        (folder / "manifest.json").write_text("{}")
    assert "another" in attempt.notes("unsaved")[0]["reason"] and names(attempt) == []


def test_what_killed_writers_left_is_swept_and_living_writers_are_left_alone(attempt):
    run = secondshift.init()
    attempt.checkpoints.mkdir(parents=True)
    for name in (".writing-3-999999999-ab-t1.a1", ".writing-3-1-ab-t1.a0", f".writing-4-{os.getpid()}-ab-t1.a1"):
        (attempt.checkpoints / name).mkdir()
        (attempt.checkpoints / name / "half").write_text("x")
    run.restore()
    assert names(attempt) == [f".writing-4-{os.getpid()}-ab-t1.a1"]


def test_every_file_and_folder_is_synced_before_the_checkpoint_takes_its_place(attempt, monkeypatch):
    run = secondshift.init()
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watch(fd: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    monkeypatch.setattr(checkpoints.os, "fsync", watch)
    monkeypatch.setattr(checkpoints.os, "rename", lambda a, b: (done.append("RENAME"), rename(a, b)))
    save(run, 1)
    before = set(done[: done.index("RENAME")])
    assert {"model.bin", "state", "er", "deep", "manifest.json"} <= before
    assert any(name.endswith(".frag") for name in before)
    assert "checkpoints" in done[done.index("RENAME") :]


SAVER = """
import secondshift, os
run = secondshift.init()
found = run.restore()
step = found.step if found else 0
print("restored", step, flush=True)
while True:
    step += 1
    run.log(step - 1, loss=1.0)
    with run.checkpoint(step) as folder:
        for i in range(3):
            (folder / f"part-{i}").write_bytes(os.urandom(20_000))
    print("saved", step, flush=True)
"""


def test_killed_at_any_moment_the_newest_acknowledged_checkpoint_is_always_there(attempt):
    attempt.order(horizon_steps=10**9, keep_checkpoints=1)
    chance, acknowledged = random.Random(5), 0
    for _ in range(30):
        child = attempt.spawn(SAVER)
        assert child.stdout is not None
        try:
            first = child.stdout.readline().split()
            assert first[0] == "restored" and int(first[1]) >= acknowledged
            said = [child.stdout.readline().split() for _ in range(chance.randrange(4))]
            time.sleep(chance.uniform(0.0, 0.02))
        finally:
            os.kill(child.pid, signal.SIGKILL)
            out, _ = child.communicate(timeout=20)
        said += [line.split() for line in out.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = max([acknowledged, *(int(step) for word, step in said if word == "saved")])
        newest = newest_verified(attempt.checkpoints)
        assert (newest[1]["step"] if newest else 0) >= acknowledged
    assert acknowledged >= 30
    assert attempt.notes("rejected") == []
    assert len(names(attempt)) <= 3


def test_older_checkpoints_stay_so_spread_that_a_late_alarm_finds_one_from_before(attempt):
    attempt.order(horizon_steps=1000, keep_checkpoints=2, keep_older=4)
    run = secondshift.init()
    for step in range(10, 210, 10):
        save(run, step)
    kept = sorted(int(name.removeprefix("step-")) for name in names(attempt))
    ages = [200 - step for step in reversed(kept)]
    assert ages[:3] == [0, 10, 20] and len(ages) == 6 and ages[-1] >= 80
    assert all(elder <= 2 * younger for younger, elder in pairwise(ages[1:]))
    assert {note["step"] for note in attempt.notes("pruned")} == set(range(10, 210, 10)) - set(kept)


BEST = {"horizon_steps": 100, "keep_checkpoints": 2, "objective": "val_loss"}


def evaluated(run, step: int, value: object, metric: str = "val_loss") -> None:
    """Log an evaluation of the step before, then save."""
    run.log(step - 1, **{metric: value})
    save(run, step)


@pytest.mark.parametrize(("goal", "sign"), [("min", 1.0), ("max", -1.0)])
def test_the_checkpoint_of_the_best_objective_stays_beside_the_newest(attempt, goal, sign):
    attempt.order(**BEST, keep_best=goal)
    run = secondshift.init()
    for step, value in ((10, 3.0), (20, 1.0), (30, 2.0), (40, 1.0), (50, 4.0), (60, 5.0)):
        evaluated(run, step, sign * value)
    assert names(attempt) == ["step-20", "step-50", "step-60"]
    assert [note["objective"] for note in attempt.notes("saved")][:2] == [sign * 3.0, sign * 1.0]


def test_the_best_is_known_to_the_next_attempt_too_and_makes_room_for_a_better_one(attempt):
    attempt.order(**BEST, keep_best="min")
    run = secondshift.init()
    for step, value in ((10, 1.0), (20, 2.0), (30, 3.0)):
        evaluated(run, step, value)
    run.close()
    again = secondshift.init()
    save(again, 40)  # nothing was evaluated in this process yet
    evaluated(again, 50, 2.5)
    assert names(attempt) == ["step-10", "step-40", "step-50"]
    evaluated(again, 60, 0.5)
    for step in (70, 80):
        evaluated(again, step, 9.0)
    assert names(attempt) == ["step-60", "step-70", "step-80"]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "good", None])
def test_an_objective_that_is_no_number_makes_no_checkpoint_the_best(attempt, value):
    attempt.order(**BEST, keep_best="min")
    run = secondshift.init()
    for step, logged in ((10, 1.0), (20, value), (30, 2.0), (40, 2.0)):
        evaluated(run, step, logged)
    assert "step-10" in names(attempt) and "step-20" not in names(attempt)


def test_without_a_goal_the_newest_stay_alone(attempt):
    attempt.order(**BEST)
    run = secondshift.init()
    for step, value in ((10, 1.0), (20, 2.0), (30, 3.0)):
        evaluated(run, step, value)
    assert names(attempt) == ["step-20", "step-30"]


def test_a_script_that_begins_again_keeps_no_best_of_the_run_it_gave_up(attempt):
    attempt.order(**BEST, keep_best="min")
    run = secondshift.init()
    for step, value in ((40, 3.0), (50, 2.0), (60, 1.0), (10, 9.0), (20, 8.0)):
        evaluated(run, step, value)
    assert "step-60" not in names(attempt) and "step-20" in names(attempt)


class Several:
    """As a tensor of several values, of which float() makes no number."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


def test_what_is_no_number_costs_nothing_but_itself(attempt):
    attempt.order(**BEST, keep_best="min")
    run = secondshift.init()
    run.log(0, val_loss=Several(), loss=1.0)
    run.log(1, val_loss=10**400, loss=0.5)
    run.close()
    assert attempt.points("loss", ended=True) == [(0, 1.0), (1, 0.5)]
    assert attempt.notes("closed", ended=True)[-1]["steps_done"] == 2

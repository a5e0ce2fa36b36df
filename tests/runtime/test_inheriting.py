"""A trial begins from a verified copy of another's checkpoint, whoever is killed on the way, or is closed with a reason."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.inheritances import Inheritance
from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Study
from secondshift.records.trials import Candidate, Checkpoint, Trial
from secondshift.runtime import inheriting, pruning
from secondshift.runtime.acting import Hands, act
from secondshift.runtime.executors.inline import InlineExecutor
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.inheriting import COPYING, Uninheritable, copied
from secondshift.runtime.ownsaves import newest
from secondshift.tracking import checkpoints

STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=100)


def saved(private: Path, trial: str = "t1", step: int = 30, size: int = 10) -> Checkpoint:
    """A checkpoint as the SDK writes it."""
    root = private / "trials" / trial / "checkpoints"
    folder = checkpoints.begin(root, step, f"{trial}.a1")
    (folder / "inner").mkdir()
    (folder / "weights.bin").write_bytes(bytes(range(256)) * size)
    (folder / "inner" / "state.txt").write_text("deep")
    digest, total = checkpoints.seal(folder, step=step, attempt=f"{trial}.a1", trial=trial, seed=7)
    checkpoints.install(folder, root, step)
    return Checkpoint(trial=trial, step=step, folder="", bytes=total, digest=digest, attempt=f"{trial}.a1")


def own(private: Path, trial: str = "t1", step: int = 30) -> Checkpoint:
    """A checkpoint that a script keeps by itself, as it is recorded when its folder was seen to change."""
    place = private / "trials" / trial / "checkpoints"
    (place / "deep").mkdir(parents=True)
    (place / "last.pt").write_bytes(b"weights" * 100)
    (place / "deep" / "opt.pt").write_bytes(b"moments")
    (place / "link").symlink_to("last.pt")
    seen = newest(place)
    assert seen
    return Checkpoint(trial=trial, step=step, folder="", bytes=seen.total, digest=f"changed-{seen.changed_ns}")


def waiting(saved: Checkpoint) -> State:
    """A parent with that checkpoint, and an heir that was just queued."""
    heir = Trial(id="t2", candidate="c2", seed=7, inherits=Inheritance(trial="t1", step=saved.step, digest=saved.digest))
    parent = Trial(id="t1", candidate="c1", seed=7, status="paused", steps_done=saved.step, attempts=1)
    state = State(
        study=STUDY, trials={"t1": parent}, open={"t1": True}, checkpoints={"t1": (saved,)},
        candidates={"c1": Candidate(id="c1"), "c2": Candidate(id="c2", parents=("c1",))},
    )  # fmt: skip
    return recorded(state, facts.TrialQueued(trial=heir, decision="d1"))


def recorded(state: State, *payloads: facts.Payload) -> State:
    events = [
        facts.Event(seq=state.last_seq + n, at=1.0, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for n, p in enumerate(payloads, 1)
    ]
    return fold(state, events)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("make", [saved, own])
def test_a_copy_is_whole_is_the_heirs_own_and_comes_once(tmp_path: Path, make) -> None:
    one = make(tmp_path)
    copy = copied(tmp_path, one, "t2")
    here, there = (tmp_path / "trials" / name / "checkpoints" for name in ("t1", "t2"))
    assert contents(here) == contents(there)
    assert (copy.trial, copy.step, copy.attempt, copy.own()) == ("t2", 30, "", one.own())
    before = {p: p.stat().st_ino for p in there.rglob("*")}
    assert copied(tmp_path, one, "t2") == copy
    assert {p: p.stat().st_ino for p in there.rglob("*")} == before, "what was there and whole was copied again"
    assert all(p.stat().st_nlink == 1 for p in there.rglob("*") if p.is_file() and not p.is_symlink())
    (next(there.rglob("*.bin"), None) or there / "last.pt").write_bytes(b"the heir trains on")
    assert contents(here) != contents(there), "the parent's file was changed by its heir"


def test_a_copy_of_ours_is_found_by_the_sdk_with_its_step_and_seed(tmp_path: Path) -> None:
    copied(tmp_path, saved(tmp_path), "t2")
    found = checkpoints.newest_verified(tmp_path / "trials/t2/checkpoints", seed=7)
    assert found and found[1]["step"] == 30


@pytest.mark.parametrize("make", [saved, own])
def test_what_was_changed_since_it_was_recorded_or_is_gone_is_not_inherited(tmp_path: Path, make) -> None:
    one = make(tmp_path)
    file = next(p for p in (tmp_path / "trials/t1/checkpoints").rglob("*") if p.suffix in (".bin", ".pt"))
    time.sleep(0.01)
    file.write_bytes(b"other")
    with pytest.raises(Uninheritable, match=r"bytes|changed"):
        copied(tmp_path, one, "t2")
    for path in sorted((tmp_path / "trials/t1/checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    with pytest.raises(Uninheritable, match="not there any more"):
        copied(tmp_path, one, "t2")
    assert not (tmp_path / "trials/t2/checkpoints").exists()


def test_a_checkpoint_of_the_same_step_that_was_saved_anew_is_not_the_one_that_was_recorded(tmp_path: Path) -> None:
    one = saved(tmp_path)
    saved(tmp_path, size=11)
    with pytest.raises(Uninheritable, match="not what was recorded"):
        copied(tmp_path, one, "t2")


def test_what_a_killed_copier_left_beside_the_place_or_half_in_it_is_copied_again(tmp_path: Path) -> None:
    one = saved(tmp_path)
    beside = tmp_path / "trials/t2" / COPYING / "step-30"
    beside.mkdir(parents=True)
    (beside / "weights.bin").write_bytes(b"half")
    half = tmp_path / "trials/t2/checkpoints/step-30"
    half.mkdir(parents=True)
    (half / "weights.bin").write_bytes(b"half")
    copied(tmp_path, one, "t2")
    assert contents(half) == contents(tmp_path / "trials/t1/checkpoints/step-30")
    assert not (tmp_path / "trials/t2" / COPYING).exists()


COPY_AND_COPY = """
import sys
from pathlib import Path
from secondshift.records.trials import Checkpoint
from secondshift.runtime.inheriting import copied
print("ready", flush=True)
copied(Path(sys.argv[1]), Checkpoint(trial="t1", step=30, folder="", digest=sys.argv[2]), "t2")
"""


def test_wherever_a_copier_is_killed_what_stands_in_the_place_is_whole(tmp_path: Path) -> None:
    one = saved(tmp_path, size=40_000)  # 10 MB
    there = tmp_path / "trials/t2/checkpoints/step-30"
    beside = tmp_path / "trials/t2" / COPYING
    caught = 0
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02, 0.04):
        run = subprocess.Popen([sys.executable, "-c", COPY_AND_COPY, str(tmp_path), one.digest], stdout=subprocess.PIPE)
        assert run.stdout and run.stdout.readline() == b"ready\n"
        until = time.monotonic() + 5.0
        while not beside.exists() and not there.exists() and time.monotonic() < until and run.poll() is None:
            time.sleep(0.0005)
        time.sleep(delay)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
        caught += beside.exists()
        if there.exists():
            assert isinstance(checkpoints.verify(there), dict)
            for path in sorted(there.parent.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            there.parent.rmdir()
    assert caught, "no copier was killed in the middle; make the checkpoint larger"
    copied(tmp_path, one, "t2")
    assert isinstance(checkpoints.verify(there), dict) and not beside.exists()


def hands(private: Path) -> Hands:
    return Hands(folder=private, place=private)


def test_an_heir_does_not_start_before_its_copy_is_recorded_and_then_begins_at_that_step(tmp_path: Path) -> None:
    state = waiting(saved(tmp_path))
    assert state.trials["t2"].awaits_inheritance() and state.trials["t2"].steps_done == 0
    (fact,) = act(state, LocalExecutor(tmp_path), hands(tmp_path))
    assert isinstance(fact, facts.CheckpointInherited) and fact.source == "t1"
    again = act(state, LocalExecutor(tmp_path), hands(tmp_path))  # the engine died before it was recorded
    assert again == [fact]
    state = recorded(state, fact)
    assert state.trials["t2"].steps_done == 30 and not state.trials["t2"].awaits_inheritance()
    assert act(state, LocalExecutor(tmp_path), hands(tmp_path)) == []
    ordered = facts.AttemptOrdered(
        attempt="t2.a1", trial="t2", number=1, token=1, devices=("cpu-0",), from_step=30, until_step=60, grant_s=9.0, decision="d2"
    )
    state = recorded(state, ordered)
    assert state.trials["t2"].reason == "running from step 30, as inherited from t1"


def test_an_heir_that_cannot_have_it_is_closed_and_told_why(tmp_path: Path) -> None:
    one = saved(tmp_path)
    gone = recorded(waiting(one), facts.CheckpointPruned(trial="t1", step=30, reason="r"))
    other = replace(waiting(one), checkpoints={"t1": (replace(one, digest="0" * 64),)})
    for state, executor, why in (
        (gone, LocalExecutor(tmp_path), "it is not there any more"),
        (other, LocalExecutor(tmp_path), "it is not there any more"),
        (waiting(one), InlineExecutor(tmp_path), "this executor copies none"),
    ):
        (fact,) = act(state, executor, hands(tmp_path))
        assert fact == facts.TrialClosed(
            trial="t2", status="stopped", decision="", reason=f"the checkpoint of t1 at step 30 cannot be inherited: {why}"
        )
        assert recorded(state, fact).trials["t2"].status == "stopped"


def test_a_checkpoint_that_is_promised_is_not_given_up_for_the_disk_cap(tmp_path: Path) -> None:
    one = replace(saved(tmp_path), bytes=9_000_000)
    state = waiting(one)
    closed = replace(state.trials["t1"], status="complete")
    state = replace(
        state, study=replace(STUDY, launch=Launch(disk_cap_mb=1.0)), trials={**state.trials, "t1": closed}, open={"t2": True}
    )
    assert pruning.overflow(state) == []
    after = recorded(state, *inheriting.bequeath(state, LocalExecutor(tmp_path)))
    assert [(fact.trial, fact.step) for fact in pruning.overflow(after)] == [("t1", 30)]


def test_a_full_disk_is_not_a_reason_to_close_an_heir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    one = saved(tmp_path)
    monkeypatch.setattr(inheriting.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        act(waiting(one), LocalExecutor(tmp_path), hands(tmp_path))
    monkeypatch.undo()
    assert len(act(waiting(one), LocalExecutor(tmp_path), hands(tmp_path))) == 1


def test_the_copy_is_durable_before_it_stands_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(fd: int) -> None:
        done.append(f"sync {os.readlink(f'/proc/self/fd/{fd}')}")
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        done.append(f"rename {self.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    copied(tmp_path, saved(tmp_path), "t2")
    inside = done[done.index(f"rename {COPYING}") - 6 :]
    assert [line for line in inside if COPYING in line and line.startswith("sync")] and done[-1] == f"sync {tmp_path}/trials/t2"
    copies = [line for line in done if line.startswith("sync") and COPYING in line]
    assert sum("weights.bin" in line or "state.txt" in line or "manifest" in line for line in copies) == 3

"""A population of real processes, whose engine is killed between a recorded decision and the copy, and inside the copy."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.replay import replay
from secondshift.runtime.inheriting import COPYING
from secondshift.tracking import checkpoints

pytestmark = pytest.mark.timeout(400)  # 9 attempts and 4 engines, each a process
HOUSE = Path(__file__).parents[1]
STUDY = """command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 80
[search]
lr = { low = 1e-3, high = 1.0, log = true, default = 0.05 }
[resume]
trust = true
[policy]
scheduler = "population"
population = 4
min_steps = 40
failure_floor = 50
[launch]
slots = 2
[budget]
device_hours = 1
"""
WORK = """
import os, shutil, signal, sys
from pathlib import Path
from secondshift.runtime import inheriting
from secondshift.shifts import work

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(old, new, length):
    new.write(old.read(40))
    new.flush()
    die()

how = sys.argv[1]
if how == "before the copy":
    inheriting.copied = die
if how == "inside the copy":
    inheriting.shutil.copyfileobj = half
if how == "after the copy":
    whole = inheriting.copied
    inheriting.copied = lambda *given: (whole(*given), die())
sys.exit(work(Path("secondshift.toml"), resume=how != "before the copy"))
"""


def engine(folder: Path, how: str, *, killed: bool = True) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HOUSE / "src")}
    run = subprocess.run(
        [sys.executable, "-c", WORK, how], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == (-signal.SIGKILL if killed else 0), f"{how}: {run.returncode}\n{run.stdout}\n{run.stderr}"


def recorded(folder: Path) -> State:
    ledger = open_ledger(folder / ".secondshift", readonly=True)
    try:
        return fold(State(), ledger.read())
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    shutil.copy(HOUSE / "benchmarks" / "populations" / "train.py", folder)
    (folder / "secondshift.toml").write_text(STUDY)
    engine(folder, "before the copy")
    state = recorded(folder)
    assert [t.id for t in state.heirs()] and not (folder / ".secondshift/trials/t5").exists(), "not killed before the copy"
    engine(folder, "inside the copy")
    assert (folder / ".secondshift/trials/t5" / COPYING).is_dir() and list(recorded(folder).heirs())
    engine(folder, "after the copy")
    assert (folder / ".secondshift/trials/t5/checkpoints/step-40").is_dir() and list(recorded(folder).heirs())
    engine(folder, "to its end", killed=False)
    return folder


def test_the_night_ends_as_if_nobody_had_been_killed(night: Path) -> None:
    ledger = open_ledger(night / ".secondshift", readonly=True)
    try:
        assert replay(ledger).holds
        told = [e.payload for e in ledger.read(kinds=("checkpoint.inherited",))]
        state = fold(State(), ledger.read())
        reasons = [e.payload.reason for e in ledger.read(kinds=("shift.ended",)) if isinstance(e.payload, facts.ShiftEnded)]
    finally:
        ledger.close()
    assert reasons == ["The population of 4 was trained to its end."]
    children = [t for t in state.trials.values() if t.inherited()]
    assert len(children) == 1 and state.statuses["complete"] == 4 and not state.statuses.get("failed", 0)
    copies = [fact.checkpoint.trial for fact in told if isinstance(fact, facts.CheckpointInherited)]
    assert copies == [t.id for t in children], "a copy was recorded twice, or never"
    assert not list((night / ".secondshift").rglob(COPYING))


def test_each_child_trained_on_from_its_parents_weights_with_its_own_parameters(night: Path) -> None:
    ledger = open_ledger(night / ".secondshift", readonly=True)
    try:
        state = fold(State(), ledger.read())
        for child in (t for t in state.trials.values() if t.inherited()):
            step = child.inherits.step
            parents = ledger.series(child.inherits.trial, "loss")
            before = dict(zip(parents.steps, parents.values, strict=True))[step - 1]
            taken = ledger.series(child.id, "taken_over")
            assert taken.steps[0] == step and taken.values[0] == pytest.approx(before, rel=1e-12)
            assert ledger.series(child.id, "loss").steps[0] == step
            mine, theirs = (state.candidates[t.candidate] for t in (child, state.trials[child.inherits.trial]))
            assert mine.parents == (theirs.id,) and child.params["lr"] == mine.params["lr"]
            assert mine.params["lr"] != state.trials[child.inherits.trial].params["lr"]
    finally:
        ledger.close()


def test_what_a_child_was_given_is_what_its_parent_had_saved(night: Path) -> None:
    state = recorded(night)
    for trial in state.trials.values():
        if trial.inherited() and trial.status == "complete":
            found = checkpoints.newest_verified(night / ".secondshift" / "trials" / trial.id / "checkpoints", seed=trial.seed)
            assert found and found[1]["step"] == 80

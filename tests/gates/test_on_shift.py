"""The gate on a real shift: real trainings, an engine that orders, measures, judges and accepts, and a brief that tells of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gates.desks import BEFORE, BETTER, STUDY, made
from gates.test_accepting import events, state
from secondshift.runtime.executors.processes import carriers
from secondshift.runtime.gating import token_of
from secondshift.runtime.spool import put_request

TRAIN = """
import time
for step in range(3):
    print(f"step={step} loss={1.0 / (step + 1)}", flush=True)
    time.sleep(0.7)
"""
ON_SHIFT = 'tier = "opaque"\n' + STUDY.replace("python train.py", "python train.py --lr {lr}") + "[budget]\ntrials = 4\n"


def shift(file: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-P", "-m", "secondshift", "engine", "--study", str(file), "--slots", "1", "--for", "60s", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def prepared(folder: Path, takes_s: float = 0.0) -> Path:
    slow = {"takes_s": takes_s}
    file = made(folder, {**BETTER, **slow}, {**BEFORE, **slow}, study=ON_SHIFT)
    (folder / "train.py").write_text(TRAIN)
    put_request(folder / ".secondshift", "accept", {"idea": "e1"}, "kim")
    return file


def test_an_engine_on_shift_runs_the_suite_beside_the_trainings_and_accepts_what_passes(tmp_path: Path) -> None:
    with shift(prepared(tmp_path)) as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    found = state(tmp_path)  # a replay of the night, too
    assert found.baseline == "c2" and found.gates["gate-1"].verdict == "pass"
    moved = events(tmp_path, "baseline.moved")[-1].payload
    assert (moved.who, moved.gate) == ("kim", "gate-1")
    assert sum(trial.status == "complete" for trial in found.trials.values()) >= 3, "trainings went on meanwhile"
    briefs = [file.read_text() for file in (tmp_path / ".secondshift" / "briefs").rglob("*") if file.suffix in (".md", ".html")]
    assert any("GATE PASS: e1" in text for text in briefs)


def test_a_new_engine_goes_on_with_the_suite_of_one_that_was_killed(tmp_path: Path) -> None:
    file = prepared(tmp_path, takes_s=0.3)
    home = tmp_path / ".secondshift" / "gates" / "gate-1"
    with shift(file) as process:
        deadline = time.monotonic() + 90
        while not (home / "0.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert not state(tmp_path).gates["gate-1"].verdict
    with shift(file, "--resume") as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    found = state(tmp_path)
    assert found.baseline == "c2" and len(events(tmp_path, "gate.checked")) == 6 and len(found.gates) == 1
    assert not carriers({token_of(home)})

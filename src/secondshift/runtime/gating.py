"""Running suites that are recorded and not yet measured: starts the process that does it, and takes its results in."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secondshift.records import events as facts
from secondshift.records.gates import GateRun, Measured, Side
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime.artefacts import Unfit
from secondshift.runtime.cleanenv import clean_environment
from secondshift.runtime.frozen import NO_ROOM, freeze

LEAVE_S = 2.0  # for a process that has nothing left to do
AGAIN_S = 2.0  # between two starts of the process
MOST_STARTS = 5  # without a result; then what is left counts as failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Where a study's suites run, and how."""

    folder: Path  # the study's private folder
    cwd: Path  # where the study's command runs
    command: Callable[[Sequence[str], Path], tuple[str, ...]]  # a check's command with its artefact filled in
    variables: Callable[[], dict[str, str]]  # of [launch] env, secrets in their places


@dataclass(kw_only=True, slots=True)
class Suites:
    """What this engine has started. Lost in a crash, on purpose: results are files, and one lock keeps it at one process."""

    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    started_at: float = -1e9  # monotonic seconds
    starts: Counter[str] = field(default_factory=Counter)  # of each run, since its last result

    def busy(self) -> bool:
        """Say whether a process that was started lives."""
        self.processes = [one for one in self.processes if one.poll() is None]
        return bool(self.processes)

    def close(self) -> None:
        """Wait for processes that have nothing left to do."""
        for process in self.processes:
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                continue  # it is at work, and goes on without us


def act(state: State, bench: Bench, suites: Suites) -> list[facts.Payload]:
    """Take in what was measured, and see to it that somebody measures what is left of the oldest run."""
    run = next((one for one in state.gates.values() if not one.verdict), None)
    if run is None or state.study is None:
        return []
    home = bench.folder / "gates" / run.id
    planned, done = run.planned(), run.measured()
    missing = [(number, key) for number, key in enumerate(planned) if key not in done]
    read = {number: found for number, _ in missing if (found := _read(home, number, run)) is not None}
    if read:
        del suites.starts[run.id]
    left = [number for number, _ in missing if number not in read]
    if left and not suites.busy() and not at_work(home) and time.monotonic() - suites.started_at > AGAIN_S:
        read |= _begun(state, run, left, bench, suites)
    return [facts.GateChecked(gate=run.id, result=found) for found in read.values()]


def _read(home: Path, number: int, run: GateRun) -> Measured | None:
    """A result that is there; None where there is none yet."""
    found: dict[str, Any]  # Any: JSON as `suites` wrote it
    try:
        found = json.loads((home / f"{number}.json").read_bytes())
    except OSError:
        return None
    except ValueError:
        found = {"failed": "its result cannot be read"}
    check, side, repeat = run.planned()[number]
    return Measured(
        check=check, side=side, repeat=repeat, metrics=found.get("metrics", {}), failed=found.get("failed", ""),
        took_s=found.get("took_s", 0.0), artefact=found.get("artefact", ""),
    )  # fmt: skip


def at_work(home: Path) -> bool:
    """Say whether a process has the lock: one of ours, or one that an engine before us started."""
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(lock)


def _begun(
    state: State, run: GateRun, left: Sequence[int], bench: Bench, suites: Suites
) -> dict[int, Measured]:
    """Start the process; what cannot be measured at all has its result at once."""
    study = state.study
    assert study is not None, "there is no suite without a study"
    home, items, lost = bench.folder / "gates" / run.id, [], {}
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    unfit = {side: _frozen(state, study, run, side, bench.folder) for side in ("candidate", "baseline")}
    for number in left:
        check, side, repeat = run.planned()[number]
        gone = unfit[side]
        if suites.starts[run.id] >= MOST_STARTS:
            gone = "the process that measures died again and again; see its log"
        if gone:
            lost[number] = Measured(check=check, side=side, repeat=repeat, failed=gone)
            continue
        items.append({"number": number, "side": side, "command": bench.command(run.commands[check], home / side)})
    if not items:
        return lost
    start(ordered(home, bench, items, run.timeout_s), home, suites, run.id)
    return lost


def ordered(home: Path, bench: Bench, items: Sequence[dict[str, Any]], timeout_s: float) -> dict[str, Any]:  # Any: JSON
    """What the process that measures is told."""
    return {
        "folder": str(home), "cwd": str(bench.cwd), "timeout_s": timeout_s, "items": list(items),
        "env": clean_environment(bench.variables()), "token": token_of(home),
    }  # fmt: skip


def _frozen(state: State, study: Study, run: GateRun, side: Side, folder: Path) -> str:
    """Copy the artefact of one side; say why it cannot be measured, if so."""
    name = run.trial if side == "candidate" else run.baseline_trial
    if not name:
        return "it has no artefact"
    try:
        saved = state.checkpoints.get(name, ())
        freeze(folder, state.trials[name], saved, study, folder / "gates" / run.id / side)
    except (Unfit, OSError) as why:
        if isinstance(why, OSError) and why.errno in NO_ROOM:
            raise
        return f"no artefact of it can be measured: {why}"
    return ""


def token_of(home: Path) -> str:
    """What marks the processes of one run of a suite: the same for every engine."""
    return f"gate-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:24]}"


def start(order: dict[str, object], home: Path, suites: Suites, run: str) -> None:
    """Start the process that measures, in a session of its own: it goes on when the engine dies."""
    suites.started_at = time.monotonic()
    suites.starts[run] += 1
    with open(home / "suite.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "secondshift.runtime.suites"], stdin=subprocess.PIPE, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    suites.processes.append(process)
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
    except OSError:
        pass  # it died at once; its log says why, and it is started again

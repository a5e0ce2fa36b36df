"""Running drills: an ordinary study in a folder of its own, worked on by an ordinary `secondshift run`."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.interfaces.drills import train_drill
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records.events import Event

SCRIPT = "train_drill.py"
LEAVE_S = 20.0  # for a night to end after it was asked to, and for its ledger to appear
POLL_S = 0.2
_STUDY = """\
# Written by `secondshift drill`: what goes wrong here is made on purpose.
name = "DRILL {title}"
command = {command}
tier = "cooperative"

[objective]
metric = "val_loss"
goal = "min"
at = "{at}"

[horizon]
steps = {steps}

[search]
fault = {faults}
case = {cases}

[budget]
trials = {trials}

[policy]
searcher = "grid"
scheduler = "fifo"
max_failure_rate = 1.0

[resume]
trust = true

[captain]
may = {may}
answer_within = "{answer_s:g}s"
cool_down = "1s"

[launch]
slots = {slots}
threads = 1
checkpoint_every_s = "{every_s:g}s"
grace_s = "5s"
quiet = "120s"
"""
MAY = (
    "retry_infrastructure", "pause", "stop_non_finite", "stop_early", "roll_back", "roll_back_skip", "roll_back_lower_rate",
    "restart", "graceful_restart", "restart_loader", "requeue",
)  # fmt: skip


def lay_out(
    folder: Path, *, title: str, faults: Sequence[str], cases: Sequence[int], slots: int, may: Sequence[str] = MAY,
    answer_s: float = 5.0, steps: int = train_drill.HORIZON,
) -> Path:  # fmt: skip
    """Write the study and its script below `folder`, which is made; return the study file.

    Each fault is trained with each case, and beside them the fault "none": the twin without a fault. One trial more is that of
    the script's own defaults, which every study begins with.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(Path(train_drill.__file__), folder / SCRIPT)
    words = [word.replace("{", "{{").replace("}", "}}") for word in (sys.executable, SCRIPT)]
    values = ["none", *faults]
    text = _STUDY.format(
        title=title, command=json.dumps(shlex.join(words)), steps=steps, faults=json.dumps(values),
        cases=json.dumps(list(cases)), trials=len(values) * len(cases) + 1, may=json.dumps(list(may)), slots=slots,
        answer_s=answer_s, every_s=0.3, at="best" if "overfit" in faults else "final",
    )  # fmt: skip
    study = folder / "secondshift.toml"
    study.write_text(text)
    return study


def run(study: Path, *, limit_s: float, heard: Callable[[Ledger, Event], None]) -> int:
    """Work on the study until it ends or `limit_s` has passed, telling `heard` of each fact; the exit code of the night."""
    private = study.parent / ".secondshift"
    command = [sys.executable, "-P", "-m", "secondshift", "run", "--study", str(study), "--for", f"{limit_s:.0f}s"]
    with open(study.parent / "run.log", "ab") as log:
        keeper = subprocess.Popen(
            command, cwd=study.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        ledger = _opened(private, keeper)
        try:
            _follow(ledger, keeper, time.monotonic() + limit_s + LEAVE_S, heard)
        finally:
            ledger.close()
        return keeper.wait(LEAVE_S)
    finally:
        _end(keeper)


def _opened(private: Path, keeper: "subprocess.Popen[bytes]") -> Ledger:
    until = time.monotonic() + LEAVE_S
    while time.monotonic() < until and keeper.poll() is None:
        if (private / "ledger.db").exists():
            try:
                return open_ledger(private, readonly=True)
            except SecondshiftError:
                pass  # it is just being made
        time.sleep(POLL_S)
    said = (private.parent / "run.log").read_text("utf-8", "replace").strip()
    raise SecondshiftError(f"The drill's night did not begin. Its last words: {said[-400:] or 'none'}")


def _follow(
    ledger: Ledger, keeper: "subprocess.Popen[bytes]", until: float, heard: Callable[[Ledger, Event], None]
) -> None:
    seq = 0
    while True:
        ended = keeper.poll() is not None  # asked before reading, so that the last facts are read too
        for event in ledger.read(seq):
            seq = event.seq
            heard(ledger, event)
        if ended or time.monotonic() > until:
            return
        time.sleep(POLL_S)


def _end(keeper: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if keeper.poll() is None:
            keeper.send_signal(number)
            try:
                keeper.wait(LEAVE_S / 2)
            except subprocess.TimeoutExpired:
                continue

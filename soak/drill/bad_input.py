"""Scenes in which a script, a file or a folder is not as it should be: a sentence, and nothing recorded lost."""

import hashlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.runtime.keepernotes import read_note

from .scenes import incidents, promises, works
from .stage import HERE, Plan, Stage
from .table import Row, held, skipped

BAD = HERE / "misbehaving.py"
HOLD_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("begin exclusive")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


def bad(name: str, how: str, **more: object) -> Plan:
    """A study whose script misbehaves."""
    plan = {"trials": 2, "steps": 8, "slots": 2, "grace_s": 1.0, "script": BAD, "arguments": f" {how}", **more}
    return Plan(name=name, **plan)  # type: ignore[arg-type]  # fields of Plan by name


def tidy(stage: Stage) -> list[str]:
    """What must hold for every night, whatever its script did: no orphan, no open charge, nothing still running."""
    ledger = stage.ledger()
    try:
        state = fold(State(), ledger.read())
    finally:
        ledger.close()
    broken = [f"orphan pid {process.pid}" for process in stage.orphans()]
    broken += [f"charge {name} is not settled" for name in state.charges]
    broken += [f"attempt {name} still runs" for name in state.attempts]
    return broken


def night(stage: Stage, expected: str, *, status: str, timeout: float = 45.0) -> list[str]:
    """Run a night to its end; each trial must have a status, and say why in a sentence that holds `expected`."""
    code, said = stage.call("run", "--for", "1h", timeout=timeout)
    broken = [] if code == 0 else [f"the command ended with {code}: {said[-200:]}"]
    for trial in stage.state().trials.values():
        if trial.status != status or expected not in trial.reason:
            broken.append(f"{trial.id} is {trial.status} ({trial.reason}); expected {status} ({expected})")
    if not stage.state().trials:
        broken.append("no trial was ever started")
    return broken + tidy(stage)


def deaf(stage: Stage) -> list[str]:
    """A script that ignores SIGTERM is ended after its grace, and so is the shift."""
    running = stage.run()
    if not stage.until(stage.trainings, 20.0):
        return ["it never began to work"]
    time.sleep(1.0)
    began = time.monotonic()
    code, said = stage.call("stop")
    took = time.monotonic() - began
    broken = [] if code == 0 and took < 10.0 else [f"stop ended with {code} after {took:.0f} s: {said[-200:]}"]
    stage.wait(running, 20.0)
    return broken + tidy(stage)


def daemons(stage: Stage) -> list[str]:
    """What a script left behind is found although it hides, ended, and counted."""
    broken = night(stage, "", status="complete")
    ledger = stage.ledger()
    try:
        exits = [e.payload.exit for e in ledger.read(kinds=("attempt.ended",)) if isinstance(e.payload, facts.AttemptEnded)]
    finally:
        ledger.close()
    return broken + [f"an exit counts {exit.leftovers} leftovers" for exit in exits if exit.leftovers < 1]


def not_a_number(stage: Stage) -> list[str]:
    """A NaN objective stops the trial, says so, and stays in the record."""
    broken = night(stage, "", status="stopped")
    ledger = stage.ledger()
    try:
        for trial in stage.state().trials:
            values = ledger.series(trial, "loss", raw=True).values.tolist()
            if len(values) < 4 or not any(value != value for value in values):
                broken.append(f"{trial} has {len(values)} points and no NaN among them")
    finally:
        ledger.close()
    return broken


def edited(stage: Stage) -> list[str]:
    """The study file is broken, mended and capped while the night runs."""
    running = stage.run()
    if not works(stage):
        return ["it never began to work"]
    whole = stage.file.read_text()
    stage.file.write_text(whole.replace("[horizon]", "[horizn]"))
    told = stage.until(lambda: any("horizn" in finding for finding in incidents(stage)), 10.0)
    stage.file.write_text(whole.replace("trials = 40", "trials = 5"))
    broken = [] if told else ["no incident says that the study file has mistakes"]
    if (code := stage.wait(running, 60.0)) != 0:
        broken.append(f"the command ended with {code} after the budget was lowered")
    if stage.state().study is None or stage.state().study.budget.trials != 5:  # type: ignore[union-attr]
        broken.append("the lowered budget was not taken over")
    return broken + promises(stage)


def damaged(stage: Stage, harm: Callable[[Path], None], expected: str) -> list[str]:
    """A ledger is harmed between two nights: the next one refuses it in a sentence, and leaves it as it is."""
    code, said = stage.call("run", "--for", "1h")
    if code != 0:
        return [f"the first night ended with {code}: {said[-200:]}"]
    file = stage.private / "ledger.db"
    harm(file)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    code, said = stage.call("run", "--for", "1h")
    broken = [] if code == 2 else [f"the second night ended with {code} instead of 2"]
    if expected not in said:
        broken.append(f"it said {said[-300:]!r}; expected something with {expected!r}")
    if "Traceback" in said:
        broken.append("it said so in a traceback")
    if hashlib.sha256(file.read_bytes()).hexdigest() != before:
        broken.append("it changed the file")
    return broken + [f"orphan pid {process.pid}" for process in stage.orphans()]


def newer(file: Path) -> None:
    """Make a ledger look as if a later secondshift had written its newest fact."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update events set version = 99 where seq = (select max(seq) from events)")


def cut(file: Path) -> None:
    """Cut a ledger in half."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def locked(stage: Stage) -> list[str]:
    """Another program holds the ledger locked: the night says so, waits for it, and goes on."""
    code, said = stage.call("run", "--for", "1h")
    if code != 0:
        return [f"the first night ended with {code}: {said[-200:]}"]
    _cap(stage, 4)
    with _lock(stage, 12.0):  # the ledger itself waits for 5 s before anybody hears of it
        code, said = stage.call("run", "--for", "1h")
    broken = [] if code == 0 and "ocked" in said and "Traceback" not in said else [f"locked at start: {code}, {said[-200:]!r}"]
    _cap(stage, 8)
    running = stage.run()
    if not stage.until(stage.trainings, 20.0):
        return [*broken, "it never began to work"]
    time.sleep(0.5)
    with _lock(stage, 8.0) as other:
        other.wait(20.0)
    if (code := stage.wait(running, 60.0)) != 0:
        broken.append(f"the command ended with {code}")
    note = read_note(stage.private)
    if note is None or note.restarts:
        broken.append(f"the engine did not live through a lock of 8 s: {note and note.last_crash}")
    return broken + promises(stage)


def _cap(stage: Stage, trials: int) -> None:
    stage.file.write_text(stage.plan.toml().replace(f"trials = {stage.plan.trials}\n", f"trials = {trials}\n"))


def _lock(stage: Stage, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-I", "-S", "-c", HOLD_LOCK, str(stage.private / "ledger.db"), str(seconds)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if other.stdout is not None:
        other.stdout.readline()
    return other


def read_only(stage: Stage) -> list[str]:
    """A folder that cannot be written is refused in a sentence."""
    done = subprocess.run(["mount", "-o", "remount,ro", str(stage.study)], capture_output=True, check=False)
    if done.returncode:
        return ["the small disk could not be made read-only"]
    code, said = stage.call("run", "--for", "1h")
    subprocess.run(["mount", "-o", "remount,rw", str(stage.study)], capture_output=True, check=False)
    broken = [] if code == 2 else [f"the command ended with {code} instead of 2"]
    if "ritable" not in said or "Traceback" in said:
        broken.append(f"it said {said[-300:]!r}; expected a sentence on making the folder writable")
    return broken


def flood(stage: Stage) -> list[str]:
    """A script that floods its output is stopped, and its output cut."""
    broken = night(stage, "The output passed the cap", status="failed")
    sizes = [path.stat().st_size for path in stage.private.glob("attempts/*/output.log")]
    return broken + [f"an output of {size} bytes was kept" for size in sizes if size > 2_100_000]


def hang_up(stage: Stage) -> list[str]:
    """Ctrl-C once ends the night politely: trials are paused, and go on in the next."""
    running = stage.run()
    if not works(stage):
        return ["it never began to work"]
    running.send_signal(signal.SIGINT)
    broken = [] if (code := stage.wait(running, 30.0)) == 0 else [f"the command ended with {code} after Ctrl-C"]
    statuses = dict(stage.state().statuses)
    if not statuses.get("paused") or statuses.get("running"):
        broken.append(f"after Ctrl-C the trials are {statuses}")
    code, said = stage.call("run", "--for", "1h", timeout=60.0)
    if code != 0:
        broken.append(f"the next night ended with {code}: {said[-200:]}")
    return broken + promises(stage)


FAST = Plan(name="fast", trials=2, steps=6, step_s=0.02)
SCENES: dict[str, tuple[Plan, Callable[[Stage], list[str]]]] = {
    "script ignores SIGTERM": (bad("deaf", "deaf"), deaf),
    "script forks daemons": (bad("daemon", "daemon"), daemons),
    "script logs nothing": (bad("quiet", "quiet", launch='quiet = "2s"'), lambda s: night(s, "", status="stopped")),
    "script exits at once, code 0": (bad("leaves", "leaves"), lambda s: night(s, "without ever logging loss", status="failed")),
    "script exits at once, code 1": (bad("fails", "fails"), lambda s: night(s, "exit code 1: no such dataset", status="failed")),
    "script floods its output": (bad("flood", "flood", steps=200, launch="output_cap_mb = 2"), flood),
    "objective becomes NaN": (bad("nan", "nan"), not_a_number),
    "study edited while running": (Plan(name="edited", trials=40, steps=20, step_s=0.03), edited),
    "ledger of a newer version": (FAST, lambda s: damaged(s, newer, "Upgrade secondshift")),
    "ledger cut in half": (FAST, lambda s: damaged(s, cut, "is damaged")),
    "ledger locked by another program": (Plan(name="locked", trials=2, steps=40, step_s=0.04), locked),
    "Ctrl-C, and the next night": (Plan(name="ctrl-c", trials=4, steps=40), hang_up),
    "folder that cannot be written": (FAST, read_only),
}
QUICK = ("script ignores SIGTERM", "script forks daemons", "script exits at once, code 1", "objective becomes NaN",
         "ledger cut in half", "ledger locked by another program")  # fmt: skip


def play(name: str, *, seed: int) -> tuple[Row, str]:
    """Play one scene on its own stage; return its row and the folder that was kept if something broke."""
    plan, scene = SCENES[name]
    root, mounted = Path(tempfile.mkdtemp(prefix=f"soak-{plan.name}-")), False
    if scene is read_only:  # root writes wherever permissions forbid it, but not to a disk that is mounted read-only
        (root / "study").mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "soak", str(root / "study")], capture_output=True, check=False)
        if done.returncode:
            shutil.rmtree(root)
            return skipped(name, "a disk could not be mounted; this needs root on Linux"), ""
        mounted = True
    stage = Stage(replace(plan, seed=random.Random(f"{seed} {name}").randrange(1000)), root=root)
    try:
        broken = scene(stage)
    except BaseException:
        stage.close(keep=True)
        print(f"{name} could not be played to its end; its folder is {stage.root}", file=sys.stderr)
        raise
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(root / "study")], capture_output=True, check=False)
    stage.close(keep=bool(broken))
    return held(name, broken), str(stage.root) if broken else ""

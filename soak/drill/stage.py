"""A stage: one throw-away study on this machine, its processes found by what they carry, killed by what they are."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.ledger.stores import Ledger
from secondshift.records.states import State
from secondshift.runtime.executors.processes import signal_process, start_ticks
from secondshift.runtime.keepernotes import read_note
from secondshift.runtime.keepersight import lease_holder

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src"
STUDY = """\
command = "{python} train.py{arguments}"
[objective]
metric = "loss"
[horizon]
steps = {steps}
[search]
lr = {{ low = 0.001, high = 0.2, log = true }}
width = [32, 64, 128]
[resume]
trust = true
[budget]
trials = {trials}
[policy]
searcher = "random"
scheduler = "{scheduler}"
seed = {seed}
{policy}
[launch]
slots = {slots}
grace_s = {grace_s}
grant = "{grant}"
checkpoint_every_s = "1h"
{launch}
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What kind of study is played."""

    name: str
    trials: int = 6
    steps: int = 30
    slots: int = 2
    seed: int = 0
    step_s: float = 0.05
    save_every: int = 8
    scheduler: str = "fifo"
    grace_s: float = 3.0
    grant: str = "60s"
    policy: str = "max_interruptions = 1000\n[captain]\ncool_down = 0"  # a soak interrupts far more often than a night does
    launch: str = ""
    arguments: str = ""
    script: Path = HERE / "training.py"
    env: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("loss", "length")  # what the script logs at each step

    def toml(self) -> str:
        """The study file."""
        return STUDY.format(
            python=sys.executable, arguments=self.arguments, steps=self.steps, trials=self.trials, seed=self.seed,
            slots=self.slots, grace_s=self.grace_s, grant=self.grant, policy=self.policy, launch=self.launch,
            scheduler=self.scheduler,
        )  # fmt: skip


@dataclass(frozen=True)
class Process:
    """A process of ours, named for good."""

    kind: str  # keeper, engine, supervisor, training, other
    pid: int
    ticks: int

    def send(self, number: int) -> bool:
        """Signal it, if it still is the same process; say whether it was signalled."""
        return signal_process(self.pid, self.ticks, number)

    def alive(self) -> bool:
        """Say whether it still lives."""
        return self.ticks > 0 and start_ticks(self.pid) == self.ticks


class Stage:
    """The folder of one study, the witness beside it, and everything that was started for it."""

    def __init__(self, plan: Plan, *, root: Path | None = None) -> None:
        self.plan = plan
        self.root = Path(tempfile.mkdtemp(prefix=f"soak-{plan.name}-")) if root is None else root
        self.study, self.witness = self.root / "study", self.root / "witness"
        self.study.mkdir(exist_ok=True)  # a small disk may be mounted there
        self.witness.mkdir()
        self.private = self.study / ".secondshift"
        self.mark = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.file = self.study / "secondshift.toml"
        self.file.write_text(plan.toml())
        shutil.copyfile(plan.script, self.study / "train.py")
        self.log = self.root / "said.log"
        self.started: list[subprocess.Popen[bytes]] = []
        self.extra: dict[str, str] = dict(plan.env)

    def env(self) -> dict[str, str]:
        """The environment of whatever is started here; `SOAK_MARK` is inherited by all that comes of it."""
        path = os.pathsep.join(p for p in (self.extra.get("PYTHONPATH", ""), str(SOURCE), os.environ.get("PYTHONPATH", "")) if p)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SECONDSHIFT_")}
        return {
            **kept, "SOAK_MARK": self.mark, "SOAK_WITNESS": str(self.witness), "SOAK_STEP_S": str(self.plan.step_s),
            "SOAK_SAVE_EVERY": str(self.plan.save_every), "SECONDSHIFT_HOST_DIR": str(self.root / "devices"),
            "PYTHONDONTWRITEBYTECODE": "1", **self.extra, "PYTHONPATH": path,
        }  # fmt: skip

    def start(self, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the command in a session of its own; what it says goes into a file."""
        with open(self.log, "ab") as said:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-P", "-m", "secondshift", *arguments], cwd=self.study, env=self.env(),
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start (or go on with) the night, as a person or systemd would: always by the same command."""
        return self.start("run", *(arguments or ("--for", "1h")))

    def call(self, *arguments: str, timeout: float = 60.0) -> tuple[int, str]:
        """Call the command and wait; return its exit code and all it said. Code -1: it took too long, and was killed."""
        said = self.root / f"call-{secrets.token_hex(4)}.log"
        with open(said, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "secondshift", *arguments], cwd=self.study, env=self.env(),
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10.0)
            code = -1
        return code, said.read_text(errors="replace")

    # -- what lives

    def marked(self) -> list[Process]:
        """Everything alive that carries our mark in its environment."""
        mark, found = f"SOAK_MARK={self.mark}".encode(), []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                carries = mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if carries and (ticks := start_ticks(int(name))):
                found.append(Process("other", int(name), ticks))
        return found

    def keeper(self) -> Process | None:
        """The keeper, as its own note names it."""
        note = read_note(self.private)
        return Process("keeper", note.pid, note.start_ticks) if note and note.alive() else None

    def engine(self) -> Process | None:
        """The engine, as the ledger's lease or the keeper's note names it."""
        holder = lease_holder(self.private)
        if holder is not None and start_ticks(holder.pid) == holder.start_ticks:
            return Process("engine", holder.pid, holder.start_ticks)
        note = read_note(self.private)
        return Process("engine", note.engine, note.engine_start_ticks) if note and note.engine_alive() else None

    def supervisors(self) -> list[Process]:
        """Supervisors at work, as their claims name them."""
        return list(self._of_attempts("supervisor", "claim.json").values())

    def trainings(self) -> list[Process]:
        """Training processes at work, as their supervisors name them."""
        return list(self.trainings_of().values())

    def trainings_of(self) -> dict[str, Process]:
        """Training processes at work, by their attempts."""
        return self._of_attempts("training", "child.json")

    def _of_attempts(self, kind: str, file: str) -> dict[str, Process]:
        found = {}
        for path in (self.private / "attempts").glob(f"*/{file}"):
            if (path.parent / "exit.json").exists():
                continue
            try:
                note = json.loads(path.read_bytes())
                process = Process(kind, int(note["pid"]), int(note["start_ticks"]))
            except (OSError, ValueError, KeyError):
                continue
            if process.alive():
                found[path.parent.name] = process
        return found

    # -- what is recorded

    def ledger(self) -> Ledger:
        """The ledger, for reading."""
        return open_ledger(self.private, readonly=True)

    def state(self) -> State:
        """What all facts add up to; nothing if there is no ledger yet."""
        if not (self.private / "ledger.db").exists():
            return State()
        ledger = self.ledger()
        try:
            return load_state(ledger, self.root / "no-cache")
        finally:
            ledger.close()

    def wait(self, process: "subprocess.Popen[bytes]", timeout: float) -> int | None:
        """Wait for a process; None if it takes too long."""
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def until(self, seen: Callable[[], object], timeout: float, *, pause: float = 0.1) -> bool:
        """Look again and again until `seen()` is true; False if it never is in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if seen():
                return True
            time.sleep(pause)
        return False

    def orphans(self, patience_s: float = 8.0) -> list[Process]:
        """What is still alive although everything is over; given a moment to leave."""
        deadline = time.monotonic() + patience_s
        while (left := self.marked()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def strike(self) -> int:
        """Kill everything at once, as a power cut does: all are stopped first, so that none reacts to another's end."""
        victims = self.marked()
        for process in victims:
            process.send(signal.SIGSTOP)
        late = [p for p in self.marked() if p not in victims]
        for process in (*victims, *late):
            process.send(signal.SIGKILL)
        while left := self.marked():
            for process in left:
                process.send(signal.SIGKILL)
            time.sleep(0.02)
        for process in self.started:
            self.wait(process, 5.0)
        return len(victims) + len(late)

    def close(self, *, keep: bool = False) -> None:
        """End what is left and remove the folder, unless somebody wants to look at it."""
        self.strike()
        if not keep:
            shutil.rmtree(self.root, ignore_errors=True)

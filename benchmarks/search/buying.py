"""The executor of the benchmark: it has no curves, and buys each point from the shop when the clock has come to it."""

import json
import math
import os
import select
import subprocess
import sys
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from secondshift.errors import DeviceBusy, LeaseLost
from secondshift.records.orders import Batch, Chunk, Note, Order, Sign
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.executors.protocol import COLLECT_LIMIT, Mode

HERE = Path(__file__).resolve().parent
METRIC = "loss"
FRAGMENT = "bought.frag"
PATIENCE_S = 600.0  # for an answer of the shop: loading a surrogate on a busy machine takes a minute
READER = HERE.parents[1] / ".benchmarks" / "curves"  # ignored by git: an environment that can read the surrogate


def reader(surrogate: bool) -> Path:
    """Return a Python that can read the data; with `surrogate` one that has onnxruntime, in an environment made for it."""
    if not surrogate or find_spec("onnxruntime"):
        return Path(sys.executable)
    python = READER / "bin" / "python"
    if not (READER / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(READER)], check=True, timeout=120)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "numpy", "onnxruntime"], check=True, timeout=600)
        (READER / "complete").touch()
    return python


class Counter:
    """Where points are asked for: the shop, in a process of its own."""

    def __init__(self, data: Path, python: Path) -> None:
        command = [str(python), str(HERE / "shop.py"), str(data)]
        self._shop = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._heard = b""

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:  # Any: what JSON can hold
        """Ask and wait for the answer, PATIENCE_S at most. Raises RuntimeError with what went wrong in the shop."""
        assert self._shop.stdin is not None
        self._shop.stdin.write((json.dumps({"do": verb, **request}) + "\n").encode())
        line = self._line(verb)
        answer = json.loads(line) if line else {"error": f"the shop ended with exit code {self._shop.wait(timeout=10)}"}
        if "error" in answer:
            raise RuntimeError(f"Asked for {verb}, the shop answered: {answer['error']}. See benchmarks/search/shop.py.")
        return answer

    def _line(self, verb: str) -> bytes:
        """The next line of the shop; empty if it ended. One that does not answer is killed."""
        assert self._shop.stdout is not None
        until = time.monotonic() + PATIENCE_S
        while b"\n" not in self._heard:
            if not select.select([self._shop.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                self._shop.kill()
                self._shop.wait(timeout=10)
                raise RuntimeError(
                    f"Asked for {verb}, the shop did not answer within {PATIENCE_S:g} s, and was killed. "
                    "Expected a line of JSON. See benchmarks/search/shop.py; on a busy machine run fewer --jobs."
                )
            piece = os.read(self._shop.stdout.fileno(), 1 << 16)
            if not piece:
                return b""
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def close(self) -> None:
        """Let the shop end, and wait for it; one that does not end is killed."""
        assert self._shop.stdin is not None and self._shop.stdout is not None
        self._shop.stdin.close()
        self._shop.stdout.close()
        try:
            self._shop.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._shop.kill()
            self._shop.wait(timeout=10)


@dataclass(slots=True, kw_only=True)
class _Run:
    """One attempt: what was bought for it so far."""

    order: Order
    started: float  # boot seconds
    grant_s: float
    until_step: int
    params: Mapping[str, Any]
    values: array = field(default_factory=lambda: array("d"))  # of the steps from order.from_step on
    ended: bool = False
    saves: bool = False  # it left a checkpoint
    stopping: bool = False
    exit: Exit = field(default_factory=Exit)

    def done(self) -> int:
        return self.order.from_step + len(self.values)


class BuyingExecutor:
    """Attempts whose every step is bought; a step takes a second, and pausing and resuming are free.

    Nobody sleeps: `advance` moves the clock to the next time at which an attempt ends.
    """

    def __init__(self, counter: Counter, clock: SimulatedClock, *, slots: int) -> None:
        self.counter, self.clock = counter, clock
        self.began = clock.boot()
        self._held: dict[str, str] = {f"slot-{number}": "" for number in range(slots)}  # device -> attempt
        self._runs: dict[str, _Run] = {}  # attempts that were not forgotten
        self._token = 0

    def advance(self) -> bool:
        """Let time pass until an attempt ends, buying what is trained meanwhile; False if none runs."""
        going = {name: run for name, run in self._runs.items() if not run.ended}
        if not going:
            return False
        now = self.clock.boot()
        steps = min(self._steps_left(run, now) for run in going.values())
        sold = self.counter.ask("train", steps=steps, attempts=list(going), at=now - self.began)
        self.clock.sleep(float(sold["steps"]))
        for name, run in going.items():
            run.values.extend(sold["values"][name])
            if name in sold["over"]:
                self._end(run, Exit(code=0))
            elif self._steps_left(run, self.clock.boot()) <= 0:
                left = run.until_step <= run.done()
                self._end(run, Exit(code=0, cause="self" if left else "grant"), leaves=True)
        return True

    def _steps_left(self, run: _Run, now: float) -> int:
        granted = math.floor(run.started + run.grant_s - now + 1e-6)
        return max(0, min(run.until_step - run.done(), granted))

    def _end(self, run: _Run, exit: Exit, *, leaves: bool = False) -> None:
        """`leaves`: it saved a checkpoint, and would go on."""
        run.ended, run.saves, run.stopping = True, leaves, leaves
        elapsed = self.clock.boot() - run.started
        run.exit = Exit(code=exit.code, signal=exit.signal, cause=exit.cause, elapsed_s=elapsed, message=exit.message)

    def devices(self) -> tuple[str, ...]:
        """List the devices without an attempt that goes on."""
        runs = self._runs
        return tuple(name for name, holder in self._held.items() if holder not in runs or runs[holder].ended)

    def held(self) -> Mapping[str, str]:
        """Nothing: the slots are ours alone."""
        return {}

    def submit(self, order: Order) -> None:
        """Begin an attempt, or extend it. Raises DeviceBusy, LeaseLost."""
        self._check(order.token)
        if run := self._runs.get(order.attempt):
            run.grant_s, run.until_step = max(run.grant_s, order.grant_s), max(run.until_step, order.until_step)
            return
        free = self.devices()
        if busy := [name for name in order.devices if name not in free]:
            raise DeviceBusy(f"{busy[0]} is held or unknown; expected one of {free}. Ask devices() what is free.")
        got = self.counter.ask(
            "begin", attempt=order.attempt, trial=order.trial, worker=order.devices[0], params=dict(order.params),
            from_step=order.from_step,
        )  # fmt: skip
        until = min(order.until_step or order.horizon_steps, order.horizon_steps)
        run = _Run(order=order, started=self.clock.boot(), grant_s=order.grant_s, until_step=until, params=got.get("params", {}))
        self._runs[order.attempt] = run
        self._held.update(dict.fromkeys(order.devices, order.attempt))
        if "refused" in got:
            self._end(run, Exit(code=1, message=got["refused"]))

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Say which attempts have started and which have ended by now."""
        signs = []
        for attempt in attempts:
            run = self._runs.get(attempt.id)
            if run is None:
                signs.append(Sign(attempt=attempt.id, kind="ended", exit=Exit(cause="lost", message="It is not known here.")))
                continue
            if attempt.status == "ordered":
                signs.append(Sign(attempt=attempt.id, kind="started", fingerprint={"host": "simulated"}))
            if run.ended:
                signs.append(Sign(attempt=attempt.id, kind="ended", exit=run.exit))
        return signs

    def cancel(self, attempt: str, *, mode: Mode, token: int, grace_s: float) -> None:
        """Let an attempt end now: with a checkpoint after the step it is at, or killed. Raises LeaseLost."""
        self._check(token)
        run = self._runs.get(attempt)
        if run is not None and not run.ended:
            kill = mode == "kill"
            self._end(run, Exit(signal=9, cause="kill") if kill else Exit(code=0, cause=mode), leaves=not kill)

    def collect(self, attempt: Attempt, *, limit: int = COLLECT_LIMIT) -> list[Chunk]:
        """Return what was bought since the last chunk; an offset counts steps, and one for the end."""
        run = self._runs.get(attempt.id)
        if run is None:
            return []
        start, end = attempt.offsets.get(FRAGMENT, 0), len(run.values) + run.ended
        if end <= start:
            return []
        values = run.values[start:]
        first = run.order.from_step + start
        batch = Batch(trial=run.order.trial, attempt=attempt.id, metric=METRIC,
                      steps=array("q", range(first, first + len(values))), values=values)  # fmt: skip
        notes = self._notes(run, first=start == 0)
        return [Chunk(attempt=attempt.id, fragment=FRAGMENT, start=start, end=end, batches=(batch,) if values else (), notes=notes)]

    def _notes(self, run: _Run, *, first: bool) -> tuple[Note, ...]:
        """Return what the script's SDK would have said: which configuration it really runs, its checkpoint, its end."""
        order, notes = run.order, []
        if first and run.params:
            notes.append(Note(kind="params", values=run.params))
        if first and order.from_step:
            notes.append(Note(kind="restored", values={"step": order.from_step}))
        if run.saves and run.values:
            folder = f"trials/{order.trial}/checkpoints/step-{run.done()}"
            notes.append(Note(kind="saved", values={"step": run.done(), "folder": folder, "bytes": 1, "digest": "simulated"}))
        if run.ended and run.exit.code == 0:
            notes.append(Note(kind="closed", values={"clean": True, "stopping": run.stopping, "steps_done": run.done()}))
        return tuple(notes)

    def close(self) -> None:
        """Nothing is held; the counter belongs to its maker."""

    def _check(self, token: int) -> None:
        if token < self._token:
            raise LeaseLost()
        self._token = token

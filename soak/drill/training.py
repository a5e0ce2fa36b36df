"""The training script of the soaks: small, deterministic to the last bit, and its own witness.

Beside what it logs through secondshift it appends one line of JSON per begin, step and end to a file outside the study
(`SOAK_WITNESS`), and holds a lock per trial there, so that two processes of one trial at once cannot go unnoticed.
The stage copies this file into a study as `train.py`; the audit imports it to compute the curves without interruption.
"""

import fcntl
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

STATE = "state.json"
PACE_S = 0.08  # per step, unless SOAK_STEP_S says otherwise


class Job:
    """Noisy descent on a bowl of eight dimensions, in plain floats; its noise is part of its state."""

    def __init__(self, params: Mapping[str, float], seed: int) -> None:
        self.lr, self.width = float(params["lr"]), int(params["width"])
        self.noise = (seed * 1_000_003 + self.width) % 2**31 or 1
        self.weights = [1.0 + i / 8 for i in range(8)]

    def step(self) -> tuple[float, float]:
        """Take one step; return the loss and the length of the weights."""
        loss = sum(w * w for w in self.weights) / self.width
        for i, weight in enumerate(self.weights):
            self.noise = (self.noise * 1103515245 + 12345) % 2**31
            self.weights[i] = weight - self.lr * (2 * weight / self.width + (self.noise / 2**31 - 0.5))
        return loss, math.sqrt(sum(w * w for w in self.weights))

    def save(self, folder: Path) -> None:
        """Write the whole state; floats survive JSON to the bit."""
        (folder / STATE).write_text(json.dumps({"weights": self.weights, "noise": self.noise}))
        (folder / "filler.bin").write_bytes(bytes(self.noise % 256 for _ in range(4096)))

    def load(self, folder: Path) -> None:
        """Go on from a saved state."""
        found = json.loads((folder / STATE).read_text())
        self.weights, self.noise = found["weights"], found["noise"]


def curve(params: Mapping[str, float], seed: int, horizon: int) -> Iterator[tuple[float, float]]:
    """The values of an uninterrupted run, computed here and now."""
    job = Job(params, seed)
    return (job.step() for _ in range(horizon))


class Witness:
    """Appends what this process does to the common file, one write per line, and holds the lock of its trial."""

    def __init__(self) -> None:
        folder, attempt = Path(os.environ["SOAK_WITNESS"]), Path(os.environ["SECONDSHIFT_ATTEMPT"]).name
        ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        self.who = {"trial": attempt.split(".")[0], "attempt": attempt, "pid": os.getpid(), "ticks": ticks, "boot": boot}
        self.file = os.open(folder / "witness.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.lock = os.open(folder / f"{self.who['trial']}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.say("overlap")

    def say(self, kind: str, **values: float | str) -> None:
        """Append one line."""
        at = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.write(self.file, json.dumps({"is": kind, **self.who, **values, "at": at}).encode() + b"\n")


def leave_a_worker() -> None:
    """Fork a helper that never looks after its parent, as loaders of data do; it inherits the lock of its trial."""
    if os.fork() == 0:
        while True:
            time.sleep(1.0)


def train() -> None:
    """Train one trial the way the tutorial does."""
    import secondshift  # the audit imports this file for `curve`, and needs no SDK

    witness = Witness()
    run = secondshift.init()
    params = run.params(lr=0.1, width=64)
    witness.say("begin", seed=run.seed)
    if int(str(witness.who["trial"]).lstrip("t")) % 3 == 0:
        leave_a_worker()
    job, start = Job(params, run.seed), 0
    if checkpoint := run.restore():
        job.load(checkpoint.path)
        start = checkpoint.step
        witness.say("restored", step=start)
    pace, every = float(os.environ.get("SOAK_STEP_S", PACE_S)), int(os.environ.get("SOAK_SAVE_EVERY", "8"))
    for step in range(start, run.horizon):
        time.sleep(pace)
        loss, length = job.step()
        run.log(step, loss=loss, length=length)
        witness.say("step", step=step, loss=loss, length=length)
        if run.checkpoint_due(step) or (step + 1) % every == 0:
            with run.checkpoint(step + 1) as folder:
                job.save(folder)
            witness.say("saved", step=step + 1)
            if run.stopping:
                break
    run.close()
    witness.say("end")


if __name__ == "__main__":
    sys.exit(train())

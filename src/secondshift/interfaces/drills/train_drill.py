"""A small network learns a smooth function, and something goes wrong on purpose: the training of `secondshift drill`.

Everything here is real: the processes, the numbers and the fault. What it is told of the fault, `fault` and `case`, is a
parameter that no policy reads.
"""

import ctypes
import os
import resource
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

import secondshift

HORIZON = 1200  # steps, where no study says otherwise
PACE_S = 0.006  # of one step: a night in small must last long enough to be watched
BATCH, INPUTS, HELD_OUT = 32, 8, 512
EVAL_EVERY = 20
SHARD = 60  # steps of a bad shard
FILE_LIMIT = 2 << 20  # bytes: what is logged stays below half of it, a checkpoint of that drill does not
LEAKS_INTO = 150 << 20  # bytes that the leak has before it; it would take more
FEW = 48  # samples, with half as much noise as there is to learn: all that an overfitting run ever sees
PAGE = os.sysconf("SC_PAGESIZE")


def onset_of(case: int, horizon: int = HORIZON) -> int:
    """The step at which a case goes wrong: past a third of the horizon, and never at a round number."""
    return int(np.random.default_rng(1_000 + case).integers(horizon * 3 // 8, horizon * 5 // 8))


class Job:
    """The network, its data and its optimiser (momentum)."""

    def __init__(self, *, case: int, seed: int, width: int = 32, lr: float = 0.02, horizon: int = HORIZON) -> None:
        made = np.random.default_rng(case)
        self.truth = made.normal(size=(INPUTS, 4)), made.normal(size=4)
        self.lr, self.seed, self.horizon = lr, seed, horizon
        start = np.random.default_rng((seed, case, 7))
        self.weights = [start.normal(size=(INPUTS, width)) / INPUTS**0.5, np.zeros(width),
                        start.normal(size=(width, 1)) / width**0.5, np.zeros(1)]  # fmt: skip
        self.speed = [np.zeros_like(weight) for weight in self.weights]
        self.held_out = self.drawn(np.random.default_rng((case, 99)), HELD_OUT)

    def drawn(self, source: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """So many samples: inputs, and what is to be learned of them with a little noise."""
        x = source.normal(size=(count, INPUTS))
        return x, np.tanh(x @ self.truth[0]) @ self.truth[1] + 0.1 * source.normal(size=count)

    def batch(self, step: int, fresh: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of a step: always the same one, but for a loader that was started afresh."""
        return self.drawn(np.random.default_rng((self.seed, step, 5, fresh)), BATCH)

    def rate(self, step: int) -> float:
        """A cosine from the learning rate to a tenth of it."""
        return self.lr * (0.55 + 0.45 * float(np.cos(np.pi * step / self.horizon)))

    def train(self, x: np.ndarray, y: np.ndarray, rate: float) -> tuple[float, float]:
        """One step of gradient descent; the loss before it, and the norm of the gradient."""
        first, bias, second, shift = self.weights
        hidden = np.tanh(x @ first + bias)
        error = (hidden @ second)[:, 0] + shift[0] - y
        out = 2.0 * error[:, None] / len(y)
        back = out @ second.T * (1.0 - hidden**2)
        slopes = [x.T @ back, back.sum(0), hidden.T @ out, out.sum(0)]
        norm = float(np.sqrt(sum(float((slope**2).sum()) for slope in slopes)))
        for number, slope in enumerate(slopes):
            self.speed[number] = 0.9 * self.speed[number] - rate * slope
            self.weights[number] = self.weights[number] + self.speed[number]
        return float((error**2).mean()), norm

    def evaluate(self) -> float:
        """Mean squared error on data that is never trained on."""
        first, bias, second, shift = self.weights
        x, y = self.held_out
        return float((((np.tanh(x @ first + bias) @ second)[:, 0] + shift[0] - y) ** 2).mean())

    def save(self, folder: Path) -> None:
        """Write all that training goes on from."""
        with open(folder / "state.npz", "wb") as file:
            np.savez(file, *self.weights, *self.speed)

    def load(self, folder: Path) -> None:
        """Go on from there."""
        with np.load(folder / "state.npz") as saved:
            arrays = [saved[name] for name in saved.files]
        self.weights, self.speed = arrays[:4], arrays[4:]


class Fault:
    """What goes wrong, and when. `once` faults are of a process: the next attempt is well."""

    def __init__(self, kind: str, case: int, horizon: int = HORIZON) -> None:
        self.kind, self.onset, self.case = kind, onset_of(case, horizon), case
        self.first = Path(os.environ.get("SECONDSHIFT_ATTEMPT", "x.a1")).name.endswith(".a1")
        self.kept: list[bytearray] = []
        self.batch: tuple[np.ndarray, np.ndarray] | None = None
        self.frozen: dict[str, float] = {}
        self.noise = np.random.default_rng((case, 3))

    def data(self, step: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The batch as the fault leaves it, and how many of its samples are new."""
        since = step - self.onset
        distinct = len(y)
        if self.kind == "nan_batch" and since == 0:
            y = y * np.nan
        elif self.kind in ("bad_shard", "remedy_not_applied") and 0 <= since < SHARD:
            x, y = x * 3.0, np.random.default_rng((self.case, step)).normal(size=len(y)) * 4.0
        elif self.kind == "wrong_labels" and since >= 0:
            y = np.random.default_rng((self.case, step)).permutation(y)
        elif self.kind == "dead_loader" and since >= 0 and self.first:
            self.batch = self.batch or (x, y)
            distinct = len(y) if since == 0 else 0
            x, y = self.batch
        return x, y, distinct

    def few(self, step: int, job: "Job", x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of an overfitting run: a batch of the few samples that it has, from the first step on."""
        if self.kind != "overfit":
            return x, y
        source = np.random.default_rng((self.case, 11))
        inputs, targets = job.drawn(source, FEW)
        chosen = np.random.default_rng((self.case, step, 13)).integers(FEW, size=len(y))
        return inputs[chosen], (targets + 0.5 * source.normal(size=FEW))[chosen]

    def rate(self, step: int, rate: float) -> float:
        """The learning rate as the fault leaves it."""
        if step < self.onset:
            return rate
        once = self.kind == "lr_hundredfold" and self.first
        return rate * 100.0 if once or self.kind == "lr_schedule_bug" else rate

    def strike(self, step: int, job: Job, run: "secondshift.Run") -> None:
        """Do to this process what the fault does to processes."""
        since = step - self.onset
        if self.kind == "leak" and since >= 0:
            self.kept.append(bytearray(b"x") * 400_000)
        if self.kind == "crash_loop" and since == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if since != 0 or not self.first:
            return
        if self.kind == "weights_damaged":
            job.weights[0] = job.weights[0] + 3.0 * self.noise.normal(size=job.weights[0].shape)
        elif self.kind == "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == "segfault":
            ctypes.string_at(0)
        elif self.kind == "lock_hang":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        elif self.kind == "busy_hang":
            while True:
                pass
        elif self.kind == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.kind == "checkpoint_write_failure":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT // 2, resource.RLIM_INFINITY))
        elif self.kind == "corrupt_checkpoint":
            spoil(run)
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, step: int) -> None:
        """Faults that come again in every attempt."""
        if self.kind == "oom" and step >= self.onset:
            limit = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (used_bytes() + (64 << 20), limit))
            np.ones(1 << 28)

    def logged(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """What is logged of a step: a logger that froze repeats itself."""
        if self.kind == "frozen_logger" and step >= self.onset:
            self.frozen = self.frozen or values
            return self.frozen
        return values


def spoil(run: "secondshift.Run") -> None:
    """Flip bytes in the newest checkpoint."""
    order = os.environ.get("SECONDSHIFT_ATTEMPT", "")
    trial = Path(order).name.partition(".")[0]
    places = (Path(order).parent.parent / "trials" / trial / "checkpoints").glob("step-*/state.npz")
    newest = max(places, key=lambda path: int(path.parent.name.removeprefix("step-")), default=None)
    if newest is not None:
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 0xFF
        newest.write_bytes(data)


def used_bytes() -> int:
    """Address space in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * PAGE


def resident_mb() -> float:
    """Memory in use, as the script itself sees it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6


def main() -> None:
    """Train, and go wrong."""
    run = secondshift.init(horizon=HORIZON)
    p = run.params(fault="none", case=0)
    kind, case = str(p["fault"]), int(str(p["case"]))
    if kind == "import_error":
        runpy.run_module("a_library_that_is_not_installed")
    if kind == "leak":
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes() + LEAKS_INTO, resource.getrlimit(resource.RLIMIT_AS)[1]))
    job, fault, start = Job(case=case, seed=run.seed, horizon=run.horizon), Fault(kind, case, run.horizon), 0
    if checkpoint := run.restore():
        job.load(Path(checkpoint.path))
        start = checkpoint.step
    print(f"DRILL {kind}: training from step {start}", file=sys.stderr, flush=True)
    for step in range(start, run.horizon):
        began = time.perf_counter()
        obeys = kind != "remedy_not_applied"
        if not (obeys and run.skips(step)):
            x, y, distinct = fault.data(step, *fault.few(step, job, *job.batch(step, run.fresh_loader)))
            rate = fault.rate(step, job.rate(step)) * run.lr_scale
            fault.strike(step, job, run)
            loss, norm = job.train(x, y, rate)
            fault.after(step)
            seen = {"loss": loss, "grad_norm": norm, "lr": rate, "distinct": float(distinct), "rss_mb": resident_mb()}
            run.log(step, **fault.logged(step, seen))
        if step % EVAL_EVERY == EVAL_EVERY - 1 or step == run.horizon - 1:
            run.log(step, val_loss=job.evaluate())
        if run.checkpoint_due(step):
            with run.checkpoint(step + 1) as folder:
                job.save(Path(folder))
                if kind == "checkpoint_write_failure":
                    (Path(folder) / "padding").write_bytes(bytes(FILE_LIMIT))
            if run.stopping:
                break
        time.sleep(max(0.0, PACE_S - (time.perf_counter() - began)))
    run.close()


if __name__ == "__main__":
    main()

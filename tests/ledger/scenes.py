"""What several tests of the ledger need: small facts and points, forked children, and a disk that is really small."""

import os
import random
import signal
import subprocess
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secondshift.ledger.leases import Holder
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.records.events import MetricsLogged, TrialClosed
from secondshift.records.orders import Batch

ME = Holder(host="h", pid=1)


def fact(trial: str = "t1", reason: str = "x") -> TrialClosed:
    return TrialClosed(trial=trial, status="stopped", reason=reason, decision="d1")


def points(first: int, n: int, *, trial: str = "t1", metric: str = "loss") -> tuple[MetricsLogged, Batch]:
    logged = MetricsLogged(
        attempt=f"{trial}.a1", trial=trial, fragment="f", start=first, end=first + n, points=n, crc=0
    )
    # Noise to the last bit, so that nothing is saved by packing.
    steps, values = array("q", range(first, first + n)), array("d", random.Random(first).randbytes(8 * n))
    return logged, Batch(trial=trial, attempt=f"{trial}.a1", metric=metric, steps=steps, values=values)


def opened(folder: Path, **options) -> tuple[SqliteLedger, int]:
    """Open a ledger and take its lease, whoever had it."""
    ledger = SqliteLedger(folder, **options)
    return ledger, ledger.take_lease(ME, how_dead=lambda _: True).token


def filled(folder: Path, appends: int = 40) -> Path:
    """Leave a sound, closed ledger with some facts and points behind."""
    ledger, token = opened(folder)
    for number in range(appends):
        logged, batch = points(number * 100, 100)
        ledger.append([logged, fact(reason="y" * 200)], at=0.0, token=token, batches=[batch])
    ledger.release(token)
    ledger.close()
    return ledger.path


@contextmanager
def child(act: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Fork a process that does `act(pipe)`; yields its pid and the reading end, and kills it in the end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            act(writing)
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        yield pid, reading
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)


@contextmanager
def small_disk(folder: Path, size: str = "3m", *, options: str = "") -> Iterator[Path]:
    """Mount a real filesystem of some size; skips the test where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False, timeout=20)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)

"""Takes down how an attempt is doing, as its supervisor sees it from outside: numbers every few seconds, and its health.

They go into a file of their own in the attempt's folder, in the format of fragments (`tracking/wire.py`); see 0117.
"""

import math
import os

from secondshift.runtime.executors.attempt_files import to_json
from secondshift.runtime.executors.gpu_vitals import GpuWatch
from secondshift.runtime.executors.vitals import Family, free_mb, memory_limit_mb, waits_on
from secondshift.tracking import wire

SAMPLES = "machine.samples"  # the file's name
ALWAYS = ("sys/tree_rss_mb", "sys/cpu", "sys/gpu_mb", "sys/gpu_util", "sys/gpu_xid")  # written with each sample
FULL_S = 300.0  # the others at least so often, and when they moved
MOVED = 0.02  # by this share
URGENT = 0.1  # of what is left of memory or disk is gone since it was last said: whoever reads shall not wait
LIMITS_EVERY = 12  # samples between two looks at the limits of memory
BUSY_CPU, BUSY_GPU = 0.05, 5.0  # cores, percent: with less it is at rest
STEADY = 2  # samples in which another health must be seen before it counts; more where it changes often
MOST_STEADY = 12


class Condition:
    """The health of an attempt: running, blocked, disk or stopped. Another one counts once it has lasted some samples."""

    def __init__(self) -> None:
        self.health, self.waits_on, self.since_s, self.changes = "", "", 0.0, 0
        self._next, self._next_since, self._seen = ("", ""), 0.0, 0

    def push(self, health: str, waits_on: str, at_s: float) -> bool:
        """Take what one sample found; say whether the health, or what is waited for, changed by it."""
        same = health == self.health
        found = (health, waits_on if same else "")  # one that waits now for this and now for that is blocked all the time
        if same and waits_on == self.waits_on:
            self._next = ("", "")
            return False
        if found != self._next:
            self._next, self._next_since, self._seen = found, at_s, 0
        self._seen += 1
        # One that changes all the time is told ever more slowly: each change is a fact that is kept for good.
        steady = STEADY if health == "stopped" else min(MOST_STEADY, STEADY * (1 + self.changes))
        if self.health and self._seen < steady:
            return False
        self.changes += bool(self.health)
        self.since_s = self.since_s if same else self._next_since
        self.health, self.waits_on, self._next = health, waits_on, ("", "")
        return True


class Sampler:
    """Samples one attempt into the file of its samples."""

    def __init__(self, folder: str, main: int, began: float, *, gpus: GpuWatch | None = None) -> None:
        self.folder, self.began, self.gpus = folder, began, gpus
        self.family, self.condition, self.count = Family(main), Condition(), 0
        self.limit_mb = 0.0
        self._written: dict[str, float] = {}  # name -> value that was last written
        self._full_at = -FULL_S
        self._used_mb, self._free_mb = math.inf, 0.0  # lowest use, most space since a reader was last called
        self._ids: dict[str, int] = {}
        self._declared: set[str] = set()
        self._layouts: dict[tuple[str, ...], wire.Layout] = {}
        self._fd = os.open(f"{folder}/{SAMPLES}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._fd).st_size

    def take(self, now: float, known: dict[int, int]) -> None:
        """Take one sample and write it. known: pid -> start time; now: seconds of the clock of `began`. Raises OSError."""
        self.family.look(known, now, self.began)
        values, at_s = self.values(), now - self.began
        main = self.family.living.get(self.family.main)
        if main is not None and (self.count < 3 or self.count % LIMITS_EVERY == 0):
            self.limit_mb = memory_limit_mb(main)
        self.count += 1
        data = self._points(values, at_s)
        condition = self.condition
        if main is not None and condition.push(*self.health(values), at_s):
            said = {"health": condition.health, "waits_on": condition.waits_on, "after_s": round(condition.since_s, 1)}
            data += _note("health", said)
        if self._urgent(values):
            data += _note("look", {})
        self._write(data)

    def values(self) -> dict[str, float]:
        """All numbers of this moment, rounded so that they take little room."""
        family = self.family
        found = {
            "sys/tree_rss_mb": round(family.rss_mb),
            "sys/cpu": round(family.cpu * 64) / 64,
            "sys/processes": len(family.living),
            "sys/threads": sum(one.threads for one in family.living.values()),
            "sys/disk_free_mb": round(free_mb(self.folder)),
        }
        if self.gpus is not None:
            found |= {name: round(value) for name, value in self.gpus.look(set(family.living)).items()}
        return found

    def health(self, values: dict[str, float]) -> tuple[str, str]:
        """Which of the four this moment looks like, and what is waited for if it is blocked."""
        main = self.family.living.get(self.family.main)
        if main is not None and main.state in "Tt":
            return "stopped", ""
        if self.family.cpu >= BUSY_CPU or values.get("sys/gpu_util", 0.0) >= BUSY_GPU:
            return "running", ""
        worker = self.family.worker()
        # One that wants a CPU (R) and gets little of it, on a crowded machine, runs all the same.
        found = {"R": "running", "T": "stopped", "t": "stopped", "D": "disk"}.get(worker.state if worker else "", "blocked")
        return found, waits_on(worker.pid) if worker and found == "blocked" else ""

    def _points(self, values: dict[str, float], at_s: float) -> bytes:
        """The frame of a sample: what is always written, and what moved or was not written for long."""
        full = at_s >= self._full_at + FULL_S
        if full:
            self._full_at = at_s
        chosen = {name: value for name, value in values.items() if full or name in ALWAYS or self._moved(name, value)}
        if self.limit_mb and self._moved("sys/memory_limit_mb", self.limit_mb):
            chosen["sys/memory_limit_mb"] = round(self.limit_mb)
        self._written |= chosen
        names = tuple(chosen)
        for name in names:
            self._ids.setdefault(name, len(self._ids))
        new = [name for name in names if name not in self._declared]
        declared = b"".join(wire.name_frame(self._ids[name], name.encode()) for name in new)
        self._declared |= set(new)
        layout = self._layouts.get(names)
        if layout is None:
            layout = self._layouts[names] = wire.Layout([self._ids[name] for name in names])
        # Of steps nothing is known here: the engine puts the trial's newest one in.
        return declared + layout.frame(layout.pack(wire.POINTS, 0, round(at_s * 8) / 8, layout.ids, *chosen.values()))

    def _moved(self, name: str, value: float) -> bool:
        before = self._written.get(name)
        return before is None or abs(value - before) > MOVED * abs(before)

    def _urgent(self, values: dict[str, float]) -> bool:
        """Say whether much of the memory or disk that was left is gone since a reader was last called."""
        used, free = values["sys/tree_rss_mb"], values["sys/disk_free_mb"]
        self._used_mb, self._free_mb = min(self._used_mb, used), max(self._free_mb, free)
        grown = self.limit_mb > 0 and used - self._used_mb >= URGENT * max(1.0, self.limit_mb - self._used_mb)
        urgent = grown or free < (1 - URGENT) * self._free_mb
        if urgent:
            self._used_mb, self._free_mb = used, free
        return urgent

    def _write(self, data: bytes) -> None:
        """Append whole frames or nothing: a full disk costs samples, and no reader meets half of one."""
        try:
            written = os.write(self._fd, data)
        except OSError:
            written = 0
        if written == len(data):
            self._size += written
            return
        self._declared, self._written, self._full_at = set(), {}, -FULL_S  # all is said again
        os.ftruncate(self._fd, self._size)


def _note(kind: str, values: dict[str, object]) -> bytes:
    return wire.frame(wire.NOTE, to_json([kind, values]).encode())

"""GPUs as NVIDIA's management library (NVML) sees them: which there are, who uses them, whether their memory is back.

The library is an optional extra (`pip install 'secondshift[gpu]'`). Without it, or without a driver, there are none.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from secondshift.records.devicenames import whole
from secondshift.runtime.devices import Holder
from secondshift.runtime.executors.attempt_files import read_bytes
from secondshift.runtime.executors.processes import boot_id, process_stat

FRESH_S = 1.0  # a reading is used again for so long
SLACK_BYTES = 256 << 20  # memory that a driver may keep after a program, and that we do not call missing
MARKER = b"SECONDSHIFT_TOKEN="  # in the environment of everything that runs under one of our supervisors
SUPERVISOR = b"/runtime/executors/supervisor.py\0"  # in the command line of every supervisor
DEEPEST = 64  # processes above one that are looked at
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True, slots=True)
class Accelerator:
    """One GPU of this host."""

    uuid: str  # as CUDA_VISIBLE_DEVICES takes it: "GPU-5fe1..."
    model: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one GPU was doing at one moment."""

    used_bytes: int = 0
    compute: Mapping[int, int] = field(default_factory=dict)  # pid -> bytes, of programs that compute
    drawing_bytes: int = 0  # of programs that draw on a screen

    def unexplained_bytes(self) -> int:
        """Memory in use that no process accounts for: the driver's own, and what a killed program has not given back."""
        return max(0, self.used_bytes - sum(self.compute.values()) - self.drawing_bytes)


class Accelerators:
    """The GPUs of this host, read through NVML and never written to.

    library: the module `pynvml`, initialised, or one that speaks the same functions.
    """

    def __init__(self, library: Any, *, clock: Callable[[], float] = time.monotonic) -> None:  # Any: an untyped module
        self._nvml, self._clock = library, clock
        self._read: dict[str, tuple[float, Reading]] = {}
        self._handles: dict[str, Any] = {}
        self.driver = _text(library.nvmlSystemGetDriverVersion())
        self.found = tuple(self._look(number) for number in range(library.nvmlDeviceGetCount()))

    def _look(self, number: int) -> Accelerator:
        handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
        uuid = _text(self._nvml.nvmlDeviceGetUUID(handle))
        self._handles[uuid] = handle
        memory = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total)
        return Accelerator(uuid=uuid, model=_text(self._nvml.nvmlDeviceGetName(handle)), memory_bytes=memory)

    def read(self, uuid: str, *, fresh: bool = False) -> Reading | None:
        """Say what a GPU is doing, at most a second ago; None if it cannot be read (it fell off the bus, say)."""
        known = self._read.get(uuid)
        if known and not fresh and self._clock() - known[0] < FRESH_S:
            return known[1]
        try:
            handle = self._handles[uuid]
            compute = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            drawing = self._nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
            used = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)
        except (KeyError, self._nvml.NVMLError):
            return None
        pids = {int(process.pid): int(process.usedGpuMemory or 0) for process in compute}
        screens = sum(int(process.usedGpuMemory or 0) for process in drawing if int(process.pid) not in pids)
        reading = Reading(used_bytes=used, compute=pids, drawing_bytes=screens)
        self._read[uuid] = (self._clock(), reading)
        return reading


@cache
def accelerators() -> Accelerators | None:
    """Find the GPUs of this host; None without the optional library, a driver or a GPU."""
    try:
        pynvml = import_module("pynvml")  # optional: the extra `gpu`; a host without GPUs needs none
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return Accelerators(pynvml)
    except pynvml.NVMLError:
        return None  # no driver here


def visible(found: Sequence[Accelerator], listed: str | None) -> tuple[Accelerator, ...]:
    """Give the GPUs that a value of CUDA_VISIBLE_DEVICES leaves, in its order; None: the variable is not set, so all.

    As the driver does: numbers, or UUIDs and unique beginnings of them; the list ends at the first that fits nothing.
    """
    if listed is None:
        return tuple(found)
    chosen: list[Accelerator] = []
    for word in (part.strip() for part in listed.split(",")):
        fits = [one for one in found if word.startswith("GPU-") and one.uuid.lower().startswith(word.lower())]
        if word.isascii() and word.isdigit() and int(word) < len(found):
            fits = [found[int(word)]]
        if len(fits) != 1:
            break
        if fits[0] not in chosen:
            chosen.append(fits[0])
    return tuple(chosen)


class AcceleratorWatch:
    """Says which GPUs may be lent, and who else needs one.

    share: lend a GPU although somebody else computes on it; ours: says whether a process belongs to a trial of
    secondshift (True), to somebody else (False), or cannot be seen from here (None).
    """

    def __init__(
        self, gpus: Accelerators, *, share: bool = False, ours: Callable[[int], bool | None] | None = None
    ) -> None:
        self.gpus, self.share, self.ours = gpus, share, ours or of_secondshift

    def gate(self, name: str, holder: Holder) -> str:
        """Say why a GPU, or a slot of one, that nobody holds is not lent now; empty if it is."""
        reading = self.gpus.read(whole(name))
        if reading is None:
            return "the driver does not answer for it"
        if not self.share and (others := self._others(reading, slot=name != whole(name))):
            return f"{_processes(others)} computes on it"
        return self.missing(name, holder)

    def missing(self, name: str, holder: Holder) -> str:
        """Say how much memory is not back since the last holder took the GPU; empty if it is, or was never measured."""
        reading, before = self.gpus.read(whole(name)), holder.get("unexplained_bytes")
        if reading is None or not isinstance(before, int) or holder.get("boot_id") != boot_id():
            return ""
        if name != whole(name) and reading.compute:
            return ""  # others' slots come and go on it; only an idle GPU can be judged
        gone = reading.unexplained_bytes() - before
        last = Path(str(holder.get("attempt", ""))).name or "the last trial"
        return f"{gone / 2**30:.1f} GiB of its memory are not back since {last} ended" if gone > SLACK_BYTES else ""

    def foreign(self, name: str) -> str:
        """Say who else computes on a GPU of ours now, as far as this host shows; empty if nobody."""
        reading = self.gpus.read(whole(name))
        strangers = [pid for pid in (reading.compute if reading else ()) if self.ours(pid) is False]
        return "" if self.share or not strangers else f"{_processes(strangers)} computes on it"

    def measured(self, name: str) -> Mapping[str, str | int]:
        """What to write down about a GPU before a trial takes it, so that its memory can be told to be back."""
        reading = self.gpus.read(whole(name), fresh=True)
        return {"unexplained_bytes": reading.unexplained_bytes(), "boot_id": boot_id()} if reading else {}

    def marks(self, names: Sequence[str]) -> Mapping[str, str]:
        """What a result on these GPUs may depend on: model and driver."""
        models = sorted({gpu.model for gpu in self.gpus.found for name in names if gpu.uuid == whole(name)})
        return {"device": ", ".join(models), "driver": self.gpus.driver} if models else {}

    def _others(self, reading: Reading, *, slot: bool) -> list[int]:
        """Who computes on a GPU that is to be lent: on a whole one anybody is a stranger, because nobody holds it."""
        return [pid for pid in reading.compute if not slot or self.ours(pid) is not True]


def of_secondshift(pid: int) -> bool | None:
    """Say whether a process belongs to a supervised trial; None if there is no such process to be seen here.

    It, or one above it, carries the mark in its environment or is a supervisor: a trial may start programs with an
    environment of their own, and what outlives its parent is adopted by the supervisor.
    """
    try:
        if MARKER in Path(f"/proc/{pid}/environ").read_bytes():
            return True
    except PermissionError:
        pass  # another user's, or our own that changed its rights
    except OSError:
        return None  # gone, or NVML counts in another container's numbers
    for _ in range(DEEPEST):
        stat = process_stat(pid)
        pid = stat[1] if stat else 0
        if pid <= 1:
            return False
        if MARKER in read_bytes(f"/proc/{pid}/environ") or SUPERVISOR in read_bytes(f"/proc/{pid}/cmdline"):
            return True
    return False


def _processes(pids: Sequence[int]) -> str:
    names = []
    for pid in sorted(pids)[:3]:
        try:
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            name = ""
        names.append(f"process {pid}" + ("".join(c for c in f" ({name})" if c.isprintable()) if name else ""))
    return ", ".join(names) + (f" and {len(pids) - 3} more" if len(pids) > 3 else "")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def listed_for(env: Mapping[str, str]) -> str | None:
    """Read CUDA_VISIBLE_DEVICES as a trial would get it: from the study's variables, else from ours."""
    return env.get(VISIBLE, os.environ.get(VISIBLE))

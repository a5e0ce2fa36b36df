"""What the driver says of the GPUs of one attempt, asked so that a driver that hangs stops nobody else."""

import sys
from _thread import start_new_thread  # threading's own, without importing threading
from importlib import import_module

TYPE_CHECKING = False  # the real one lives in `typing`, which costs more to import than all of this
if TYPE_CHECKING:
    from typing import Any

MB = 1_000_000
TEMPERATURE, UNCORRECTED, VOLATILE, XID = 0, 1, 0, 8  # NVML's own numbers, the same in every version of it
MOST_XIDS = 16  # read at one look


class Gpus:
    """Reads some GPUs through NVML and never writes to them.

    library: the module `pynvml`, initialised, or one that speaks the same functions; devices: as they were leased, a
    slot "GPU-5.2" standing for its GPU.
    """

    def __init__(self, library: "Any", devices: list[str]) -> None:  # Any: an untyped module
        self.nvml = library
        self.handles = {}
        self.shared = any("." in name for name in devices)  # others may compute on it beside us
        for name in dict.fromkeys(device.partition(".")[0] for device in devices):
            self.handles[name] = library.nvmlDeviceGetHandleByUUID(name.encode())
        self.events = self._listen()

    def _listen(self) -> "Any":
        """Ask for the driver's reports of critical errors (Xid); None where it gives none."""
        try:
            events = self.nvml.nvmlEventSetCreate()
            for handle in self.handles.values():
                self.nvml.nvmlDeviceRegisterEvents(handle, XID, events)
        except self.nvml.NVMLError:
            return None
        return events

    def read(self, family: set[int]) -> dict[str, float]:
        """What the family uses and how the GPUs are; of several the sum or the mean, and each by its place in the lease."""
        each = [self._one(handle, family) for handle in self.handles.values()]
        found: dict[str, float] = {}
        for name, joined in (("gpu_mb", sum), ("gpu_util", _mean), ("gpu_c", max), ("gpu_ecc", sum)):
            values = [one[name] for one in each if name in one]
            if values:
                found[f"sys/{name}"] = float(joined(values))
        if len(each) > 1:
            found |= {f"sys/{name}.{place}": value for place, one in enumerate(each) for name, value in one.items()}
        if (xid := self._xid()) is not None:
            found["sys/gpu_xid"] = float(xid)
        return found

    def _one(self, handle: "Any", family: set[int]) -> dict[str, float]:
        nvml, found = self.nvml, {}
        asked = {
            "gpu_mb": lambda: self._memory(handle, family) / MB,
            "gpu_util": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "gpu_c": lambda: nvml.nvmlDeviceGetTemperature(handle, TEMPERATURE),
            "gpu_ecc": lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, UNCORRECTED, VOLATILE),
        }
        for name, ask in asked.items():
            try:
                found[name] = float(ask())
            except nvml.NVMLError:
                continue  # a GPU that does not know this, or is lost
        return found

    def _memory(self, handle: "Any", family: set[int]) -> int:
        """Bytes in use by the family. Where the driver counts processes in other numbers (a container), all in use."""
        running = self.nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        ours = sum(int(one.usedGpuMemory or 0) for one in running if int(one.pid) in family)
        if ours or self.shared or not running:
            return ours
        return int(self.nvml.nvmlDeviceGetMemoryInfo(handle).used)

    def _xid(self) -> int | None:
        """The number of the newest critical error since the last look; None if there was none."""
        newest = None
        for _ in range(MOST_XIDS if self.events is not None else 0):
            try:
                newest = int(self.nvml.nvmlEventSetWait_v2(self.events, 0).eventData)
            except self.nvml.NVMLError:
                break  # a time-out: there is no more
        return newest


class GpuWatch:
    """Asks in a thread of its own, and never waits for it: what it brought is there at the next look.

    place: the folder in which the module `pynvml` lies.
    """

    def __init__(self, place: str, devices: list[str]) -> None:
        self.place, self.devices = place, devices
        self.gpus: Gpus | None = None
        self.asking = False
        self.found: dict[str, float] = {}

    def look(self, family: set[int]) -> dict[str, float]:
        """Return what came since the last look, each answer once, and ask again unless the last question still hangs."""
        found, self.found = self.found, {}
        if not self.asking and self.devices:
            self.asking = True
            start_new_thread(self._ask, (family,))
        return found

    def _ask(self, family: set[int]) -> None:
        try:
            if self.gpus is None:
                self.gpus = Gpus(driver(self.place), self.devices)
            self.found = self.gpus.read(family)
        except Exception as problem:
            self.devices = []  # no module, no driver, or one that we do not understand: it is not asked again
            print(f"The GPUs are not watched: {problem!r}", file=sys.stderr, flush=True)
        self.asking = False


def driver(place: str) -> "Any":
    """Load `pynvml` from the folder in which it lies, and initialise it. Raises ImportError, or what it raises."""
    sys.path.append(place)
    pynvml = import_module("pynvml")  # optional: the extra `gpu`; only attempts with GPUs come here

    pynvml.nvmlInit()
    return pynvml


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

"""A FAKE of NVIDIA's management library: the functions of `pynvml` that we call, over GPUs that exist only here.

Nothing in it was recorded from a real driver; it says what the documentation of NVML says.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace

GIB = 1 << 30


class NVMLError(Exception):
    """What every function of the library raises."""


@dataclass(kw_only=True)
class FakeGpu:
    uuid: str
    model: str = "NVIDIA Imaginary 80GB"
    used: int = GIB // 2  # the driver's own share, as real ones show it without any process
    compute: dict[int, int] = field(default_factory=dict)  # pid -> bytes
    drawing: dict[int, int] = field(default_factory=dict)
    lost: bool = False
    busy: int = 0  # percent
    celsius: int = 40
    ecc: int | None = 0  # None: the GPU does not count them
    xids: list[int] = field(default_factory=list)  # critical errors that nobody has read

    def start(self, pid: int, size: int = GIB) -> None:
        self.compute[pid] = size
        self.used += size

    def end(self, pid: int, *, give_back: bool = True) -> None:
        self.used -= self.compute.pop(pid) if give_back else 0
        self.compute.pop(pid, None)


class FakeNvml:
    """The module. Handles are numbers; texts come as bytes from old bindings, as `str` from new ones."""

    NVMLError = NVMLError

    def __init__(self, *gpus: FakeGpu, as_bytes: bool = False) -> None:
        self.gpus, self.as_bytes, self.calls = gpus, as_bytes, 0

    def _said(self, text: str) -> str | bytes:
        return text.encode() if self.as_bytes else text

    def _gpu(self, handle: int) -> FakeGpu:
        self.calls += 1
        if self.gpus[handle].lost:
            raise NVMLError("GPU is lost")
        return self.gpus[handle]

    def nvmlSystemGetDriverVersion(self) -> str | bytes:
        return self._said("999.01")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUUID(self, handle: int) -> str | bytes:
        return self._said(self._gpu(handle).uuid)

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return self._said(self._gpu(handle).model)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        gpu = self._gpu(handle)
        return SimpleNamespace(total=80 * GIB, used=gpu.used, free=80 * GIB - gpu.used)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=p, usedGpuMemory=size) for p, size in self._gpu(handle).compute.items()]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=p, usedGpuMemory=size) for p, size in self._gpu(handle).drawing.items()]

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> int:
        self.calls += 1
        found = [place for place, gpu in enumerate(self.gpus) if gpu.uuid.encode() == uuid]
        if not found:
            raise NVMLError("Not Found")
        return found[0]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._gpu(handle).busy, memory=0)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        assert sensor == 0
        return self._gpu(handle).celsius

    def nvmlDeviceGetTotalEccErrors(self, handle: int, kind: int, counter: int) -> int:
        assert (kind, counter) == (1, 0)
        errors = self._gpu(handle).ecc
        if errors is None:
            raise NVMLError("Not Supported")
        return errors

    def nvmlEventSetCreate(self) -> list[int]:
        return []

    def nvmlDeviceRegisterEvents(self, handle: int, kinds: int, events: list[int]) -> None:
        assert kinds == 8
        events.append(handle)

    def nvmlEventSetWait_v2(self, events: list[int], timeout_ms: int) -> SimpleNamespace:
        for handle in events:
            if self.gpus[handle].xids:
                return SimpleNamespace(eventData=self.gpus[handle].xids.pop(0))
        raise NVMLError("Timeout")

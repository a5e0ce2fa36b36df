"""What one study may borrow of this host: GPUs where there are some, else CPUs, unless somebody else needs them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from secondshift.records.devicenames import whole
from secondshift.records.orders import Order
from secondshift.records.studies import Launch
from secondshift.runtime.accelerators import (
    VISIBLE,
    Accelerators,
    AcceleratorWatch,
    accelerators,
    listed_for,
    visible,
)
from secondshift.runtime.devices import DeviceLease, DevicePool, host_devices, slots_of

YIELD = "yield"  # a file of this name in the study's private folder: a person wants the machine back
BACK_S = 30.0  # memory that is not free again so long after a trial is told as an incident


class Lending:
    """The devices of one study: which are free, what to tell a trial about its own, and who else needs them.

    folder: the study's private folder; pool: devices to use instead of those that are found; gpus: the GPUs of the
    host, by default as NVML finds them.
    """

    def __init__(
        self, folder: Path, launch: Launch, *, pool: DevicePool | None = None, gpus: Accelerators | None = None
    ) -> None:
        self.folder, self.launch = folder, launch
        gpus = gpus or (accelerators() if pool is None else None)
        seen = visible(gpus.found, listed_for(launch.env)) if gpus else ()
        self.watch = AcceleratorWatch(gpus, share=launch.share_with_others) if gpus and seen else None
        names = slots_of([gpu.uuid for gpu in seen], launch.per_device)
        self.pool = pool or (
            DevicePool(names, gate=self.watch.gate)
            if self.watch
            else DevicePool(slots_of(host_devices(at_least=launch.slots), launch.per_device))
        )
        self._missing_since: dict[str, float] = {}  # device -> when its memory was first found missing, boot clock

    def free(self) -> tuple[str, ...]:
        """List what a trial may have now; nothing while a person wants the machine back."""
        return () if self.wanted_back() else self.pool.free()

    def held(self) -> Mapping[str, str]:
        """Name what others hold or need, each with words on who does."""
        if asked := self.wanted_back():
            return dict.fromkeys(self.pool.names, asked)
        ours, free = str(self.folder / "attempts") + os.sep, self.pool.free()
        told = {}
        for name in self.pool.names:
            if name not in free:
                who = self.pool.holder(name)
                if why := self.pool.why_not(name):
                    told[name] = why
                elif not str(who.get("attempt", "")).startswith(ours):
                    told[name] = _words(who)
        return told

    def wanted_back(self) -> str:
        """Say who wants the whole machine back; empty if nobody does."""
        places = [self.folder / YIELD]
        if self.launch.yield_to.startswith("file:"):
            places.append(self.folder.parent / self.launch.yield_to.removeprefix("file:").strip())
        for place in places:
            if place.exists():
                return _asker(place)
        return ""

    def troubles(self, boot_s: float) -> Mapping[str, str]:
        """Say what befalls devices, as `Watchful` describes; boot_s: the boot clock in seconds."""
        found = {}
        if asked := self.wanted_back():
            found["yield:host"] = f"the machine is wanted back: {asked}"
        watch = self.watch
        for device in dict.fromkeys(map(whole, self.pool.names)) if watch else ():
            if watch and self.launch.yield_to == "gpu-busy" and (who := watch.foreign(device)):
                found[f"yield:{device}"] = f"{who}: {device} is needed by somebody else"
            if gone := self._not_back(device, boot_s):
                found[f"memory:{device}"] = f"{device} is held back: {gone}"
        return found

    def _not_back(self, device: str, boot_s: float) -> str:
        """What is missing of a device's memory, once it has been missing for so long that it will not come by itself."""
        if self.watch is None:
            return ""
        slots = [name for name in self.pool.names if whole(name) == device and self.pool.why_not(name)]
        gone = next((text for name in slots if (text := self.watch.missing(name, self.pool.holder(name)))), "")
        if not gone:
            self._missing_since.pop(device, None)
            return ""
        return gone if boot_s - self._missing_since.setdefault(device, boot_s) >= BACK_S else ""

    def acquire(self, order: Order) -> DeviceLease:
        """Lock the devices of an order. Raises DeviceBusy, FilesystemUnfit."""
        measured = self.watch.measured(order.devices[0]) if self.watch and order.devices else {}
        return self.pool.acquire(order.devices, holder={"attempt": order.folder, "pid": os.getpid(), **measured})

    def addressed(self, order: Order) -> Order:
        """Tell a trial which GPUs are its own, by their UUIDs: numbers differ between drivers and orders."""
        if self.watch is None or not order.devices:
            return order
        return replace(order, env={**order.env, VISIBLE: ",".join(dict.fromkeys(map(whole, order.devices)))})

    def marks(self, devices: Sequence[str]) -> Mapping[str, str]:
        """What a result may depend on: the GPUs' model and driver, and whether other trials may share the device."""
        marks = dict(self.watch.marks(devices)) if self.watch else {}
        return {**marks, "colocated": str(self.launch.per_device)} if self.launch.per_device > 1 else marks


def _asker(place: Path) -> str:
    """Who left the file, in the words that stand in it; it is text and nothing else."""
    try:
        text = place.read_bytes()[:200].decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return "".join(c for c in text if c.isprintable()) or f"{place.name} is there"


def _words(holder: Mapping[str, str | int]) -> str:
    """Say who holds a device; whoever wrote that down may be another user, so it is text and nothing else."""
    attempt = Path(str(holder.get("attempt", "")))
    if len(attempt.parts) < 4:
        return f"process {holder['pid']}" if isinstance(holder.get("pid"), int) else "an unknown process"
    text = f"{attempt.name} of the study in {attempt.parents[2]}"  # .../STUDY/.secondshift/attempts/t3.a1
    return "".join(c for c in text if c.isprintable())[:200]

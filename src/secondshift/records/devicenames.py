"""Names of devices: what is lent is a device or a slot of one, and CPUs are shares of one machine."""

from collections.abc import Collection, Sequence


def whole(name: str) -> str:
    """Name the device that a slot is part of: `GPU-5.2` is the second slot of `GPU-5`; a whole device is itself."""
    return name.partition(".")[0]


def hardware(name: str) -> str:
    """Name what computes: a trial that is slow on `cpu-0` is as slow on `cpu-1`, for none is bound to one of them."""
    return "cpu" if name.startswith("cpu-") else whole(name)


def elsewhere(devices: Sequence[str], slow: Collection[str]) -> list[str]:
    """Name the devices whose hardware is none of that."""
    apart = {hardware(name) for name in slow}
    return [name for name in devices if hardware(name) not in apart]


def chosen(devices: Sequence[str], own: Collection[str], others: Collection[str]) -> str:
    """Choose the first device, rather one that the trial itself (own) and other trials (others) were not slow on."""
    free = elsewhere(devices, own) or devices
    return (elsewhere(free, others) or free)[0]

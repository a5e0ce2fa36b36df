"""Devices of this host, lent to one trial at a time across all studies and users by locks that the kernel frees."""

import fcntl
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from secondshift.errors import DeviceBusy, FilesystemUnfit
from secondshift.records.devicenames import whole

TRIES, PAUSE_S = 4, 0.002  # another study that lists free devices holds a lock for microseconds
Holder = Mapping[str, str | int]
Gate = Callable[[str, Holder], str]  # a device and its last holder -> why it may not be lent now, or ""


class DeviceLease:
    """Locks on some devices. They are free again when every process that holds a copy of a descriptor is gone."""

    def __init__(self, names: tuple[str, ...], fds: tuple[int, ...]) -> None:
        self.names, self.fds = names, fds

    def close(self) -> None:
        """Close our copies. Never unlock: that would free the devices under a trial that was given copies."""
        fds, self.fds = self.fds, ()
        for fd in fds:
            os.close(fd)

    def __enter__(self) -> "DeviceLease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def host_folder() -> Path:
    """Return the folder of this host's device locks: $SECONDSHIFT_HOST_DIR, else one in the temporary folder."""
    named = os.environ.get("SECONDSHIFT_HOST_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "secondshift-devices"


def host_devices(*, at_least: int = 0) -> tuple[str, ...]:
    """Name one device for each CPU this process may use, or more if a person asks for more."""
    return tuple(f"cpu-{number}" for number in range(max(at_least, len(os.sched_getaffinity(0)))))


def fair_threads(slots: int) -> int:
    """Share the CPUs that this process may use among so many trials: threads for each, at least one."""
    return max(1, len(os.sched_getaffinity(0)) // max(1, slots))


def slots_of(devices: Iterable[str], per_device: int) -> tuple[str, ...]:
    """Name what is lent when each device takes so many trials: first slots first, so that devices fill evenly."""
    devices = tuple(devices)
    if per_device <= 1:
        return devices
    return tuple(f"{device}.{number}" for number in range(1, per_device + 1) for device in devices)


class DevicePool:
    """The devices a study may use on this host.

    names: devices or slots of them (`GPU-5.2`), by default one per CPU; folder: where the locks are, by default the
    host's; gate: says why a device that nobody holds is not lent all the same.

    Whoever takes a whole device shuts out the slots, and a slot in use shuts out who wants the whole.
    """

    def __init__(
        self, names: Sequence[str] | None = None, *, folder: Path | None = None, gate: Gate | None = None
    ) -> None:
        self.names = tuple(host_devices() if names is None else names)
        self.folder = folder or host_folder()
        self.gate = gate

    def free(self) -> tuple[str, ...]:
        """List the devices that may be lent now, in the pool's order. Holders notice nothing."""
        return tuple(name for name in self.names if not self._locked(name) and not self._withheld(name))

    def why_not(self, name: str) -> str:
        """Say why a device that nobody holds is not lent; empty if it is, or if somebody holds it."""
        return "" if self._locked(name) else self._withheld(name)

    def _withheld(self, name: str) -> str:
        return self.gate(name, self._read(name)) if self.gate else ""

    def acquire(self, names: Sequence[str], *, holder: Holder) -> DeviceLease:
        """Lock these devices, all or none; `holder` is written down for whoever finds them busy.

        Raises DeviceBusy with the holder in it, and FilesystemUnfit if locks cannot be kept in the folder.
        """
        fds: list[int] = []
        own: list[int] = []  # those of the names themselves, where the holder is written down
        try:
            for name in names:
                own.append(self._take(name, fds))
            text = json.dumps(dict(holder)).encode()
            for fd in own:
                os.pwrite(fd, text.ljust(os.fstat(fd).st_size), 0)  # blanks over the last holder: faster than a cut
        except BaseException:
            DeviceLease((), tuple(fds)).close()
            raise
        return DeviceLease(tuple(names), tuple(fds))

    def _take(self, name: str, fds: list[int]) -> int:
        """Lock one device or slot; put every descriptor that holds it into `fds`, and return the one of its own file."""
        own = self._open(name)
        fds.append(own)
        self._lock(own, name)
        if name != whole(name):
            fds.append(self._open(whole(name)))
            self._lock(fds[-1], name, shared=True)
        elif slots := self._slots_in_use(name):
            raise DeviceBusy(_busy(name, self._read(slots[0])))
        if why := self._withheld(name):
            raise DeviceBusy(f"The device {name} is not lent: {why}. It is tried again when that is over.")
        return own

    def holder(self, name: str) -> Holder:
        """Say who took a device last; only while it is busy does it hold it still."""
        return self._read(self._locked(name) or name)

    def _read(self, name: str) -> Holder:
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _locked(self, name: str) -> str:
        """Name what is locked so that this device cannot be taken: itself, the whole of it, or a slot; or nothing."""
        if not self._is_free(name):
            return name
        if name != whole(name):
            return "" if self._is_free(whole(name)) else whole(name)
        return next(iter(self._slots_in_use(name)), "")

    def _slots_in_use(self, name: str) -> list[str]:
        inside = [other for other in os.listdir(self.folder) if other.startswith(f"{name}.")]
        return [slot for slot in inside if not self._is_free(slot)]

    def _is_free(self, name: str) -> bool:
        fd = self._open(name)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who list at once do not see each other
            return True
        except OSError:
            return False
        finally:
            os.close(fd)

    def _lock(self, fd: int, name: str, *, shared: bool = False) -> None:
        for left in reversed(range(TRIES)):
            try:
                return fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                if left:
                    time.sleep(PAUSE_S)
        raise DeviceBusy(_busy(name, self._read(whole(name)) if shared else self.holder(name)))

    def _open(self, name: str) -> int:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
            raise ValueError(f"{name!r} is no name of a device; expected letters, digits, '-', '_', such as 'cpu-0'.")
        self._prepare()
        path, flags = str(self.folder / name), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            # Not created if it is there: in a shared folder the kernel refuses O_CREAT on another user's file.
            fd = os.open(path, flags)
        except FileNotFoundError:
            fd = os.open(path, flags | os.O_CREAT, 0o666)
            try:
                os.fchmod(fd, 0o666)  # the umask must not shut out other users
            except PermissionError:
                pass  # another user made it in this instant
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FilesystemUnfit(
                f"{path} is not a plain file; expected a lock file. Remove it, or set SECONDSHIFT_HOST_DIR."
            )
        return fd

    def _prepare(self) -> None:
        if self.folder.is_dir():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o1777)
        except OSError as problem:
            raise FilesystemUnfit(
                f"The folder of device locks {self.folder} cannot be made ({problem}); expected a folder that can be "
                "written. Name one that all users of this host share in SECONDSHIFT_HOST_DIR."
            ) from problem


def _busy(name: str, who: Holder) -> str:
    return (
        f"The device {name} is held by {who.get('attempt', 'another trial')} (pid {who.get('pid', 'unknown')}); "
        "expected it to be free. It is tried again when the device is free."
    )

"""The lease: one engine acts at a time, and one that was taken over can act no more."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from secondshift.errors import LeaseHeld

How = Literal["first", "released", "expired", "dead"]
STANDSTILL_S = 15.0  # a beat counter that stands still for so long belongs to nobody


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """One process on one host, told apart from all that had or will have its number."""

    host: str
    pid: int
    start_ticks: int = 0  # of the process, in clock ticks since boot
    boot_id: str = ""

    @property
    def name(self) -> str:
        """Name it for people: host:pid."""
        return f"{self.host}:{self.pid}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Who may write, as it stands in the ledger."""

    token: int  # fencing token, from 1; grows with each taking
    holder: Holder
    beat: int = 0  # a counter; there is no time in a lease, because clocks differ and jump
    released: bool = False
    how: How = "first"  # how it was taken


@dataclass(slots=True)
class LeaseWatch:
    """Tells when a holder has stood still for long enough, by the watcher's own clock.

    Time counts only while the watcher looks: a gap between two looks counts as at most a third of the standstill,
    so a watcher that was itself suspended together with the holder takes nothing over on waking up.
    """

    standstill_s: float = STANDSTILL_S
    _seen: tuple[int, int] | None = None
    _looked_at: float = 0.0
    _still_s: float = field(default=0.0)

    def observe(self, lease: Lease | None, monotonic_now: float) -> bool:
        """Look at the lease now (monotonic seconds); True if its beat has stood still for long enough."""
        if lease is None or lease.released:
            self._seen = None
            return False
        if self._seen != (lease.token, lease.beat):
            self._seen, self._still_s = (lease.token, lease.beat), 0.0
        else:
            self._still_s += min(max(monotonic_now - self._looked_at, 0.0), self.standstill_s / 3)
        self._looked_at = monotonic_now
        return self._still_s >= self.standstill_s

    @property
    def still_s(self) -> float:
        """Seconds of standstill seen so far."""
        return self._still_s


def claim(current: Lease | None, *, how_dead: Callable[[Lease], bool], stale: Lease | None) -> How:
    """Say by which right the lease may be taken now.

    `stale` is the lease as a LeaseWatch saw it stand still; if it has beaten since, it is not stale.
    Raises LeaseHeld if somebody holds it.
    """
    if current is None:
        return "first"
    if current.released:
        return "released"
    if stale is not None and (stale.token, stale.beat) == (current.token, current.beat):
        return "expired"
    if how_dead(current):
        return "dead"
    raise LeaseHeld(
        f"The engine {current.holder.name} is working on this study (lease {current.token}). Watch it with "
        "`secondshift status`, or stop it with `secondshift stop`. If it hangs, it is taken over once its beat has "
        f"stood still for {STANDSTILL_S:.0f} s."
    )


def read_fence(folder: Path) -> int:
    """Return the highest fencing token ever taken in this folder; 0 if none was.

    What cannot be read as a number counts as 0: the ledger's own token still guards every write.
    """
    try:
        return int((folder / "fence").read_text())
    except (OSError, ValueError):
        return 0


def write_fence(folder: Path, token: int) -> None:
    """Write the fence, which supervisors compare with an order's token before they obey; never lowers it.

    Durable when it returns. The caller makes sure that no two takers are here at once. Raises OSError.
    """
    if read_fence(folder) >= token:
        return
    draft = folder / f"fence.{os.getpid()}.tmp"
    with draft.open("w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / "fence")
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable: a rename survives loss of power only once its folder is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Clocks: the wall's and the machine's, and one that only moves when it is told to."""

import time
from typing import Protocol

from secondshift.runtime.executors.processes import boot_s


class Clock(Protocol):
    """Where a shell gets the time from; policies get it as a field of the state."""

    def wall(self) -> float:
        """Return UTC seconds since 1970. It may jump; use it for people, never for durations."""
        ...

    def boot(self) -> float:
        """Return seconds since the machine booted, time asleep included. Never goes back within one boot."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; at once for zero and less."""
        ...


class HostClock:
    """The clock of this machine."""

    def wall(self) -> float:
        """Return UTC seconds since 1970."""
        return time.time()

    def boot(self) -> float:
        """Return seconds since boot, time asleep included (CLOCK_BOOTTIME, where the system has it)."""
        return boot_s()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; at once for zero and less."""
        if seconds > 0:
            time.sleep(seconds)


class SimulatedClock:
    """A clock that stands still until someone sleeps on it or sets it: a night passes in milliseconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._wall = self._boot = start

    def wall(self) -> float:
        """Return simulated UTC seconds."""
        return self._wall

    def boot(self) -> float:
        """Return simulated seconds since boot; not moved by `jump`."""
        return self._boot

    def sleep(self, seconds: float) -> None:
        """Advance both times; never backwards."""
        self._wall += max(0.0, seconds)
        self._boot += max(0.0, seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a bad time server does; durations are not touched."""
        self._wall += seconds

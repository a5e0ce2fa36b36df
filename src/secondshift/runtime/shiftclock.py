"""The study clock: UTC that counts on from the shift's start and never follows a jump of the wall clock."""

from secondshift.records.events import ShiftAnchored
from secondshift.records.states import State
from secondshift.runtime.clocks import Clock

JUMP_S = 5.0  # a difference between wall clock and study clock worth recording


class ShiftClock:
    """Time of a study: the shift's start plus seconds since boot (suspend included), and never backwards.

    The wall clock is read when a shift starts and after a reboot, and nowhere else.
    """

    def __init__(self, clock: Clock, boot_id: str) -> None:
        self._clock = clock
        self.boot_id = boot_id
        self._seen_jump_s = 0.0
        self._newest = 0.0

    def now(self, state: State) -> float:
        """UTC seconds of the study clock."""
        shift = state.shift
        if shift is None or shift.boot_id != self.boot_id:
            now = self._clock.wall()
        else:
            now = shift.started_at + (self._clock.boot() - shift.anchor_boot_s)
        self._newest = max(now, self._newest, state.last_at)
        return self._newest

    def check(self, state: State) -> ShiftAnchored | None:
        """A fact when the machine was rebooted under the shift, or when the wall clock jumped either way."""
        shift = state.shift
        if shift is None:
            return None
        if shift.boot_id != self.boot_id:
            passed = max(self._clock.wall(), state.last_at) - shift.started_at
            return ShiftAnchored(boot_id=self.boot_id, anchor_boot_s=self._clock.boot() - passed)
        jump = self._clock.wall() - self.now(state)
        if abs(jump - self._seen_jump_s) <= JUMP_S:
            return None
        self._seen_jump_s = jump
        return ShiftAnchored(boot_id=shift.boot_id, anchor_boot_s=shift.anchor_boot_s, jump_s=jump)

    def boot(self) -> float:
        """Seconds since boot, suspend included; only differences mean anything."""
        return self._clock.boot()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._clock.sleep(seconds)

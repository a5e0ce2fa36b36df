"""What the loop may ask of an executor: devices, submit, poll, cancel, collect; nothing else."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from secondshift.records.orders import Chunk, Order, Sign
from secondshift.records.trials import Attempt, Checkpoint

COLLECT_LIMIT = 4 * 1024 * 1024  # bytes of fragments read at a time
Mode = Literal["pause", "stop", "kill"]


class Executor(Protocol):
    """Starts attempts, says how they go, ends them. It holds no policy, and no state that a crash could lose."""

    def devices(self) -> tuple[str, ...]:
        """List the devices that are free right now."""
        ...

    def held(self) -> Mapping[str, str]:
        """Name the devices that others hold right now, trials of other studies, each with words on who holds it."""
        ...

    def submit(self, order: Order) -> None:
        """Start an attempt; for one that was started already, extend its grant_s and until_step.

        Idempotent by `order.attempt`. Raises DeviceBusy (nothing was started) and LeaseLost (the token is stale).
        """
        ...

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Say which of these attempts have started (while their status is `ordered`) and which have ended.

        An attempt that was ordered but never claimed, or whose supervisor died, ends with cause `lost`, after whatever
        of it still lived was ended.
        """
        ...

    def cancel(self, attempt: str, *, mode: Mode, token: int, grace_s: float) -> None:
        """Ask an attempt to pause or stop within `grace_s` seconds, or kill it. Idempotent; harmless when it has ended.

        Raises LeaseLost if the token is stale.
        """
        ...

    def collect(self, attempt: Attempt, *, limit: int = COLLECT_LIMIT) -> list[Chunk]:
        """Return the points and notes after `attempt.offsets`, reading at most about `limit` bytes. Changes nothing."""
        ...

    def close(self) -> None:
        """Let go of what this object holds; attempts go on."""
        ...


@runtime_checkable
class Watchful(Protocol):
    """What an executor offers besides if it can see what befalls its devices."""

    def troubles(self) -> Mapping[str, str]:
        """Say what is the matter now: subject -> finding, both for people and for an incident.

        `yield:host`: a person wants the machine back; `yield:<device>`: somebody else computes on a device of ours, and
        trials there should leave; `memory:<device>`: it is held back, because its memory is not free again.
        """
        ...


@runtime_checkable
class Listening(Protocol):
    """What an executor offers besides if it can tell at once, and for next to nothing, that a script still logs."""

    def written(self, attempt: str) -> Mapping[str, int]:
        """Give the bytes of each stream that the script itself writes its points to, by the stream's name."""
        ...


@runtime_checkable
class Bequeathing(Protocol):
    """What an executor offers besides if one trial can begin from a copy of another's checkpoint."""

    def bequeath(self, saved: Checkpoint, heir: str) -> Checkpoint:
        """Copy a checkpoint of a trial that does not run to one that has not begun; return the verified copy.

        Idempotent. Raises runtime.inheriting.Uninheritable where it is gone or is not what was recorded.
        """
        ...


@runtime_checkable
class Seeing(Executor, Protocol):
    """An executor that can say where the numbers of an attempt are, whatever its study asks for."""

    def seen(self, attempt: str, written: Sequence[str] = ()) -> Mapping[str, Mapping[str, int]]:
        """Give source -> metric -> points. `written`: files that it wrote, relative to where it ran; looked into as well."""
        ...

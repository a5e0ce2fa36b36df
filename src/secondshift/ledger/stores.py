"""The contract of a ledger: append facts, read them since; everything else is a fold over that."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from secondshift.ledger.curves import Series
from secondshift.ledger.leases import Holder, Lease
from secondshift.records.events import Event, Payload
from secondshift.records.orders import Batch


class Ledger(Protocol):
    """Where facts are kept. Any number of processes read; one, which holds the lease, writes.

    A store of your own passes `secondshift.testing.ledger_conformance.LedgerConformance`.
    """

    def append(
        self, payloads: Sequence[Payload], *, at: float, token: int, batches: Sequence[Batch] = ()
    ) -> list[Event]:
        """Record facts and points in one transaction, all or none, and return the facts as they now stand.

        at: UTC seconds of the study clock. token: of the lease the writer holds; a call that records something also
        counts as a beat. Points need at least one fact with them. On return all of it survives a crash.
        Raises LeaseLost if `token` is not the current lease's, LedgerFull, LedgerBusy, ValueError (points without a
        fact, or a batch with more steps than values) and TypeError (not a payload); nothing is recorded then.
        """
        ...

    def read(
        self,
        after: int = 0,
        *,
        until: int | None = None,
        kinds: Sequence[str] | None = None,
        subject: str | None = None,
    ) -> Iterator[Event]:
        """Yield facts with after < seq <= until, in order; `until` is the newest at the time of the call if None.

        kinds: only these. subject: only facts about this trial (or candidate, shift, policy).
        Raises ValueError for a kind that does not exist, LedgerDamaged, LedgerNewer.
        """
        ...

    def series(self, trial: str, metric: str, *, points: int | None = None, raw: bool = False) -> Series:
        """Return the curve of a metric: one value per step, sorted by step, the last written wins; empty if unknown.

        points: thinned to at most so many (at least 4) of its own points, keeping lows, highs and NaN. raw: every
        point ever logged, in the order of writing (not thinned).
        Raises ValueError for `raw` together with `points`, or fewer than 4 points.
        """
        ...

    def metrics(self, trial: str) -> list[str]:
        """Name the metrics a trial has points of, sorted."""
        ...

    def batches(self, trial: str = "") -> Iterator[Batch]:
        """Yield all points ever recorded, batch by batch in the order of writing: what MetricsLogged.crc was made of.

        trial: only those of this one; empty: all.

        Empty batches were not kept. Raises LedgerDamaged.
        """
        ...

    def last_seq(self) -> int:
        """Return the number of the newest fact; 0 if there is none."""
        ...

    def digest(self) -> str:
        """Chain all facts into one digest (codec.chain), beginning at the newest `tick.decided` and what it says."""
        ...

    def lease(self) -> Lease | None:
        """Return who holds or last held the lease; None if nobody ever did."""
        ...

    def take_lease(self, holder: Holder, *, how_dead: Callable[[Lease], bool], stale: Lease | None = None) -> Lease:
        """Take the lease with a token higher than any before, if it is free, released, stale, or its holder is dead.

        how_dead: says whether the holder of this lease is provably gone. stale: the lease as a LeaseWatch saw it
        stand still; it does not count if it has beaten since. Raises LeaseHeld.
        """
        ...

    def beat(self, token: int) -> None:
        """Show that the holder lives. Raises LeaseLost if the token is not the current lease's."""
        ...

    def release(self, token: int) -> None:
        """Give the lease back on leaving; does nothing if it is not ours any more."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the lease is not released."""
        ...

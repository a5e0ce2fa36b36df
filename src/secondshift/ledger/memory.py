"""The ledger's in-memory twin: the same contract without a disk, for tests, simulations and the curious."""

import threading
from collections.abc import Callable, Iterator, Sequence

from secondshift.errors import LeaseLost
from secondshift.ledger import batches as packing
from secondshift.ledger import codec
from secondshift.ledger.curves import Curve, Series, check_series, decimated
from secondshift.ledger.leases import Holder, Lease, claim
from secondshift.ledger.subjects import subject_of
from secondshift.records.events import VERSION, Event, Payload
from secondshift.records.orders import Batch


class MemoryLedger:
    """A Ledger (see stores.py) that is gone with its process; several engines may share it as they share a file."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._subjects: list[str] = []
        self._rows: dict[tuple[str, str], list[packing.PackedBatch]] = {}
        self._order: list[packing.PackedBatch] = []  # as they were written
        self._curves: dict[tuple[str, str], Curve] = {}  # last_row counts the rows that are in it
        self._lease: Lease | None = None
        self._chained = (0, "")
        self._lock = threading.RLock()

    def append(
        self, payloads: Sequence[Payload], *, at: float, token: int, batches: Sequence[Batch] = ()
    ) -> list[Event]:
        """Record facts and points, all or none; see Ledger.append."""
        # Encoded and decoded again, so that what this twin hands out is what a file would.
        encoded = [codec.encode(payload) for payload in payloads]
        rows = packing.pack(batches)
        if rows and not payloads:
            raise ValueError(
                f"{len(rows)} batches of points came without a fact. Expected a MetricsLogged with them, so that "
                "offsets and points are recorded together; nothing was recorded."
            )
        if not payloads:
            return []
        decoded = [codec.decode(kind, VERSION, text) for kind, text in encoded]
        with self._lock:
            self.beat(token)
            first = len(self._events) + 1
            events = [
                Event(seq=seq, at=at, token=token, kind=kind, payload=payload)
                for seq, ((kind, _), payload) in enumerate(zip(encoded, decoded, strict=True), first)
            ]
            self._events += events
            self._subjects += [subject_of(payload) for payload in decoded]
            self._order += rows
            for row in rows:
                self._rows.setdefault((row.trial, row.metric), []).append(row)
        return events

    def read(
        self,
        after: int = 0,
        *,
        until: int | None = None,
        kinds: Sequence[str] | None = None,
        subject: str | None = None,
    ) -> Iterator[Event]:
        """Yield facts since `after`; see Ledger.read."""
        codec.check_kinds(kinds)
        after = max(after, 0)
        newest = len(self._events) if until is None else max(until, 0)
        wanted = None if kinds is None else frozenset(kinds)
        return (
            event
            for event, about in zip(self._events[after:newest], self._subjects[after:newest], strict=True)
            if (wanted is None or event.kind in wanted) and (subject is None or about == subject)
        )

    def series(self, trial: str, metric: str, *, points: int | None = None, raw: bool = False) -> Series:
        """Return a curve; see Ledger.series."""
        check_series(points, raw)
        key = (trial, packing.clean(metric))
        with self._lock:
            curve, rows = self._curves.get(key, Curve()), self._rows.get(key, [])
            if len(rows) > curve.last_row:
                curve = self._curves[key] = curve.extended(len(rows), packing.unpack(rows[curve.last_row :]))
        if raw:
            return curve.raw
        return curve.merged if points is None else decimated(curve.merged, points)

    def batches(self, trial: str = "") -> Iterator[Batch]:
        """Yield all points ever recorded; see Ledger.batches."""
        return map(packing.unpacked, [row for row in self._order if trial in ("", row.trial)])

    def metrics(self, trial: str) -> list[str]:
        """Name a trial's metrics; see Ledger.metrics."""
        return sorted(metric for about, metric in self._rows if about == trial)

    def last_seq(self) -> int:
        """Return the number of the newest fact; see Ledger.last_seq."""
        return len(self._events)

    def digest(self) -> str:
        """Chain all facts into one digest; see Ledger.digest."""
        with self._lock:
            seq, chained = self._chained
            self._chained = (len(self._events), codec.continued(chained, self._events[seq:]))
            return self._chained[1]

    def lease(self) -> Lease | None:
        """Return who holds or last held the lease; see Ledger.lease."""
        return self._lease

    def take_lease(self, holder: Holder, *, how_dead: Callable[[Lease], bool], stale: Lease | None = None) -> Lease:
        """Take the lease; see Ledger.take_lease."""
        with self._lock:
            how = claim(self._lease, how_dead=how_dead, stale=stale)
            self._lease = Lease(token=self._lease.token + 1 if self._lease else 1, holder=holder, how=how)
            return self._lease

    def beat(self, token: int) -> None:
        """Show that the holder lives; see Ledger.beat."""
        with self._lock:
            lease = self._lease
            if lease is None or lease.released or lease.token != token:
                held = lease.token if lease and not lease.released else "nobody's"
                raise LeaseLost(
                    f"Lease {token} is not valid any more; the current one is {held}. Nothing was recorded."
                )
            self._lease = Lease(token=token, holder=lease.holder, beat=lease.beat + 1, how=lease.how)

    def release(self, token: int) -> None:
        """Give the lease back; see Ledger.release."""
        with self._lock:
            lease = self._lease
            if lease is not None and lease.token == token:
                self._lease = Lease(token=token, holder=lease.holder, beat=lease.beat, released=True, how=lease.how)

    def close(self) -> None:
        """Do nothing: several engines may share this ledger, and only its process can end it."""

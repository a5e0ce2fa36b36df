"""The ledger in a SQL database, through SQLAlchemy Core: nothing here knows which database it is."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, TextClause, select
from sqlalchemy.exc import IntegrityError

from secondshift.errors import LeaseHeld, LeaseLost
from secondshift.ledger import batches as packing
from secondshift.ledger import codec, statements
from secondshift.ledger.curves import CurveCache, Series, check_series, decimated
from secondshift.ledger.leases import Holder, Lease, claim
from secondshift.ledger.schema import EVENTS
from secondshift.ledger.subjects import subject_of
from secondshift.records.events import VERSION, Event, Payload
from secondshift.records.orders import Batch

_FIELDS = ("trial", "attempt", "metric", "n", "first_step", "last_step", "body")
_PAGE = 2000  # facts fetched at a time; between pages no lock or cursor is held


class SqlLedger:
    """A Ledger (see stores.py) over two engines: one for reading, one whose transactions write.

    A subclass says how to open them, and what the database's own errors mean (`explained`).
    """

    def __init__(self, *, name: str, reading: Engine, writing: Engine | None) -> None:
        self.name = name  # for messages
        self._reading = reading
        self._writing = writing
        self._lock = threading.RLock()  # one transaction at a time, also between threads
        self._curves = CurveCache()
        self._chained: tuple[int, str] | None = None  # digest up to a fact, once somebody asked

    # -- what a subclass fills in

    def explained(self) -> AbstractContextManager[None]:
        """Turn the database's errors into ours, within a with-block."""
        raise NotImplementedError

    def lowest_token(self) -> int:
        """Return a token that the next lease must pass, known from outside the database."""
        return 0

    def taken(self, lease: Lease) -> None:
        """Tell the outside about a new token; runs in a transaction in which the lease is known to be current."""

    # -- facts

    def append(
        self, payloads: Sequence[Payload], *, at: float, token: int, batches: Sequence[Batch] = ()
    ) -> list[Event]:
        """Record facts and points in one transaction; see Ledger.append."""
        encoded = [codec.encode(payload) for payload in payloads]
        rows = packing.pack(batches)
        if not payloads:
            if rows:
                raise ValueError(
                    f"{len(rows)} batches of points came without a fact. Expected a MetricsLogged with them, so that "
                    "offsets and points are recorded together; nothing was recorded."
                )
            return []
        events: list[Event] = []
        with self._transaction() as connection:
            self._beat(connection, token)
            last = connection.execute(statements.LAST_SEQ).scalar_one()
            lines = []
            for seq, (given, (kind, text)) in enumerate(zip(payloads, encoded, strict=True), last + 1):
                # The fact is handed back as a reader will see it, so that a live night and its replay agree.
                payload = codec.decode(kind, VERSION, text)
                events.append(Event(seq=seq, at=at, token=token, kind=kind, payload=payload, text=text))
                lines.append((seq, at, token, kind, VERSION, subject_of(given), text))
            _insert(connection, statements.ADD_EVENT, lines)
            if rows:
                _insert(connection, statements.ADD_BATCH, [_line(row, events[-1].seq) for row in rows])
        if self._chained and self._chained[0] == last:
            self._chained = (events[-1].seq, codec.continued(self._chained[1], events))
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
        return self._pages(after, self.last_seq() if until is None else until, kinds, subject)

    def _pages(self, after: int, until: int, kinds: Sequence[str] | None, subject: str | None) -> Iterator[Event]:
        columns = EVENTS.c
        query = select(columns.seq, columns.at, columns.token, columns.kind, columns.version, columns.payload)
        if kinds is not None:
            query = query.where(columns.kind.in_(list(kinds)))
        if subject is not None:
            query = query.where(columns.subject == subject)
        query = query.order_by(columns.seq).limit(_PAGE)
        while after < until:
            with self._looking() as connection:
                page = connection.execute(query.where(columns.seq > after, columns.seq <= until)).all()
            for seq, at, token, kind, version, text in page:
                payload = codec.decode(kind, version, text, seq=seq)
                yield Event(seq=seq, at=at, token=token, kind=kind, payload=payload, text=text)
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def last_seq(self) -> int:
        """Return the number of the newest fact; see Ledger.last_seq."""
        with self._looking() as connection:
            return connection.execute(statements.LAST_SEQ).scalar_one()

    def digest(self) -> str:
        """Chain all facts into one digest; see Ledger.digest."""
        with self._lock:
            if self._chained is None:
                with self._looking() as connection:
                    tick = connection.execute(statements.LAST_TICK).scalar_one()
                self._chained = (max(tick - 1, 0), "")
            seq, chained = self._chained
            for event in self.read(seq):
                seq, chained = event.seq, codec.continued(chained, (event,))
            self._chained = (seq, chained)
            return chained

    # -- curves

    def series(self, trial: str, metric: str, *, points: int | None = None, raw: bool = False) -> Series:
        """Return a curve; see Ledger.series."""
        check_series(points, raw)
        metric = packing.clean(metric)
        curve = self._curves.get(trial, metric)
        with self._looking() as connection:
            rows = connection.execute(
                statements.CURVE_SINCE, {"trial": trial, "metric": metric, "after": curve.last_row}
            ).all()
        if rows:
            curve = curve.extended(rows[-1].id, packing.unpack(cast("Sequence[packing.StoredBatch]", rows)))
            self._curves.put(trial, metric, curve)
        if raw:
            return curve.raw
        return curve.merged if points is None else decimated(curve.merged, points)

    def batches(self, trial: str = "") -> Iterator[Batch]:
        """Yield all points ever recorded; see Ledger.batches."""
        after, page = 0, _PAGE
        while page == _PAGE:
            with self._looking() as connection:
                wanted = {"after": after, "page": _PAGE, **({"trial": trial} if trial else {})}
                statement = statements.BATCHES_OF if trial else statements.BATCHES_SINCE
                rows = connection.execute(statement, wanted).all()
            for row in rows:
                yield packing.unpacked(packing.PackedBatch(**{name: getattr(row, name) for name in _FIELDS}))
            page, after = len(rows), rows[-1].id if rows else after

    def metrics(self, trial: str) -> list[str]:
        """Name a trial's metrics; see Ledger.metrics."""
        with self._looking() as connection:
            return sorted(connection.execute(statements.METRICS, {"trial": trial}).scalars())

    # -- the lease

    def lease(self) -> Lease | None:
        """Return who holds or last held the lease; see Ledger.lease."""
        with self._looking() as connection:
            return _lease(connection)

    def take_lease(self, holder: Holder, *, how_dead: Callable[[Lease], bool], stale: Lease | None = None) -> Lease:
        """Take the lease; see Ledger.take_lease."""
        with self._transaction() as connection:
            current = _lease(connection)
            how = claim(current, how_dead=how_dead, stale=stale)
            token = max(current.token if current else 0, self.lowest_token()) + 1
            lease = Lease(token=token, holder=holder, how=how)
            _store(connection, current, lease)
        with self._transaction() as connection:
            # In a transaction of its own: nobody else can take the lease while the fence is being raised to our token.
            self._beat(connection, token)
            self.taken(lease)
        return lease

    def beat(self, token: int) -> None:
        """Show that the holder lives; see Ledger.beat."""
        with self._transaction() as connection:
            self._beat(connection, token)

    def release(self, token: int) -> None:
        """Give the lease back; see Ledger.release."""
        with self._transaction() as connection:
            connection.execute(statements.RELEASE, {"token": token, "released": True})

    def close(self) -> None:
        """Let go of all connections."""
        self._reading.dispose()
        if self._writing is not None:
            self._writing.dispose()

    def _beat(self, connection: Connection, token: int) -> None:
        if connection.execute(statements.BEAT, {"token": token}).rowcount == 1:
            return
        current = _lease(connection)
        found = (
            "nobody holds it" if current is None or current.released else f"{current.holder.name} holds {current.token}"
        )
        raise LeaseLost(
            f"Lease {token} of {self.name} is not valid any more: {found}. This engine stops acting; what it had "
            "recorded stays, and nothing of this call was recorded."
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._writing is None:
            raise PermissionError(f"{self.name} was opened for reading only. Open it without readonly=True to write.")
        with self._lock, self.explained(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        with self.explained(), self._reading.connect() as connection:
            yield connection


def _line(row: packing.PackedBatch, seq: int) -> tuple[Any, ...]:
    return (seq, row.trial, row.attempt, row.metric, row.n, row.first_step, row.last_step, row.body)


def _insert(connection: Connection, statement: TextClause, lines: list[tuple[Any, ...]]) -> None:
    """Insert many rows, each in the order of the statement's parameters.

    Handed to the driver as they are: SQLAlchemy's own way costs 6 us a row, which a tick of 1,000 trials would feel.
    """
    text, names = _driver_text(statement, connection.dialect)
    if names is None:
        connection.exec_driver_sql(text, lines)
    else:
        connection.exec_driver_sql(text, [dict(zip(names, line, strict=True)) for line in lines])


@cache
def _driver_text(statement: TextClause, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    """Write a statement as a driver takes it, and name its parameters; None where the driver goes by their order.

    Done once: compiling takes longer than inserting the few rows of a quiet tick.
    """
    compiled = statement.compile(dialect=dialect)
    return str(compiled), None if compiled.positional else tuple(compiled.params)


def _lease(connection: Connection) -> Lease | None:
    row = connection.execute(statements.LEASE).one_or_none()
    if row is None:
        return None
    holder = Holder(host=row.host, pid=row.pid, start_ticks=row.start_ticks, boot_id=row.boot_id)
    return Lease(token=row.token, holder=holder, beat=row.beat, released=bool(row.released), how=row.how)


def _store(connection: Connection, current: Lease | None, lease: Lease) -> None:
    holder = lease.holder
    values = dict(
        token=lease.token,
        host=holder.host,
        pid=holder.pid,
        start_ticks=holder.start_ticks,
        boot_id=holder.boot_id,
        released=False,
        how=lease.how,
    )
    try:
        if current is None:
            connection.execute(statements.FIRST_LEASE, values)
            return
        swap = values | {"old_token": current.token, "old_beat": current.beat}
        if connection.execute(statements.SWAP_LEASE, swap).rowcount == 1:
            return
    except IntegrityError:
        pass  # two were first; the other one was faster
    raise LeaseHeld("Another engine took the lease at the same moment. Watch it with `secondshift status`.")

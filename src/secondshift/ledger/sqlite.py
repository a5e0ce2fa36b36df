"""The ledger in one SQLite file: the default, beside the study."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from secondshift.errors import FolderReadOnly, LedgerBusy, LedgerFull, StudyMissing
from secondshift.ledger import sqlite_dialect
from secondshift.ledger.ballast import SMALL, Ballast
from secondshift.ledger.leases import Lease, read_fence, sync_folder, write_fence
from secondshift.ledger.migrating import migrate
from secondshift.ledger.probe import probe
from secondshift.ledger.soundness import examine, missing_file
from secondshift.ledger.sql import SqlLedger
from secondshift.records.events import Event, Payload
from secondshift.records.orders import Batch

FILE = "ledger.db"


class SqliteLedger(SqlLedger):
    """A Ledger (see stores.py) in the file `ledger.db` of a study's private folder.

    One process writes (the lease's holder), any number read. Beside the file lie `ballast` and `fence`.
    """

    def __init__(self, folder: Path, *, readonly: bool = False, busy_s: float = 5.0) -> None:
        """Open the ledger of a folder; make it if there is none.

        busy_s: how long to wait for another program's lock before LedgerBusy. readonly: changes and makes nothing.
        Raises LedgerDamaged, LedgerNewer, LedgerBusy, FilesystemUnfit, FolderReadOnly, LedgerFull, StudyMissing.
        """
        self.folder = folder
        self.path = folder / FILE
        self.ballast = Ballast(folder / "ballast")
        writing = None
        if readonly:
            _look(self.path, busy_s=busy_s)
        else:
            writing = self._prepared(busy_s)
            self.ballast.restore()
        reading = sqlite_dialect.reading_engine(self.path, busy_s=busy_s)
        super().__init__(name=str(self.path), reading=reading, writing=writing)

    def _prepared(self, busy_s: float) -> Engine:
        spent = self.ballast.spent
        try:
            with self.explained():
                return _prepare(self.path, busy_s=busy_s)
        except LedgerFull:
            self.ballast.release()
            if spent:
                raise
        with self.explained():
            return _prepare(self.path, busy_s=busy_s)

    def append(
        self, payloads: Sequence[Payload], *, at: float, token: int, batches: Sequence[Batch] = ()
    ) -> list[Event]:
        """Record facts and points in one transaction; see Ledger.append.

        On a full disk the ballast is given up and LedgerFull raised: a small append (the incident) fits then, a large
        one is refused until there is room again.
        """
        if self.ballast.spent and not self.ballast.restore() and _weight(payloads, batches) > SMALL:
            raise LedgerFull()
        return super().append(payloads, at=at, token=token, batches=batches)

    def durability(self) -> dict[str, str | int]:
        """Ask the live writing connection for its journal mode, synchronous level and busy timeout (ms)."""
        if self._writing is None:
            return {}
        with self._lock:
            return sqlite_dialect.durability(self._writing)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn SQLite's errors into ours; on a full disk give the ballast up first."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            meaning = sqlite_dialect.explain(error, self.path)
            if meaning is None:
                raise
            if isinstance(meaning, LedgerFull):
                self.ballast.release()
            raise meaning from error

    def lowest_token(self) -> int:
        """Return the folder's fence: a ledger that was begun anew still goes on counting tokens."""
        return read_fence(self.folder)

    def taken(self, lease: Lease) -> None:
        """Raise the folder's fence, durable before any act of the new holder."""
        try:
            write_fence(self.folder, lease.token)
        except OSError as error:
            # The disk may be full; one block of the ballast is enough for a second try.
            if not self.ballast.release():
                raise LedgerFull(
                    f"{self.folder}/fence cannot be written: {error.strerror}. Free some space."
                ) from error
            write_fence(self.folder, lease.token)


def _look(path: Path, *, busy_s: float) -> None:
    if missing_file(path, read_fence(path.parent)):
        raise StudyMissing(f"There is no ledger at {path}: nothing has run here yet. Start with `secondshift run`.")
    if examine(path, busy_s=busy_s, thorough=False):
        raise StudyMissing(
            f"{path} was made by an older secondshift, or its first start was cut off. Run `secondshift run` once."
        )


def _prepare(path: Path, *, busy_s: float) -> Engine:
    """Make or check the file, bring its tables up to date, and return the writing engine."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderReadOnly(
            f"{path.parent} cannot be made: {error.strerror}. Make the study's folder writable."
        ) from error
    if missing_file(path, read_fence(path.parent)):
        probe(path.parent)
        with _alone(path.parent, busy_s):
            _make(path, busy_s=busy_s)
    build = examine(path, busy_s=busy_s, thorough=True)
    engine = sqlite_dialect.writing_engine(path, busy_s=busy_s)
    try:
        # Takes the write lock once, so that a folder that cannot be written or stays locked is told now, not at night.
        with engine.begin() as connection:
            if build:
                migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make(path: Path, *, busy_s: float) -> None:
    """Make a ledger under another name and rename it, so that there is a whole one or none, whenever we are killed."""
    if not missing_file(path, read_fence(path.parent)):
        return  # somebody else was faster
    draft = path.with_name(f"{path.name}.new")
    for left in path.parent.glob(f"{draft.name}*"):
        left.unlink()
    draft.touch()
    engine = sqlite_dialect.writing_engine(draft, busy_s=busy_s)
    try:
        with engine.begin() as connection:
            migrate(connection)
    finally:
        engine.dispose()  # folds the log into the file
    draft.replace(path)
    sync_folder(path.parent)


@contextmanager
def _alone(folder: Path, patience_s: float) -> Iterator[None]:
    """Hold the folder for ourselves. Raises LedgerBusy if somebody else holds it for too long."""
    handle = os.open(folder, os.O_RDONLY)
    deadline = time.monotonic() + patience_s
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LedgerBusy(
                        f"Another process has been making the ledger in {folder} for {patience_s:.0f} s. "
                        "Run the command again; if that repeats, end the other process."
                    ) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _weight(payloads: Sequence[Payload], batches: Sequence[Batch]) -> int:
    """Guess how many bytes an append will take."""
    return 512 * len(payloads) + sum(128 + 16 * len(batch.steps) for batch in batches)

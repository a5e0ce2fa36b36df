"""ALL that only SQLite can do: opening files, pragmas, its error codes. Nothing of this leaks into sql.py."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from secondshift.errors import FilesystemUnfit, FolderReadOnly, LedgerBusy, LedgerDamaged, LedgerFull, SecondshiftError

MAGIC = b"SQLite format 3\0"
# What a live writing connection must answer; FULL syncs the log at every commit, so that loss of power loses nothing.
DURABLE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 0}

# A quota, a file-size limit, and a full disk on which not even the log's index can be made, have codes of their own.
_NO_ROOM = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


def connect(path: Path, *, mode: str, busy_s: float, vfs: str = "") -> sqlite3.Connection:
    """Open a database file; mode is ro, rw or rwc (may create). busy_s: how long to wait for somebody's lock."""
    uri = f"file:{quote(str(path))}?mode={mode}" + (f"&vfs={vfs}" if vfs else "")
    # Transactions are begun explicitly (isolation_level None); threads are kept apart by SqlLedger.
    return sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)


def reading_engine(path: Path, *, busy_s: float) -> Engine:
    """Make an engine whose connections cannot write, and see each statement's newest committed facts."""
    return create_engine(
        "sqlite://",
        creator=lambda: connect(path, mode="ro", busy_s=busy_s),
        poolclass=QueuePool,
        isolation_level="AUTOCOMMIT",
    )


def writing_engine(path: Path, *, busy_s: float) -> Engine:
    """Make an engine with one durable connection, whose transactions lock out other writers from their begin."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect(path, mode="rw", busy_s=busy_s),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
    )

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("pragma journal_mode = wal")
        cursor.execute("pragma synchronous = full")
        cursor.close()

    # IMMEDIATE: a transaction that reads first and writes later would otherwise fail in the middle when two meet.
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("begin immediate"))
    return engine


def durability(engine: Engine) -> dict[str, str | int]:
    """Ask the live writing connection how it keeps what it acknowledges."""
    with engine.connect() as connection:
        names = ("journal_mode", "synchronous", "busy_timeout")
        return {name: connection.exec_driver_sql(f"pragma {name}").scalar_one() for name in names}


def explain(error: DBAPIError | sqlite3.Error, path: Path) -> SecondshiftError | None:
    """Say in a sentence what SQLite's error means for the ledger; None if it is a mistake of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    found = f"{path}: SQLite says {str(cause)!r}."
    if code is None:
        return None
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(
            f"{found} Another program holds the ledger locked. Close what holds it (a database browser?) "
            "and run the command again; nothing was changed."
        )
    if code & 0xFF == sqlite3.SQLITE_FULL or code in _NO_ROOM:
        return LedgerFull(
            f"{found} The disk (or your quota) is full and the ledger cannot grow. Free some space; "
            "what was recorded is safe, and the shift goes on from there."
        )
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, f"SQLite says {str(cause)!r}")
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return LedgerBusy(
            f"{found} Another program was ended while it changed the ledger, and left {path.name}-journal behind. Open "
            "the file once with that program (or `sqlite3`), which takes the change back, and run the command again."
        )
    if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return FolderReadOnly(
            f"{found} The study's folder cannot be written (or the file in it not be opened). "
            "Make it writable, or copy the study to a folder that is; nothing was changed."
        )
    if code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL):
        return FilesystemUnfit(
            f"{found} The disk or its filesystem failed under the ledger. Look at the system's log; put the study on "
            "a sound local disk, or name one with --ledger. What was acknowledged before stays recorded."
        )
    return None


def damaged(path: Path, finding: str) -> LedgerDamaged:
    """Say that a file is no sound ledger."""
    return LedgerDamaged(
        f"{path} is damaged or not a ledger: {finding}. Restore it from a copy, or move it away (with its -wal) "
        "to begin anew; nothing was changed."
    )

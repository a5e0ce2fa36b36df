"""A look at a ledger file before anything is opened for writing, so that a damaged one is refused untouched."""

import sqlite3
from contextlib import closing
from pathlib import Path

from secondshift.errors import FolderReadOnly, LedgerNewer
from secondshift.ledger import sqlite_dialect
from secondshift.ledger.migrating import judge
from secondshift.ledger.schema import METADATA, REVISION_TABLE
from secondshift.ledger.sqlite_dialect import MAGIC, damaged
from secondshift.records.events import VERSION

_HEADER = 100  # bytes at the begin of every SQLite file


def examine(path: Path, *, busy_s: float, thorough: bool) -> bool:
    """Look at a ledger file through a connection that cannot write; say whether its tables must be built or upgraded.

    thorough: read every page if a write-ahead log was left behind, that is, after a crash.
    Raises LedgerDamaged, LedgerNewer, LedgerBusy or FolderReadOnly; the file stays as it is.
    """
    log = path.with_name(path.name + "-wal")
    crashed = log.exists() and log.stat().st_size > 0
    try:
        _examine_file(path, crashed)
        # A connection that could write would fold the log into the file on closing, and destroy evidence.
        with closing(sqlite_dialect.connect(path, mode="ro", busy_s=busy_s)) as connection:
            if thorough and crashed:
                finding = connection.execute("pragma quick_check(1)").fetchone()[0]
                if finding != "ok":
                    raise damaged(path, finding)
            return _examine_tables(path, connection)
    except PermissionError as error:
        raise FolderReadOnly(
            f"{path} cannot be read: {error.strerror}. Make it readable for you; nothing was changed."
        ) from error
    except sqlite3.Error as error:
        raise sqlite_dialect.explain(error, path) or damaged(path, str(error)) from error


def _examine_file(path: Path, crashed: bool) -> None:
    if not path.is_file():
        raise damaged(path, "it is a folder or a device, not a file")
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(MAGIC):
        raise damaged(path, f"its {size} bytes do not begin as a SQLite file does")
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    expected = page * int.from_bytes(header[28:32], "big")
    # With a log left behind the missing pages may be in there; quick_check will tell.
    if size < expected and not crashed:
        raise damaged(path, f"it has {size} bytes where its header promises {expected}; it was cut short")


def _examine_tables(path: Path, connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    if not tables:
        return True  # a crash in the first second: the file was made, its tables were not
    if REVISION_TABLE not in tables:
        raise damaged(
            path, f"it is a SQLite database with the tables {', '.join(sorted(tables)[:5])}, but not a ledger"
        )
    row = connection.execute(f"select version_num from {REVISION_TABLE}").fetchone()
    old = judge(row[0] if row else None, str(path))
    missing = set(METADATA.tables) - tables
    if missing and not old:
        raise damaged(path, f"the tables {', '.join(sorted(missing))} are missing")
    newest = connection.execute("select seq, version from events order by seq desc limit 1").fetchone()
    if newest and newest[1] > VERSION:
        raise LedgerNewer(
            f"{path} holds facts of version {newest[1]}; this secondshift knows versions up to {VERSION}. "
            "Upgrade secondshift, or use another study folder; nothing was changed."
        )
    return old


def missing_file(path: Path, fence: int) -> bool:
    """Say whether there is no ledger yet, so that one may be made.

    Raises LedgerDamaged if there is none but traces of one: an empty file where a lease was taken, or a log alone.
    """
    log = path.with_name(path.name + "-wal")
    left = log.stat().st_size if log.exists() else 0
    if path.exists() and path.stat().st_size > 0:
        return False
    if left:
        raise damaged(
            path, f"the file is {'empty' if path.exists() else 'gone'}, but {log.name} holds {left} bytes of facts"
        )
    if path.exists() and fence:
        raise damaged(path, f"the file is empty, but lease {fence} was taken in this folder")
    return True

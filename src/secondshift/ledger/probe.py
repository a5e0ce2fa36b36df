"""A probe that really writes: does locking work in this folder, and does SQLite's write-ahead log?"""

import errno
import os
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from secondshift.errors import FilesystemUnfit, FolderReadOnly, LedgerFull
from secondshift.ledger.sqlite_dialect import connect, explain

# Between processes of one host these may pass every test, and still lose writes between two hosts.
NETWORK_FILESYSTEMS = frozenset(
    "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs ncpfs afs lustre gpfs beegfs ceph glusterfs orangefs pvfs2 ocfs2 gfs2 coda "
    "fuse.sshfs fuse.glusterfs fuse.ceph fuse.s3fs fuse.rclone fuse.gcsfuse fuse.goofys fuse.davfs davfs".split()
)
_ROOM = "probe-"  # what the probe's folders are called
_PATIENCE_S = 20.0  # for the second process; a lock daemon that hangs is unfit too

# Runs in a second process, because locks taken through one process never collide with themselves.
_SECOND = """
import sqlite3, sys
from urllib.parse import quote
path, vfs = sys.argv[1:3]
uri = f"file:{quote(path)}?mode=rw" + (f"&vfs={vfs}" if vfs else "")
for ask in sys.stdin:
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    try:
        if ask.strip() == "lock":
            connection.execute("begin immediate")
            connection.execute("insert into probe values (2)")
            connection.execute("commit")
            print("it got the lock too", flush=True)
        else:
            print(",".join(str(row[0]) for row in connection.execute("select n from probe order by n")), flush=True)
    except sqlite3.OperationalError as error:
        print("busy" if error.sqlite_errorcode & 0xFF in (5, 6) else f"it failed, {error}", flush=True)
    connection.close()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where the probe works."""

    folder: Path  # of the study, to be named in messages
    file: Path  # a database of the probe's own
    second: "subprocess.Popen[str]"  # another process that tries what we do
    vfs: str = ""  # SQLite's way to the file system; another than the default only in tests


Step = Callable[[Site], None]


def probe(folder: Path, *, vfs: str = "", steps: "Sequence[Step] | None" = None) -> None:
    """Write, lock and log in a folder of the study's filesystem as the ledger will, and clean up.

    Raises FolderReadOnly if nothing can be written there, LedgerFull if there is no room, FilesystemUnfit with the cure
    if locks or the log do not work. Takes about 0.1 s, most of it for the second process.
    """
    try:
        _sweep(folder)
        room = tempfile.TemporaryDirectory(prefix=_ROOM, dir=folder)
    except OSError as error:
        raise _full(folder, error) or _read_only(folder, error) from error
    with room as name:
        file = Path(name) / "probe.db"
        command = [sys.executable, "-I", "-S", "-c", _SECOND, str(file), vfs]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, stderr=subprocess.DEVNULL
        ) as second:
            try:
                site = Site(folder=folder, file=file, second=second, vfs=vfs)
                for step in STEPS if steps is None else steps:
                    step(site)
            except (OSError, sqlite3.Error) as error:
                raise _full(folder, error) or _unfit(folder, f"{type(error).__name__}: {error}") from error
            finally:
                second.kill()


def _sweep(folder: Path) -> None:
    """Remove what probes that were killed left behind; an hour is more than any probe at work needs."""
    for left in folder.glob(f"{_ROOM}*"):
        if left.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(left, ignore_errors=True)


def known_network(site: Site) -> None:
    """Refuse filesystems that are shared between hosts, by their name."""
    kind = filesystem_of(site.folder)
    if kind in NETWORK_FILESYSTEMS:
        raise _unfit(
            site.folder, f"it is a network filesystem ({kind}), where two hosts would not see each other's locks"
        )


def renames(site: Site) -> None:
    """Try what requests, fences and orders are written with: create, sync, rename over, read back."""
    draft, final = site.file.with_suffix(".tmp"), site.file.with_suffix(".txt")
    for text in ("one", "two"):
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(final)
    if final.read_text() != "two":
        raise _unfit(site.folder, "a file renamed over another one did not replace it")


def locks(site: Site) -> None:
    """Hold a write lock and see a second process bounce off it."""
    with closing(connect(site.file, mode="rwc", busy_s=1.0, vfs=site.vfs)) as connection:
        connection.execute("create table probe (n integer)")
        connection.execute("begin immediate")
        connection.execute("insert into probe values (1)")
        answer = _second(site, "lock")
        connection.execute("commit")
    if answer != "busy":
        raise _unfit(site.folder, f"a lock held by one process did not stop another one ({answer})")


def logs_ahead(site: Site) -> None:
    """Switch the write-ahead log on, and see that a second process is locked out and reads what was committed."""
    with closing(connect(site.file, mode="rw", busy_s=1.0, vfs=site.vfs)) as connection:
        mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
        if mode != "wal":
            raise _unfit(site.folder, f"SQLite's write-ahead log could not be switched on (it stays {mode!r})")
        connection.execute("pragma synchronous = full")
        connection.execute("begin immediate")
        connection.execute("insert into probe values (3)")
        answer = _second(site, "lock")
        connection.execute("commit")
        if answer != "busy":
            raise _unfit(site.folder, f"with a write-ahead log, a lock did not stop another process ({answer})")
        answer = _second(site, "read")
    if answer != "1,3":
        raise _unfit(site.folder, f"another process did not read what was committed to the write-ahead log ({answer})")


STEPS: tuple[Step, ...] = (known_network, renames, locks, logs_ahead)


def filesystem_of(folder: Path) -> str:
    """Name the type of the filesystem a folder lies on, as the kernel calls it; empty where that is not told."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = str(folder.resolve())
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _second(site: Site, ask: str) -> str:
    """Have the second process try something, and return what came of it."""
    asking, answering = site.second.stdin, site.second.stdout
    if asking is None or answering is None:
        raise OSError("the second process has no pipes")
    asking.write(ask + "\n")
    if not select.select([answering], [], [], _PATIENCE_S)[0]:
        raise TimeoutError(f"a second process waited {_PATIENCE_S:.0f} s for a lock")
    return answering.readline().strip()


def _unfit(folder: Path, finding: str) -> FilesystemUnfit:
    return FilesystemUnfit(
        f"A ledger cannot be kept in {folder}: {finding}. Expected locks and a write-ahead log that work. "
        "Put the study on a local disk, or name a folder on one with --ledger; nothing was changed."
    )


def _full(folder: Path, error: OSError | sqlite3.Error) -> LedgerFull | None:
    """Say that the disk is full, if it is only that: it will have room again, and is fit for a ledger all the same."""
    meaning = explain(error, folder) if isinstance(error, sqlite3.Error) else None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LedgerFull(f"Nothing can be written in {folder}: {error.strerror}. Free some space; nothing was changed.")
    return meaning if isinstance(meaning, LedgerFull) else None


def _read_only(folder: Path, error: OSError) -> FolderReadOnly:
    return FolderReadOnly(
        f"Nothing can be written in {folder}: {error.strerror}. Make it writable, or copy the study elsewhere."
    )

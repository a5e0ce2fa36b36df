"""A private folder for runs that are tried, gone when the trying is over, and those that a killed doctor left."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secondshift.errors import FolderReadOnly
from secondshift.runtime import hosts
from secondshift.runtime.executors.remains import sweep

ROOM = "doctor"
OWNER = "owner.json"


@contextmanager
def scratch(place: Path, *, keep: bool = False) -> Iterator[Path]:
    """Give an empty folder below `place/.secondshift`; it is removed afterwards unless `keep`. Raises FolderReadOnly."""
    private = place / ".secondshift"
    ours = not private.exists()
    room = private / ROOM
    _remove_orphans(room)
    folder = room / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        (folder / OWNER).write_text(json.dumps([hosts.own_pid(), hosts.own_start_ticks(), hosts.boot_id()]))
    except OSError as error:
        raise FolderReadOnly(
            f"{folder} cannot be made ({error.strerror}). The script is tried there, with checkpoints of its own. Make "
            f"{place} writable, or copy the study to a folder that is; nothing was started."
        ) from error
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
            for empty in (room, *((private,) if ours else ())):
                try:
                    empty.rmdir()
                except OSError:
                    pass  # something of others is in it


def _remove_orphans(room: Path) -> None:
    """End and remove what doctors left that were killed."""
    for owner in room.glob(f"*/{OWNER}"):
        try:
            pid, ticks, boot = json.loads(owner.read_text())
        except (OSError, ValueError, TypeError):
            continue
        if not hosts.alive(pid, ticks, boot):
            sweep(owner.parent)
            shutil.rmtree(owner.parent, ignore_errors=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that what it started is ended with it."""

    def leave(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

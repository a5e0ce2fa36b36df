"""What a keeper leaves on disk: a note that says how it goes, and a lock that says it is the only one."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from secondshift.runtime import hosts


@dataclass(frozen=True, kw_only=True, slots=True)
class KeeperNote:
    """What `keeper.json` says: who keeps this study's engine alive, and how that goes."""

    state: str  # keeping, restarting, finished, stopped, refused, gave up, left
    pid: int
    start_ticks: int
    boot_id: str
    since: float  # UTC seconds
    engine: int = 0  # pid
    engine_start_ticks: int = 0
    restarts: int = 0
    last_crash: str = ""  # a sentence; empty if there was none
    last_crash_at: float = 0.0  # UTC seconds
    message: str = ""  # what a person should know now

    def alive(self) -> bool:
        """Say whether the keeper that wrote this still lives."""
        return hosts.alive(self.pid, self.start_ticks, self.boot_id)

    def engine_alive(self) -> bool:
        """Say whether the engine it started last still lives."""
        return hosts.alive(self.engine, self.engine_start_ticks, self.boot_id)


def read_note(folder: str | os.PathLike[str]) -> KeeperNote | None:
    """Return what the newest keeper of a study says of itself; None if there was none or its file is damaged."""
    try:
        note = KeeperNote(**json.loads((Path(folder) / "keeper.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    numbers = (note.pid, note.start_ticks, note.engine, note.engine_start_ticks, note.restarts)
    return note if all(isinstance(number, int) for number in numbers) else None


def write_note(folder: str | os.PathLike[str], note: KeeperNote) -> None:
    """Put a note in place of the one before, whole or not at all. Raises OSError."""
    draft = Path(folder) / "keeper.json.tmp"
    draft.write_text(json.dumps(asdict(note), indent=1) + "\n")
    os.replace(draft, Path(folder) / "keeper.json")


@contextmanager
def sole_keeper(folder: str | os.PathLike[str]) -> Iterator[bool]:
    """Say whether we are the only keeper of this study, for the length of the block. Raises OSError.

    The system lets go of the lock when its holder dies, however it dies; the file itself stays.
    """
    with open(Path(folder) / "keeper.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True

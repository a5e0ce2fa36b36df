"""A mebibyte held back, so that on a full disk there is still room to write down that the disk is full."""

import os
from pathlib import Path

SIZE = 1 << 20  # bytes
SMALL = 1 << 16  # bytes of facts that may still be recorded while the ballast is spent and the disk is full


class Ballast:
    """A file of real blocks that is given up when the disk is full, and made again when there is room."""

    def __init__(self, path: Path, *, size: int = SIZE) -> None:
        self.path = path
        self.size = size

    @property
    def spent(self) -> bool:
        """Say whether it had to be given up, or could not be made."""
        try:
            return self.path.stat().st_size < self.size
        except OSError:
            return True

    def release(self) -> bool:
        """Give its blocks back to the disk; True if there were any."""
        had = not self.spent
        self.path.unlink(missing_ok=True)
        return had

    def restore(self) -> bool:
        """Make it if it is missing and the disk has room for it twice; True if it is there now."""
        if not self.spent:
            return True
        try:
            room = os.statvfs(self.path.parent)
            if room.f_bavail * room.f_frsize < 2 * self.size:
                return False
            draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
            try:
                _fill(draft, self.size)
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError:
            return False  # no room after all, or a quota: it stays spent, and is tried again
        return True


def _fill(path: Path, size: int) -> None:
    # Random bytes: filesystems that compress or leave out zeros would give no blocks back.
    with path.open("wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())

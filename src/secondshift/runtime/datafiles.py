"""Large data by path and hash: each file is read once, and again only when its size or its time has changed."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CAP_BYTES = 64 << 30  # a larger file is known by its size and its time alone
AT_ONCE_BYTES = 64 << 20  # what is still hashed while the engine works; more would keep it from its trials
PIECE_BYTES = 4 << 20
TELL_S = 2.0  # between two words about the progress
Told = Callable[[str], None]


class DataFiles:
    """The data files of a study.

    cache: where their hashes are kept; paths: absolute, or relative to where the command runs.
    """

    def __init__(self, cache: Path, paths: Sequence[str]) -> None:
        self.cache, self.paths = cache, tuple(paths)
        self._known = _read(cache) if paths else {}

    def hash_all(self, folder: Path, *, tell: Told | None = None) -> None:
        """Hash what is not known yet, with a word about the progress each 2 s; may take minutes. Never raises."""
        for path in self.paths:
            self._digest(folder / path, most=CAP_BYTES, tell=tell or _say)

    def marks(self, folder: Path) -> dict[str, str]:
        """Say what each file holds: `data.<path>` -> sha256 (16 digits), or why it was not hashed. Never raises."""
        return {f"data.{path}": self._digest(folder / path, most=AT_ONCE_BYTES) for path in self.paths}

    def _digest(self, path: Path, *, most: int, tell: Told | None = None) -> str:
        try:
            stat = os.stat(path)
            key, stamp = str(path.absolute()), [stat.st_size, stat.st_mtime_ns]
            known = self._known.get(key)
            if known and known[:2] == stamp:
                return str(known[2])
            if not path.is_file():
                return "not a plain file"
            if stat.st_size > most:
                return f"not hashed: {stat.st_size} bytes of {stat.st_mtime_ns}"
            digest = _hashed(path, stat.st_size, tell)
            after = os.stat(path)
            if [after.st_size, after.st_mtime_ns] != stamp:
                return "changed while it was read"
        except OSError as problem:
            return f"cannot be read: {problem.strerror}"
        self._known[key] = [*stamp, digest]
        self._keep()
        return digest

    def _keep(self) -> None:
        """Save what is known. Only a cache: losing it costs time."""
        draft = self.cache.with_name(f"{self.cache.name}.{os.getpid()}")
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._known), encoding="utf-8")
            draft.replace(self.cache)
        except OSError:
            pass


def _hashed(path: Path, size: int, tell: Told | None) -> str:
    total, done, told = hashlib.sha256(), 0, time.monotonic()
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            total.update(piece)
            done += len(piece)
            if tell and time.monotonic() - told >= TELL_S:
                told = time.monotonic()
                tell(f"hashing {path}: {done / max(1, size):.0%} of {size / 1e9:.1f} GB")
    return total.hexdigest()[:16]


def _read(cache: Path) -> dict[str, list]:
    try:
        found = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole: Mapping = found if isinstance(found, dict) else {}
    return {str(k): v for k, v in whole.items() if isinstance(v, list) and len(v) == 3}


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody listens

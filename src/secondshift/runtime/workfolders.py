"""Which files of a working folder changed while something ran there."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

MOST_ENTRIES = 20_000
SKIPPED = frozenset((".git", "__pycache__", ".secondshift", "node_modules", "site-packages", ".venv", "venv"))

Footprint = Mapping[str, tuple[int, int, int]]  # path relative to the folder -> when it changed (ns), size, inode


def footprint(folder: Path) -> Footprint:
    """Look at all files below a folder but those of version control, environments and caches; links are left out."""
    found: dict[str, tuple[int, int, int]] = {}
    for number, entry in enumerate(_entries(str(folder))):
        if number >= MOST_ENTRIES:
            break
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        found[os.path.relpath(entry.path, folder)] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def changed(before: Footprint, after: Footprint) -> tuple[str, ...]:
    """Name the files that are new or not as they were, sorted."""
    return tuple(sorted(path for path, mark in after.items() if before.get(path) != mark))


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """All files, breadth first, so that a huge folder far below hides none beside the script."""
    folders = [folder]
    while folders:
        deeper: list[str] = []
        for place in folders:
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except OSError:
                continue
            if place != folder and any(entry.name == "pyvenv.cfg" for entry in entries):
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED:
                        deeper.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry
        folders = deeper

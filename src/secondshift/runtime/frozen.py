"""A copy of an artefact that a gate works on: what was measured is what is released, whatever becomes of the trial's folder."""

import errno
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from secondshift.records.studies import Study
from secondshift.records.trials import Checkpoint, Trial
from secondshift.runtime.artefacts import taken
from secondshift.runtime.executors.attempt_files import sync_folder, write_atomic

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # says nothing of an artefact: the engine waits for space


def freeze(private: Path, trial: Trial, saved: Sequence[Checkpoint], study: Study, place: Path) -> None:
    """Copy what a trial left to `place`, with its digest beside it; a copy that is still what its note says stays.

    Raises artefacts.Unfit where there is nothing that could be measured, OSError.
    """
    note = place.with_name(f"{place.name}.json")
    if place.is_dir() and as_noted(place):
        return
    draft = place.with_name(f"{place.name}.part")
    artefact = taken(private, trial, saved, study, draft)
    sync_all(draft)
    shutil.rmtree(place, ignore_errors=True)
    os.rename(draft, place)
    sync_folder(str(place.parent))
    write_atomic(str(note), json.dumps({"digest": artefact.digest, "mark": mark_of(place)}).encode(), sync=True)


def as_noted(place: Path) -> bool:
    """Say whether a copy is still what its note says."""
    try:
        return bool(json.loads(place.with_name(f"{place.name}.json").read_bytes())["mark"] == mark_of(place))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def sync_all(folder: Path) -> None:
    """Make every file below a folder durable, with the names of them all. Raises OSError."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            if not (Path(root) / name).is_symlink():
                sync_folder(os.path.join(root, name))
        sync_folder(root)


def mark_of(folder: Path) -> list[list[object]]:
    """Paths, sizes and times of all files: while these stay the same, so does the content."""
    found: list[list[object]] = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            status = path.lstat()
            found.append([path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns, status.st_ino])
    return sorted(found, key=lambda one: str(one[0]))

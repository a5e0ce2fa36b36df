"""A copy of an artefact that a gate works on: what was measured is what is released, whatever becomes of the trial's folder."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from secondshift.records.trials import Checkpoint, Trial
from secondshift.runtime.artefacts import taken
from secondshift.runtime.executors.attempt_files import write_atomic


def freeze(private: Path, trial: Trial, saved: Sequence[Checkpoint], horizon: int, place: Path) -> None:
    """Copy what a trial left to `place`, with its digest beside it; a whole copy that is there already stays.

    Raises artefacts.Unfit where there is nothing that could be measured, OSError.
    """
    note = place.with_name(f"{place.name}.json")
    if note.exists() and place.is_dir():
        return
    draft = place.with_name(f"{place.name}.part")
    artefact = taken(private, trial, saved, horizon, draft)
    shutil.rmtree(place, ignore_errors=True)
    os.rename(draft, place)
    write_atomic(str(note), json.dumps({"digest": artefact.digest, "mark": mark_of(place)}).encode(), sync=True)


def mark_of(folder: Path) -> list[list[object]]:
    """Paths, sizes and times of all files: while these stay the same, so does the content."""
    found: list[list[object]] = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            status = path.lstat()
            found.append([path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns, status.st_ino])
    return sorted(found, key=lambda one: str(one[0]))

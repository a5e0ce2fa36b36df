"""What a trial left for the evaluator: its newest whole checkpoint, else what it put out; copied, plain files only.

Of a trial that was ended at its best it is the checkpoint of its best: what came after is why it was ended."""

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.records.evaluations import Problem
from secondshift.records.studies import Study
from secondshift.records.trials import Checkpoint, Trial, best_saved
from secondshift.tracking import checkpoints

PIECE = 1 << 20  # bytes read at a time


class Unfit(Exception):
    """An artefact that cannot be judged."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem: Problem = problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """A copy that only our own process works on."""

    folder: Path
    digest: str  # over names and contents; the same for the same bytes


def taken(private: Path, trial: Trial, saved: Sequence[Checkpoint], study: Study, target: Path) -> Artefact:
    """Copy what a trial left to `target`. `saved`: its checkpoints as recorded when they were made.

    Raises Unfit where there is none, where it was altered since, or is of another seed or of more steps than the horizon.
    """
    place, manifest = _source(private, trial, saved, study)
    shutil.rmtree(target, ignore_errors=True)
    total = hashlib.sha256()
    for path, data in _plain_files(place):
        if str(path) == checkpoints.MANIFEST and manifest:
            continue  # ours: it names the trial, so it is another one for each
        total.update(f"\0{path}\0".encode("utf-8", "surrogateescape"))
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open(copy, "xb") as file:
            for piece in data():
                total.update(piece)
                file.write(piece)
    if not target.is_dir():
        raise Unfit("no artefact", f"{place} holds no file")
    return Artefact(folder=target, digest=total.hexdigest()[:32])


def _source(private: Path, trial: Trial, saved: Sequence[Checkpoint], study: Study) -> tuple[Path, bool]:
    """The folder that counts, and whether it is a checkpoint with our manifest."""
    root = private / "trials" / trial.id / "checkpoints"
    rejected: list[str] = []
    best = best_saved(saved, study.objective) if trial.early == "stopped" else None
    found = checkpoints.newest_verified(
        root, rejected=lambda step, why: rejected.append(f"step {step}: {why}"), only=best.step if best is not None else None
    )
    known = {one.step: one.digest for one in saved if not one.own()}
    if rejected or (known and found is None):
        raise Unfit("altered", "; ".join(rejected) or f"checkpoint of step {max(known)} is gone")
    if found is not None:
        folder, manifest = found
        step, seed = int(manifest.get("step", -1)), manifest.get("seed")
        if step > study.horizon_steps:
            raise Unfit("past the horizon", f"it is of {step} steps, the horizon is {study.horizon_steps}")
        if seed != trial.seed:
            raise Unfit("another seed", f"it was made with seed {seed}, the trial has {trial.seed}")
        if step in known and known[step] != hashlib.sha256((folder / checkpoints.MANIFEST).read_bytes()).hexdigest():
            raise Unfit("altered", f"checkpoint of step {step} is not what was recorded when it was saved")
        return folder, True
    out = private / "attempts" / f"{trial.id}.a{trial.attempts}" / "out"
    for place in (root, out):
        if place.is_dir() and any(place.iterdir()):
            return place, False
    raise Unfit("no artefact", f"there is no checkpoint, and {out.name} is empty")


def _plain_files(place: Path) -> Iterator[tuple[Path, Callable[[], Iterator[bytes]]]]:
    """Every file below a folder, in a fixed order. Raises Unfit for links and whatever else is not a plain file."""
    for above in (place, *place.parents[:2]):
        if above.is_symlink():
            raise Unfit("link", f"{above.name} is a symbolic link to {os.readlink(above)}")
    for folder, folders, files in os.walk(place):
        folders.sort()
        for name in sorted((*files, *folders)):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                where = f" to {os.readlink(path)}" if stat.S_ISLNK(mode) else ""
                raise Unfit("link", f"{path.relative_to(place)} is no plain file but a link{where}, or something special")
            if path.stat().st_nlink > 1:
                raise Unfit("link", f"{path.relative_to(place)} is a second name of a file that lies elsewhere too")
            yield path.relative_to(place), lambda path=path: _pieces(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        while piece := file.read(PIECE):
            yield piece

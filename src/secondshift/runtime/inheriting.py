"""Giving a trial that has not begun the checkpoint of another: copied beside its place, verified, synced, renamed into it.

Whoever copies is killed at any moment. What lies in a trial's checkpoint folder is whole, because one rename puts it there;
what a killed copier left beside it is thrown away and copied again. Copies, and no hard links: a script may write into its
own checkpoints.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.trials import OWN, Checkpoint
from secondshift.runtime.executors.protocol import Bequeathing, Executor
from secondshift.runtime.ownsaves import newest
from secondshift.tracking import checkpoints

COPYING = ".inheriting"  # beside the checkpoint folder: a copy that is not whole yet
PIECE = 1 << 20  # bytes copied at a time


class Uninheritable(Exception):
    """A checkpoint that cannot be given on: it is gone, or is not what was recorded when it was saved."""


def bequeath(state: State, executor: Executor) -> list[facts.Payload]:
    """Give each trial that waits for one the checkpoint that it begins from; close those that cannot have it.

    Doing it twice is doing it once. Raises OSError where the disk is full: it is done again once there is space.
    """
    out: list[facts.Payload] = []
    for heir in state.heirs():
        wanted = heir.inherits
        saved = next((c for c in state.checkpoints.get(wanted.trial, ()) if c.step == wanted.step), None)
        try:
            if saved is None or saved.digest != wanted.digest:
                raise Uninheritable("it is not there any more")
            if not isinstance(executor, Bequeathing):
                raise Uninheritable("this executor copies none")
            copy = executor.bequeath(saved, heir.id)
        except Uninheritable as problem:
            why = f"the checkpoint of {wanted.trial} at step {wanted.step} cannot be inherited: {problem}"
            out.append(facts.TrialClosed(trial=heir.id, status="stopped", reason=why, decision=""))
        else:
            out.append(facts.CheckpointInherited(checkpoint=copy, source=wanted.trial))
    return out


def copied(private: Path, saved: Checkpoint, heir: str) -> Checkpoint:
    """Copy a recorded checkpoint into the folder of a trial that has not begun; return the copy as it is to be recorded.

    private: the study's folder. Raises Uninheritable, OSError on a full disk.
    """
    home = private / "trials" / heir
    own, place, beside = saved.own(), home / "checkpoints", home / COPYING
    source = private / "trials" / saved.trial / "checkpoints"
    shutil.rmtree(beside, ignore_errors=True)
    if own:
        _check_own(source, saved)
        if not _same(source, place):
            _put(source, beside, beside, place)
        if not _same(source, place):
            raise Uninheritable("the copy is not like it")
        seen = newest(place)
        digest = f"{OWN}{seen.changed_ns if seen else 0}"
        return replace(saved, trial=heir, folder=f"trials/{heir}/checkpoints", digest=digest, attempt="")
    name = f"{checkpoints.STEP}{saved.step}"
    if _fault(place / name, saved):
        if fault := _fault(source / name, saved):
            raise Uninheritable(fault)
        _put(source / name, beside / name, beside, place)
        if fault := _fault(place / name, saved):
            raise Uninheritable(f"the copy is not like it: {fault}")
    return replace(saved, trial=heir, folder=f"trials/{heir}/checkpoints/{name}", attempt="")


def _fault(folder: Path, saved: Checkpoint) -> str:
    """Say what is wrong with a checkpoint of ours; empty if it is whole and the one that was recorded."""
    if not folder.is_dir():
        return "it is not there any more"
    manifest = checkpoints.verify(folder)
    if isinstance(manifest, str):
        return manifest
    found = hashlib.sha256((folder / checkpoints.MANIFEST).read_bytes()).hexdigest()
    return "" if found == saved.digest else "it is not what was recorded when it was saved"


def _check_own(source: Path, saved: Checkpoint) -> None:
    """A script's own folder is known by the time of its last change alone."""
    seen = newest(source)
    if seen is None:
        raise Uninheritable("it is not there any more")
    if f"{OWN}{seen.changed_ns}" != saved.digest:
        raise Uninheritable("the script's folder was changed since it was recorded")


def _put(source: Path, target: Path, beside: Path, place: Path) -> None:
    """Copy a folder, make it durable, and rename what stands beside into its place."""
    _copy(source, target)
    for folder, _, _ in os.walk(beside, topdown=False):
        _sync(Path(folder))
    shutil.rmtree(place, ignore_errors=True)  # of a trial that has not begun: nothing, or a copy that is not like it
    beside.rename(place)
    _sync(place.parent)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in _entries(source):
        goal = target / path.relative_to(source)
        if path.is_symlink():
            goal.symlink_to(os.readlink(path))
        elif path.is_dir():
            goal.mkdir(exist_ok=True)
        elif path.is_file():
            with path.open("rb") as old, goal.open("xb") as new:
                shutil.copyfileobj(old, new, PIECE)
                new.flush()
                os.fsync(new.fileno())
            shutil.copystat(path, goal)


def _same(one: Path, other: Path) -> bool:
    """Say whether two folders hold the same files with the same content."""
    return other.is_dir() and _contents(one) == _contents(other)


def _contents(folder: Path) -> str:
    total = hashlib.sha256()
    for path in _entries(folder):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        total.update(f"\0{kind} {path.relative_to(folder)}\0".encode("utf-8", "surrogateescape"))
        if kind == "link":
            total.update(os.readlink(path).encode("utf-8", "surrogateescape"))
        elif path.is_file():
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    total.update(piece)
    return total.hexdigest()


def _entries(folder: Path) -> Iterator[Path]:
    """All below a folder in a fixed order, folders before what is in them."""
    for at, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted((*folders, *files)):
            yield Path(at) / name


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Checkpoints on disk: written beside their place, synced, checksummed, renamed into place, verified before use.

`<root>/step-<n>/manifest.json` names every file with its size and sha256. Whoever writes is killed at any moment:
what lies in `step-<n>` is whole, or its checksums say that it is not and the one before it is used.
"""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from secondshift.tracking import retention

VERSION = 1
MANIFEST = "manifest.json"
STEP = "step-"
WRITING = ".writing-"  # a folder that a writer fills; left behind by a killed one
OLD = ".old-step-"  # a complete checkpoint that is just being replaced by one of the same step
CHUNK = 1 << 20  # bytes read at a time for a checksum


class ManifestTaken(Exception):
    """The script saved a file called manifest.json. That name is secondshift's own here; save it under another."""


def begin(root: Path, step: int, attempt: str) -> Path:
    """Make and return an empty folder beside the place of `step`'s checkpoint. Raises OSError."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{WRITING}{step}-{os.getpid()}-{time.monotonic_ns():x}-{attempt or 'none'}"
    folder.mkdir()
    return folder


def seal(
    folder: Path, *, step: int, attempt: str, trial: str, seed: int, objective: float | None = None
) -> tuple[str, int]:
    """Write the manifest of a filled folder and sync all of it; return the manifest's sha256 and the files' bytes.

    objective: its newest value when this was saved; None: there is none.
    Symbolic links and special files are left as they are and not checked later. Raises OSError and ManifestTaken.
    """
    if os.path.lexists(folder / MANIFEST):
        raise ManifestTaken(ManifestTaken.__doc__)
    files, folders = _walk(folder)
    listed = [{"path": name, "size": size, "sha256": digest} for name, size, digest in map(_synced(folder), files)]
    manifest = {"version": VERSION, "step": step, "attempt": attempt, "trial": trial, "seed": seed, "files": listed}
    if objective is not None and math.isfinite(objective):
        manifest["objective"] = objective
    data = json.dumps(manifest, indent=1).encode()
    with open(folder / MANIFEST, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    for name in folders:
        _sync_folder(folder / name)
    return sha256(data).hexdigest(), sum(entry["size"] for entry in listed)


def install(folder: Path, root: Path, step: int) -> Path:
    """Rename a sealed folder to its place and sync the parent. Raises OSError.

    A checkpoint of the same step is moved aside first and stays findable until it is replaced.
    """
    place = root / f"{STEP}{step}"
    old = None
    if os.path.lexists(place):
        old = root / f"{OLD}{step}-{os.getpid()}-{time.monotonic_ns():x}"
        os.rename(place, old)
    os.rename(folder, place)
    _sync_folder(root)
    if old is not None:
        remove(old)
    return place


def verify(folder: str | os.PathLike[str]) -> dict | str:
    """Return the manifest of a whole checkpoint, or a sentence that says what is wrong with it. Never raises."""
    try:
        return _verify(Path(folder))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        return f"{MANIFEST} could not be used: {type(problem).__name__}: {problem}"


def _verify(folder: Path) -> dict | str:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if manifest["version"] != VERSION:
        return f"{MANIFEST} is of version {manifest['version']}, expected {VERSION}"
    step = _step_of(folder.name)
    if step is not None and manifest["step"] != step:
        return f"{MANIFEST} says step {manifest['step']}, the folder says {step}"
    for entry in manifest["files"]:
        name = entry["path"]
        if os.path.isabs(name) or ".." in name.split("/"):
            return f"{name!r} points outside of the checkpoint"
        path = folder / name
        if not path.is_file() or path.is_symlink():
            return f"{name} is missing"
        if path.stat().st_size != entry["size"]:
            return f"{name} has {path.stat().st_size} bytes, expected {entry['size']}"
        if _digest(path) != entry["sha256"]:
            return f"{name} does not match its sha256"
    return manifest


def newest_verified(
    root: str | os.PathLike[str], *, rejected: Callable[[int, str], object] | None = None, seed: int | None = None,
    only: int | None = None,
) -> tuple[Path, dict] | None:
    """Return folder and manifest of the checkpoint with the highest step that is whole, or None. Never raises.

    Each one that had to be skipped is told to `rejected(step, reason)`; one of another `seed` is skipped too. `only`: those of
    this step alone.
    """
    for step, folder in found(root):
        if only is not None and step != only:
            continue
        manifest = verify(folder)
        if isinstance(manifest, dict) and seed is not None and manifest.get("seed") != seed:
            manifest = f"it was made with seed {manifest.get('seed')}, this trial has {seed}"
        if isinstance(manifest, dict):
            return folder, manifest
        if rejected is not None:
            rejected(step, manifest)
    return None


def found(root: str | os.PathLike[str]) -> list[tuple[int, Path]]:
    """Return step and folder of all checkpoints, whole or not, highest step first. Never raises."""
    pairs = []
    for name in _names(root):
        step = _step_of(name)
        if step is not None:
            pairs.append((step, not name.startswith("."), Path(root) / name))
    return [(step, folder) for step, _, folder in sorted(pairs, reverse=True)]


def prune(root: Path, keep: int, newest: int, bad: set[int], older: int = 0, goal: str = "") -> list[int]:
    """Remove checkpoints once that of step `newest` is durable; return the removed steps. Never raises.

    What stays: `newest` itself, the `keep` newest ones, and up to `older` ones before them as `retention` chooses;
    besides, with a goal ("min" or "max"), the one with the best objective. Those whose step is in `bad` go, and so do folders
    left by a replacement.
    """
    there = found(root)
    good = {step for step, folder in there if folder.name.startswith(STEP) and (step == newest or step not in bad)}
    chosen = retention.kept(good, keep, older)
    if newest not in chosen:  # the run went back: what it had reached before is the first to go
        chosen ^= {max(chosen), newest}
    if goal:
        chosen |= _best({step: folder for step, folder in there if step in good and step <= newest}, goal)
    gone = []
    for step, folder in there:
        if folder.name.startswith(OLD):
            remove(folder)
        elif step not in chosen:
            remove(folder)
            gone.append(step)
    return gone


def _best(folders: dict[int, Path], goal: str) -> set[int]:
    """Return the step whose manifest has the best objective, the earliest of equals; none where no manifest has one."""
    known = {step: value for step, folder in folders.items() if (value := _objective(folder)) is not None}
    sign = -1.0 if goal == "max" else 1.0
    return {min(known, key=lambda step: (sign * known[step], step))} if known else set()


def _objective(folder: Path) -> float | None:
    try:
        value = json.loads((folder / MANIFEST).read_bytes()).get("objective")
        return float(value) if value is not None else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def sweep(root: Path, attempt: str) -> None:
    """Remove folders that killed writers left behind. Never raises.

    A trial never runs twice at once, so those of other attempts are nobody's; of this attempt, those of dead processes.
    """
    for name in _names(root):
        if not name.startswith(WRITING):
            continue
        _, pid, _, owner = (*name[len(WRITING) :].split("-", 3), "", "", "", "")[:4]
        if owner != (attempt or "none") or not (pid.isdigit() and _lives(int(pid))):
            remove(root / name)


def remove(path: Path) -> None:
    """Remove a folder and all in it, the manifest first so that half of it is never taken for whole. Never raises."""
    for name in (MANIFEST, None):
        try:
            if name:
                os.unlink(path / name)
        except OSError:
            pass
    try:
        with os.scandir(path) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    remove(Path(entry.path))
                else:
                    os.unlink(entry.path)
        os.rmdir(path)
    except OSError:
        pass


def _step_of(name: str) -> int | None:
    for prefix in (STEP, OLD):
        digits = name[len(prefix) :].split("-")[0]
        if name.startswith(prefix) and digits.isdecimal() and digits.isascii():
            return int(digits)
    return None


def _names(root: str | os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(root)
    except OSError:
        return []


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """Return the regular files and the folders (deepest first, itself last) under `folder`, relative to it."""
    files, folders = [], []
    for at, _, names in os.walk(folder, topdown=False):
        folders.append(os.path.relpath(at, folder))
        for name in names:
            path = os.path.join(at, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                files.append(os.path.relpath(path, folder))
    return sorted(files), folders


def _synced(folder: Path) -> Callable[[str], tuple[str, int, str]]:
    def sync(name: str) -> tuple[str, int, str]:
        fd = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        return name, os.lstat(folder / name).st_size, _digest(folder / name)

    return sync


def _digest(path: Path) -> str:
    digest = sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

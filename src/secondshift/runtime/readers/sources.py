"""Finds the files that an attempt's numbers are read from, and gives each a name that outlives renaming."""

import ctypes
import glob
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from secondshift.records.studies import MetricsFrom

OUTPUT = "output.log"  # what the script prints, standard error included
OUT = "{out}"
MOST_FILES = 1000  # followed for one attempt
FOLLOWED = {  # where each source is looked for when the study names no path
    "csv": "{out}/**/*.csv",
    "jsonl": "{out}/**/*.jsonl",
    "tensorboard": "{out}/**/*tfevents*",
    "wandb": "{out}/**/*.wandb",
    "mlflow": "{out}/**/*",
}
ENVIRONMENT = {  # what sends a library's files there, unless the study's [launch] env says otherwise
    "wandb": {"WANDB_MODE": "offline", "WANDB_DIR": "{out}"},
    "mlflow": {"MLFLOW_TRACKING_URI": "file:{out}/mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"},
}
_HEAD = 256  # bytes by which a text file is known again
_STATX_BTIME, _AT_FDCWD = 0x800, -100


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """One file that is read on."""

    path: str  # absolute
    name: str  # under which its offset is committed


def environment_of(metrics: MetricsFrom, given: Mapping[str, str], out: str) -> dict[str, str]:
    """Return the script's variables: those of the study with "{out}" filled in, and those its source needs."""
    wanted = {**ENVIRONMENT.get(metrics.source, {}), **given}
    return {name: value.replace(OUT, out) for name, value in wanted.items()}


def followed_files(
    folder: str, cwd: str, metrics: MetricsFrom, offsets: Mapping[str, int], *, ended: bool
) -> Iterator[Followed]:
    """Give the files of an attempt, those renamed since the last reading first.

    Files outside the attempt's own `out` must have been made after the attempt was ordered: what was there before holds
    another's numbers. Text files are known by inode and first line, so that a rotated one is read to its end.
    """
    pattern = metrics.path or FOLLOWED.get(metrics.source, "")
    if not pattern:
        return
    own = pattern.startswith(OUT)
    root = os.path.join(folder, "out") if own else cwd
    pattern = pattern.removeprefix(OUT).lstrip("/") or "**/*"
    text = metrics.source not in ("tensorboard", "wandb", "mlflow")
    ordered = 0.0 if own else _mtime(os.path.join(folder, "order.json"))
    paths = []
    for found in glob.iglob(pattern, root_dir=root, recursive=True, include_hidden=True):
        path = os.path.join(root, found)
        if _plain_file(path) and (own or _made_after(path, ordered)):
            paths.append((path, found))
        if len(paths) >= MOST_FILES:
            break
    paths.sort()
    if not text:
        yield from (Followed(path=path, name=found) for path, found in paths)
        return
    known = {name.rpartition("@")[2]: name for name in offsets if "@" in name}
    now = {mark: (path, found) for path, found in paths if (mark := _mark(path, ended))}
    for mark, name in known.items():
        if mark not in now and (moved := _moved(os.path.join(root, name.rpartition("@")[0]), mark)):
            yield Followed(path=moved, name=name)
    for mark, (path, found) in now.items():
        yield Followed(path=path, name=known.get(mark, f"{found}@{mark}"))


def _mark(path: str, ended: bool) -> str:
    """Return by what a text file is known again: inode and checksum of the first line; empty while that is cut."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            inode = os.fstat(file.fileno()).st_ino
    except OSError:
        return ""
    line = head.partition(b"\n")[0] if b"\n" in head else head if ended or len(head) == _HEAD else b""
    return f"{inode:x}-{crc32(line):08x}" if line or b"\n" in head else ""


def _moved(path: str, mark: str) -> str:
    """Return where a rotated file lies now: beside its old place, under a name that begins alike."""
    folder, base = os.path.split(path)
    try:
        names = [name for name in os.listdir(folder) if name.startswith(os.path.splitext(base)[0])]
    except OSError:
        return ""
    return next((p for name in sorted(names) if _mark(p := os.path.join(folder, name), True) == mark), "")


def _plain_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _mtime(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _made_after(path: str, at: float) -> bool:
    """Say whether a file was made after a moment (UTC seconds); by its last change where the filesystem cannot tell."""
    return (_made_at(path) or _mtime(path)) >= at


def _made_at(path: str) -> float:
    """Return when a file was made, by statx(2), which Python does not offer; 0 where that is not known."""
    buffer = ctypes.create_string_buffer(256)
    try:
        if ctypes.CDLL(None).statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer) != 0:
            return 0.0
    except (AttributeError, OSError):
        return 0.0
    if not int.from_bytes(buffer.raw[:4], "little") & _STATX_BTIME:
        return 0.0
    seconds = int.from_bytes(buffer.raw[80:88], "little", signed=True)
    return seconds + int.from_bytes(buffer.raw[88:92], "little") / 1e9

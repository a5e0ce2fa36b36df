"""The files that patterns of the study file stand for."""

from collections.abc import Iterator, Sequence
from pathlib import Path

_PRIVATE = ".secondshift"  # our own folder changes all the time


def protected_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """List the files that patterns below a folder stand for, each once."""
    return sorted({path for pattern in patterns for path in _files(folder, pattern)})


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Give the files a pattern stands for; a folder stands for all files below it, and so does `folder/**`."""
    stem = pattern.removesuffix("**").rstrip("/")
    for path in folder.glob(stem) if stem else [folder]:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and _PRIVATE not in file.relative_to(folder).parts:
                yield file

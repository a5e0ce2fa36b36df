"""Finds what there is to watch under a path: which files are of one run, and what kind they are."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.runtime.pastruns.mlflow_runs import is_database, is_run_folder
from secondshift.runtime.pastruns.tensorboard_runs import run_folders
from secondshift.runtime.watched.cells import Source
from secondshift.runtime.watched.ends import MlflowRun, WandbRun
from secondshift.runtime.watched.tables import LINES, TABLES, Table
from secondshift.runtime.watched.trackers import Database, Parquet, Tracked

MOST_FILES = 200_000
PARQUET = (".parquet", ".pq")
NO_LOGS = (".json", ".yaml", ".yml", ".toml", ".py", ".md")  # text, and nothing that was printed
LOOKED_AT = 1 << 12  # bytes by which text is told from what is none
DATABASES = (".db", ".sqlite", ".sqlite3")
SKIPPED = frozenset({".git", ".secondshift", "__pycache__", "node_modules", ".venv", "artifacts"})


MakeLog = Callable[[Path, str], Source]


@dataclass(slots=True)
class Found:
    """What lies under the paths."""

    sources: list[Source] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # folders and files, with the reason
    bytes: int = 0


def find_sources(
    paths: Sequence[Path], *, known: frozenset[str] = frozenset(), missing_ok: bool = False, log: MakeLog | None = None
) -> Found:
    """List the sources under some paths, but those whose names are `known`. Raises SecondshiftError.

    missing_ok: a path may come later, as when a command makes it. log: makes the source of a text that is named itself.
    """
    found = Found()
    for path in paths:
        if not path.exists():
            if missing_ok:
                continue
            raise SecondshiftError(f"There is no {path}. Expected a folder or file of TensorBoard, CSV, JSON lines, parquet, "
                                   "W&B or MLflow; a command to start goes behind --.")  # fmt: skip
        files = _files(path, found)
        for name, make in _places(path, files, "" if len(paths) == 1 else path.name, log):
            if name not in known:
                found.sources.append(make())
    return found


def _files(path: Path, found: Found) -> list[Path]:
    if path.is_file():
        if not os.access(path, os.R_OK):
            raise SecondshiftError(f"{path} may not be read by this user. Give read permission, or name another file.")
        found.bytes += path.stat().st_size
        return [path]
    files: list[Path] = []

    def refused(problem: OSError) -> None:
        if Path(str(problem.filename)) == path:
            raise SecondshiftError(
                f"The folder {path} may not be read: {problem.strerror}. Give this user read permission, or name another folder."
            )
        found.unreadable.append(f"{problem.filename}: {problem.strerror}")

    for place, folders, names in os.walk(path, onerror=refused):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        files += [Path(place, name) for name in sorted(names)]
        found.bytes += sum(_size(os.path.join(place, name)) for name in names)
        if len(files) > MOST_FILES:
            raise SecondshiftError(
                f"{path} holds more than {MOST_FILES:,} files. Name the folders of the runs themselves."
            )
    return files


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _places(path: Path, files: list[Path], prefix: str, log: MakeLog | None) -> Iterator[tuple[str, Callable[[], Source]]]:
    """Give each source by its name, with how to make it."""
    root = path if path.is_dir() else path.parent

    def named(place: Path) -> str:
        inside = place.relative_to(root).as_posix()
        return "/".join(part for part in (prefix, inside if inside != "." else place.resolve().name) if part)

    for folder in run_folders(file for file in files if "tfevents" in file.name):
        own = partial(_event_files, folder)
        yield named(folder), partial(Tracked, "tensorboard", named(folder), own)
    for file in files:
        ending, name = file.suffix.lower(), named(file)
        if ending in TABLES or ending in LINES:
            yield name, partial(Table, file, name)
        elif ending in PARQUET:
            yield name, partial(Parquet, file, name)
        elif ending == ".wandb":
            yield name, partial(_wandb, file, name)
        elif file.name == "meta.yaml" and is_run_folder(file.parent):
            yield (
                named(file.parent),
                partial(
                    Tracked, "mlflow", named(file.parent), partial(_metric_files, file.parent), end=MlflowRun(file.parent).end
                ),
            )
        elif ending in DATABASES:
            if is_database(file):
                yield name, partial(Database, file, name)
        elif log is not None and file == path and ending not in NO_LOGS and "tfevents" not in file.name and is_text(file):
            yield name, partial(log, file, name)  # a folder holds many texts that are none; one that is named is meant


def _wandb(file: Path, name: str) -> Tracked:
    run = WandbRun(file)
    return Tracked("wandb", name, lambda: [file], read=run.read, end=run.end)


def _event_files(folder: Path) -> Sequence[Path]:
    """The event files of one run, those of its folders `train` and `validation` too, oldest first."""
    inside = [file for file in folder.glob("*tfevents*") if file.is_file()]
    inside += [file for file in folder.glob("*/*tfevents*") if file.is_file()]
    own = run_folders(inside).get(folder, [])
    return sorted(own, key=lambda file: (file.name, file.parent.name))


def _metric_files(folder: Path) -> Sequence[Path]:
    return sorted(file for file in (folder / "metrics").rglob("*") if file.is_file())


def is_text(path: Path) -> bool:
    """Whether a file begins like text; an empty one may become one."""
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(LOOKED_AT)
    except OSError:
        return False

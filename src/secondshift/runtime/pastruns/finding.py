"""Finds out what past runs lie under a path, and gives them one by one."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from secondshift.errors import SecondshiftError
from secondshift.records.pastruns import Origin, PastRun
from secondshift.runtime.pastruns.csv_runs import csv_runs
from secondshift.runtime.pastruns.mlflow_runs import database_runs, folder_run, is_database, is_run_folder
from secondshift.runtime.pastruns.study_runs import PRIVATE, study_at, study_runs
from secondshift.runtime.pastruns.tensorboard_runs import run_folders, tensorboard_run
from secondshift.runtime.pastruns.wandb_runs import wandb_run

MOST_FILES = 1_000_000
KINDS: tuple[Origin, ...] = get_args(Origin)
_TABLES = (".csv", ".tsv")
_DATABASES = (".db", ".sqlite", ".sqlite3")


def find_runs(paths: Sequence[Path], source: Literal["auto"] | Origin, home: Path) -> Iterator[PastRun]:
    """Give the runs under some paths. home: the study's folder, from which runs without an id of their own are named.

    Raises SecondshiftError for a path that is not there, that holds no runs, or runs of several kinds.
    """
    for path in paths:
        if not path.exists():
            raise SecondshiftError(
                f"There is no {path}. Expected a file or folder that MLflow, W&B, TensorBoard or CSV left, or another study."
            )
        study = study_at(path)
        if source == "secondshift" or (source == "auto" and study is not None and study != (home / PRIVATE).resolve()):
            yield from study_runs(_another(path, study, home), home)
            continue
        files = _files(path)
        held = _kinds(files)
        yield from _runs(path, files, _chosen(path, held) if source == "auto" else _asked(path, held, source), home)


def _another(path: Path, study: Path | None, home: Path) -> Path:
    """The private folder of another study. Raises SecondshiftError where there is none."""
    if study is None:
        raise SecondshiftError(
            f"{path} is no study that has run. Expected a folder with {PRIVATE}/ledger.db in it; "
            "a ledger in PostgreSQL is not read."
        )
    if study == (home / PRIVATE).resolve():
        raise SecondshiftError(f"{path} is this study itself, whose trials are in its ledger already. Name another one.")
    return study


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found: list[Path] = []
    for place, folders, names in os.walk(path):
        folders.sort()
        if PRIVATE in folders:
            folders.remove(PRIVATE)  # our own trials are in the ledger already
        found += [Path(place) / name for name in sorted(names)]
        if len(found) > MOST_FILES:
            raise SecondshiftError(
                f"{path} holds more than {MOST_FILES:,} files. Name the folders of the runs themselves."
            )
    return found


def _kinds(files: list[Path]) -> set[Origin]:
    held: set[Origin] = set()
    for file in files:
        if file.suffix == ".wandb":
            held.add("wandb")
        elif "tfevents" in file.name:
            held.add("tensorboard")
        elif file.suffix.lower() in _TABLES:
            held.add("csv")
        elif (file.name == "meta.yaml" and is_run_folder(file.parent)) or (
            file.suffix in _DATABASES and is_database(file)
        ):
            held.add("mlflow")
    return held


def _chosen(path: Path, held: set[Origin]) -> Origin:
    trackers = held - {"csv"} or held  # a tracker's own folder often holds tables of other things
    if len(trackers) == 1:
        return next(iter(trackers))
    if not trackers:
        raise SecondshiftError(
            f"No past runs were found in {path}. Expected an MLflow store (mlruns, mlflow.db), W&B offline folders "
            "(wandb/offline-run-*), TensorBoard event files, or CSV files with a line that names their columns."
        )
    raise SecondshiftError(
        f"{path} holds runs of {' and '.join(sorted(trackers))}. Say which with --from, so that no run is taken in twice."
    )


def _asked(path: Path, held: set[Origin], source: Origin) -> Origin:
    if source not in held:
        found = f"It holds {', '.join(sorted(held))}" if held else "Nothing known was found there"
        raise SecondshiftError(f"No runs of {source} were found in {path}. {found}; leave --from out to see what fits.")
    return source


def _runs(path: Path, files: list[Path], kind: Origin, home: Path) -> Iterator[PastRun]:
    if kind == "mlflow":
        for file in files:
            if file.name == "meta.yaml" and is_run_folder(file.parent):
                yield folder_run(file.parent)
            elif file.suffix in _DATABASES and is_database(file):
                yield from database_runs(file)
    elif kind == "wandb":
        yield from (wandb_run(file) for file in files if file.suffix == ".wandb")
    elif kind == "tensorboard":
        root = path if path.is_dir() else path.parent
        for folder, own in run_folders(file for file in files if "tfevents" in file.name).items():
            yield tensorboard_run(folder, own, root, home)
    else:
        root = path if path.is_dir() else path.parent
        for file in files:
            if file.suffix.lower() in _TABLES:
                yield from csv_runs(file, root, home)

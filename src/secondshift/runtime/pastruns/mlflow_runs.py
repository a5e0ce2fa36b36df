"""Reads the runs of MLflow stores without MLflow: a file store's folders, or a SQLite database."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.records.pastruns import PastRun, RunStatus
from secondshift.records.studies import Value
from secondshift.runtime.pastruns.gathering import LIMIT, Gathered
from secondshift.runtime.pastruns.plain_yaml import read_yaml
from secondshift.runtime.readers.columns import MAX_NAME, Columns
from secondshift.runtime.readers.file_stores import read_metric, value_of

_STATUSES: dict[str, RunStatus] = {
    "1": "running", "2": "running", "3": "finished", "4": "failed", "5": "killed",
    "RUNNING": "running", "SCHEDULED": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed",
}  # fmt: skip
_RUNS = "SELECT run_uuid, name, status, start_time, end_time, lifecycle_stage FROM runs ORDER BY start_time, run_uuid"
_POINTS = "SELECT key, value, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY rowid"
_VALUE_CAP = 400  # characters of a parameter


def is_database(path: Path) -> bool:
    """Say whether a file is a SQLite database of MLflow."""
    try:
        with closing(_opened(path)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('runs', 'metrics', 'params')")
            return len(found.fetchall()) == 3
    except sqlite3.Error:
        return False


def database_runs(path: Path) -> Iterator[PastRun]:
    """Give the runs of a database, oldest first. Raises SecondshiftError if it cannot be read."""
    try:
        with closing(_opened(path)) as connection:
            for row in connection.execute(_RUNS).fetchall():
                yield _row(connection, row)
    except sqlite3.Error as problem:
        raise SecondshiftError(
            f"{path} could not be read as an MLflow database: {problem}. Expected one with the tables runs, metrics and "
            "params, and nobody writing a long transaction to it; try again, or import a copy."
        ) from problem


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)


def _row(connection: sqlite3.Connection, row: tuple) -> PastRun:
    run, name, status, start, end, stage = row
    columns, damaged = Columns(), 0
    for key, value, step, is_nan in connection.execute(_POINTS, (run,)):
        if isinstance(key, str) and isinstance(value, int | float) and isinstance(step, int):
            columns.add(key[:MAX_NAME], step, value_of(float(value), bool(is_nan)))
        else:
            damaged += 1
    params = connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall()
    tags = connection.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)).fetchall()
    return PastRun(
        source="mlflow", run=str(run), name=str(name or run), status=_status(status, stage), params=_named(params),
        hints=_named(tags), columns=columns.columns, started_at=_seconds(start), ended_at=_seconds(end),
        damaged=damaged + sum(columns.left_out.values()),
    )  # fmt: skip


def is_run_folder(folder: Path) -> bool:
    """Say whether a folder is one run of a file store."""
    return (folder / "meta.yaml").is_file() and any((folder / name).is_dir() for name in ("metrics", "params"))


def folder_run(folder: Path) -> PastRun:
    """Read one run of a file store. What is not there or cannot be read is left out."""
    meta = read_yaml(folder / "meta.yaml")
    gathered = Gathered()
    for file in _files(folder / "metrics"):
        gathered.drain(lambda start, file=file: read_metric(str(file), start, ended=True, limit=LIMIT))
    run = str(meta.get("run_id") or meta.get("run_uuid") or folder.name)
    return PastRun(
        source="mlflow", run=run, name=str(meta.get("run_name") or meta.get("name") or run),
        status=folder_status(folder), params=_texts(folder / "params"),
        hints=_named(_texts(folder / "tags").items()), columns=gathered.columns,
        started_at=_seconds(meta.get("start_time")), ended_at=_seconds(meta.get("end_time")), damaged=gathered.damaged,
    )  # fmt: skip


def folder_status(folder: Path) -> RunStatus:
    """How one run of a file store stands, as its `meta.yaml` says; unknown where that cannot be read."""
    meta = read_yaml(folder / "meta.yaml")
    return _status(meta.get("status"), meta.get("lifecycle_stage"))


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in sorted(os.walk(folder)):
        yield from (Path(place) / name for name in sorted(names))


def _texts(folder: Path) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for file in _files(folder):
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        found[file.relative_to(folder).as_posix()] = text.strip()[:_VALUE_CAP]
    return found


def _named(pairs: Iterable[tuple[object, object]]) -> dict[str, Value]:
    return {
        str(key): str(value)[:_VALUE_CAP]
        for key, value in pairs
        if value is not None and not str(key).startswith("mlflow.")
    }


def _status(status: object, stage: object) -> RunStatus:
    return "deleted" if stage == "deleted" else _STATUSES.get(str(status), "unknown")


def _seconds(milliseconds: object) -> float:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return 0.0
    return milliseconds / 1000 if 0 < milliseconds < 1e14 else 0.0

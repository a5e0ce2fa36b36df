"""Follows what trackers leave on disk, without them: TensorBoard, W&B offline runs, MLflow stores, parquet tables."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from secondshift.errors import SecondshiftError
from secondshift.records.pastruns import PastRun
from secondshift.runtime.pastruns.mlflow_runs import database_runs
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.eventfiles import read_events
from secondshift.runtime.readers.file_stores import read_metric
from secondshift.runtime.watched.cells import Cell, Cells, End, changed_at, end_of
from secondshift.runtime.watched.joining import Joiner

LIMIT = 16 << 20
Read = Callable[[str, int, bool], tuple[Columns, int]]  # path, offset, ended -> what is new, and the next offset


def _events(path: str, offset: int, ended: bool) -> tuple[Columns, int]:
    return read_events(path, offset, ended=ended, limit=LIMIT)


def _metric(path: str, offset: int, ended: bool) -> tuple[Columns, int]:
    return read_metric(path, offset, ended=ended, limit=LIMIT)


READS: dict[str, Read] = {"tensorboard": _events, "mlflow": _metric}


class Tracked:
    """One run whose files only grow: new ones may come, as when a run is resumed."""

    def __init__(
        self, kind: str, name: str, files: Callable[[], Sequence[Path]], *, read: Read | None = None,
        end: Callable[[], End | None] = lambda: None,
    ) -> None:  # fmt: skip
        self.about, self.name = kind, name
        self._files, self._end = files, end
        self._read = read or READS[kind]
        self._ended: End | None = None  # as it was told
        self._offsets: dict[str, int] = {}
        self._joiner = Joiner()

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look."""
        lost = 0
        for file in self._files():
            path = str(file)
            start = -1
            end = self._offsets.get(path, 0)
            while end > start:
                start = end
                columns, end = self._read(path, start, ended)
                self._joiner.add(columns.columns)
                lost += sum(columns.damaged.values()) + sum(columns.left_out.values())
            self._offsets[path] = max(start, end)
        end = self._end()
        fresh, self._ended = end is not None and self._ended is None, end
        cells = self._joiner.take(ended=ended or fresh)
        if cells is None and not lost and not fresh:
            return []
        cells = cells or Cells()
        cells.lost, cells.end = lost, end if fresh else None
        return [cells]

    def newest(self) -> float:
        """When one of its files changed last (UTC seconds)."""
        return max(map(changed_at, self._files()), default=0.0)


class Database:
    """An MLflow database: read again when it changed, and only what came since is given."""

    about = "mlflow"

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._stamp = (0, 0)
        self._joiners: dict[str, Joiner] = {}
        self._known: dict[tuple[str, str], int] = {}  # run, metric -> points taken in
        self._ends: dict[str, End | None] = {}  # run -> how it ended, as it was told

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look."""
        stamp = _stamp(self.path)
        fresh: dict[str, End] = {}
        if stamp != self._stamp:
            self._stamp = stamp
            for run in self._runs():
                joiner = self._joiners.setdefault(
                    run.run, Joiner(run.name if run.name == run.run else f"{run.name} {run.run}")
                )
                joiner.add({name: self._new(run.run, name, points) for name, points in run.columns.items()})
                end = end_of(run.status)
                if end is not None and self._ends.get(run.run) is None:
                    fresh[run.run] = end
                self._ends[run.run] = end
        found: list[Cells] = []
        for run, joiner in self._joiners.items():
            cells = joiner.take(ended=ended or run in fresh)
            if cells is not None or run in fresh:
                found.append(cells or Cells(run=joiner.run))
                found[-1].end = fresh.get(run)
        return found

    def newest(self) -> float:
        """When it changed last (UTC seconds)."""
        return _stamp(self.path)[0] / 1e9

    def _runs(self) -> Iterator[PastRun]:
        try:
            yield from database_runs(self.path)
        except SecondshiftError:
            self._stamp = (0, 0)  # locked at the moment: tried again at the next look

    def _new(self, run: str, name: str, points: tuple[array, array]) -> tuple[array, array]:
        known = self._known.get((run, name), 0)
        self._known[(run, name)] = len(points[0])
        return points[0][known:], points[1][known:]


class Parquet:
    """A parquet table: such a file is written in one go, so a changed one is read again from its start."""

    about = "parquet"

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.problem = ""
        self._stamp = (0, 0)
        self._given = 0  # rows

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look; a table that became shorter is read from its start. Needs pyarrow."""
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return []
        self._stamp = stamp
        parquet = _pyarrow(self.path)
        try:
            table = parquet.read_table(str(self.path))
        except Exception as problem:  # pyarrow's own, and OSError: a file that is being written has no footer yet
            self.problem = (
                f"it could not be read as parquet: {str(problem).splitlines()[0][:120] if str(problem) else problem!r}"
            )
            return []
        self.problem = ""
        if table.num_rows < self._given:
            self._given = 0
        new = table.slice(self._given)
        self._given = table.num_rows
        return [Cells(count=new.num_rows, columns={name: _listed(new.column(name)) for name in new.column_names})]

    def newest(self) -> float:
        """When it changed last (UTC seconds)."""
        return changed_at(self.path)


def _listed(column: Any) -> list[Cell]:
    """A column of pyarrow's as plain values."""
    try:
        return column.to_numpy(zero_copy_only=False).tolist() if not column.null_count else column.to_pylist()
    except Exception:  # nested and odd types: pyarrow says so in many ways
        return column.to_pylist()


def _pyarrow(path: Path) -> ModuleType:
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]  # optional: the extra `parquet`
    except ImportError:
        raise SecondshiftError(
            f"{path} is a parquet table, and reading those needs the package pyarrow, which is not installed here. "
            "Install it with: pip install 'secondshift[parquet]'"
        ) from None
    return pyarrow.parquet


def _stamp(path: Path) -> tuple[int, int]:
    """When a database or table changed last, its write-ahead log included."""
    newest = size = 0
    for name in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = name.stat()
        except OSError:
            continue
        newest, size = max(newest, status.st_mtime_ns), size + status.st_size
    return newest, size

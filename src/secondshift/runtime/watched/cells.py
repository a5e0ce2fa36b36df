"""What a source of foreign runs gives at each look: new rows of one run, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path
from typing import Protocol, TypeVar

from secondshift.records.pastruns import RunStatus
from secondshift.runtime.readers.numbers import number

Cell = str | float | int | bool | None
Picked = TypeVar("Picked")


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a run ended, as its tracker says; there is none of a run that is only silent."""

    status: RunStatus  # finished, failed, killed
    code: int | None = None  # exit code, where it was written
    head: tuple[str, ...] = ()  # the first lines of what it printed that speak of an error
    tail: tuple[str, ...] = ()  # the last ones


def end_of(status: RunStatus) -> End | None:
    """The end that a status tells of."""
    return End(status=status) if status in ("finished", "failed", "killed") else None


@dataclass(slots=True)
class Cells:
    """New rows of one run. All columns are `count` long; a cell that was not written is None or empty."""

    count: int = 0
    columns: Mapping[str, Sequence[Cell]] = field(default_factory=dict)
    steps: list[int] | None = None  # where the format itself says them
    run: str = ""  # within the source, where that holds several
    lost: int = 0  # lines or bytes that could not be used
    announced: list[int] = field(default_factory=list)  # steps of planned changes that stand in no column
    end: End | None = None  # the run is over


class Source(Protocol):
    """One file or folder that is read on."""

    name: str  # for people, and in JSON
    about: str  # what kind of thing it is

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give what is new; with `ended` also what would be waited for else. Never raises on what files hold."""
        ...

    def newest(self) -> float:
        """When its files changed last (UTC seconds); 0 if that is not known."""
        ...


def changed_at(path: Path) -> float:
    """When a file changed last (UTC seconds); 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def numbers_of(cells: Sequence[Cell]) -> list[float | None]:
    """Read a column as numbers; None where a cell holds none."""
    try:
        return list(map(float, cells))  # type: ignore[arg-type]  # what is no number raises
    except (ValueError, TypeError):
        return [number_of(cell) for cell in cells]


def number_of(cell: Cell) -> float | None:
    """Read one cell: an empty one, a word, true and false are no numbers; "12 %" is one."""
    if cell is None or isinstance(cell, bool):
        return None
    if isinstance(cell, str):
        try:
            return float(cell)
        except ValueError:
            return number(cell.strip()) if cell.strip() else None
    try:
        return float(cell)
    except OverflowError:
        return None


def stacked(rows: list[dict[str, Cell]]) -> dict[str, Sequence[Cell]]:
    """Turn rows into columns, in the order in which their names came up."""
    first = list(rows[0]) if rows else []
    if all(list(row) == first for row in rows):
        return (
            dict(zip(first, map(list, zip(*(row.values() for row in rows), strict=True)), strict=True)) if first else {}
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def split(cells: Cells, column: str) -> list[Cells]:
    """Take apart the runs of a table by the column that names them, in the order of their rows. The first tells what was lost."""
    runs: dict[str, list[slice]] = {}
    begin = 0
    for cell, same in groupby(cells.columns[column]):
        end = begin + sum(1 for _ in same)
        runs.setdefault(str(cell if cell is not None else "").strip(), []).append(slice(begin, end))
        begin = end
    if len(runs) == 1:
        return [replace(cells, run=next(iter(runs)))]
    return [
        Cells(
            count=sum(rows.stop - rows.start for rows in pieces),
            columns={name: _picked(values, pieces) for name, values in cells.columns.items()},
            steps=None if cells.steps is None else _picked(cells.steps, pieces), run=run,
            lost=0 if place else cells.lost, end=cells.end if place == len(runs) - 1 else None,
        )
        for place, (run, pieces) in enumerate(runs.items())
    ]  # fmt: skip


def _picked(values: Sequence[Picked], pieces: Sequence[slice]) -> list[Picked]:
    if len(pieces) == 1:
        return list(values[pieces[0]])
    return list(chain.from_iterable(values[piece] for piece in pieces))

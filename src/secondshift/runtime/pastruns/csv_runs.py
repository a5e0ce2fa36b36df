"""Reads runs out of CSV files: one file for each run, or one table with a column that names the run."""

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.records.pastruns import PastRun
from secondshift.records.studies import Value
from secondshift.runtime.pastruns.gathering import relative, settings_in
from secondshift.runtime.pastruns.plain_yaml import plain, read_yaml
from secondshift.runtime.readers.columns import MAX_NAMES, MAX_STEP
from secondshift.runtime.readers.numbers import STEP_NAMES, number

RUN_NAMES = ("run", "run_id", "run id", "run_name", "trial", "trial_id", "name", "id")
MOST_ROWS = 5_000_000
Row = Mapping[str, str]


def csv_runs(file: Path, root: Path, home: Path) -> Iterator[PastRun]:
    """Give the runs of one file. Raises SecondshiftError for a file without a header or with too many rows."""
    header, rows = _rows(file)
    key = next((n for wanted in RUN_NAMES for n in header if n.strip().lower() == wanted), "")
    step = next((n for wanted in STEP_NAMES for n in header if n.strip().lower() == wanted), "")
    where = relative(file, home)
    if not key:
        inside = file.resolve().relative_to(root.resolve()).parts if file.is_relative_to(root) else (file.name,)
        beside = {**settings_in((*inside[:-1], file.stem)), **read_yaml(file.parent / "hparams.yaml")}
        yield _run(rows, step, where, file.parent.name if file.stem == "metrics" else file.stem, beside, {})
        return
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(row[key].strip(), []).append(row)
    several = any(len(rows) > 1 for rows in runs.values())
    names = [n for n in header if n not in (key, step)]
    constant = [n for n in names if all(len(_said(rows, n)) <= 1 for rows in runs.values())]
    for name, mine in runs.items():
        values = {n: plain(*said) for n in constant if (said := _said(mine, n))}
        # With one row a run, a number may be a setting or a result: it can be matched by name, and tells nothing apart.
        sure = {n: v for n, v in values.items() if several or not isinstance(v, int | float)}
        yield _run(mine, step, f"{where}#{name}", name, sure, {n: v for n, v in values.items() if n not in sure})


def _run(
    rows: Sequence[Row], step: str, run: str, name: str, params: Mapping[str, Value], hints: Mapping[str, Value]
) -> PastRun:
    columns: dict[str, tuple[array, array]] = {}
    damaged = 0
    for index, row in enumerate(rows):
        at = number(row[step]) if step and row[step].strip() else float(index)
        if at is None or not 0 <= at <= MAX_STEP or not at.is_integer():
            damaged += 1
            continue
        for key, text in row.items():
            value = number(text) if key != step else None
            if value is not None and (key in columns or len(columns) < MAX_NAMES):
                steps, values = columns.setdefault(key, (array("q"), array("d")))
                steps.append(int(at))
                values.append(value)
    return PastRun(source="csv", run=run, name=name, params=params, hints=hints, columns=columns, damaged=damaged)


def _said(rows: Sequence[Row], name: str) -> set[str]:
    return {text for row in rows if (text := row[name].strip())}


def _rows(file: Path) -> tuple[list[str], list[Row]]:
    with open(file, encoding="utf-8-sig", errors="replace", newline="") as opened:
        head = opened.readline()
        mark = max(",;\t", key=head.count)
        header = [name.strip() for name in next(csv.reader([head], delimiter=mark), [])]
        if len(header) < 2 or len(set(header)) < len(header) or any(number(name) is not None for name in header):
            raise SecondshiftError(
                f"{file} does not begin with a line that names its columns; got {head.strip()[:80]!r}. Expected names such as "
                "step,train_loss,val_loss, each once, between commas, semicolons or tabs."
            )
        rows: list[Row] = []
        for cells in csv.reader(opened, delimiter=mark):
            if any(cells):
                rows.append(dict(zip(header, [*cells, *[""] * len(header)], strict=False)))
            if len(rows) > MOST_ROWS:
                raise SecondshiftError(f"{file} has more than {MOST_ROWS:,} rows. Split it, one file for each run.")
    return header, rows

"""Reads the metrics of MLflow stores without MLflow: a file for each metric, or a SQLite database."""

import math
import os
import sqlite3
from pathlib import Path

from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.numbers import number

_MOST = 1.7976931348623157e308  # how the database writes an infinity
_ROWS = 50_000  # at a time
_LINE_CAP = 4096  # bytes
_QUERY = "SELECT rowid, key, value, step, is_nan FROM metrics WHERE rowid > ? ORDER BY rowid LIMIT ?"


def metric_name(path: str) -> str:
    """Return the metric that a file of a file store holds: what follows `metrics/` in its path; empty if none."""
    before, mark, name = path.replace(os.sep, "/").rpartition("/metrics/")
    return name[:MAX_NAME] if mark and before and not name.endswith("meta.yaml") else ""


def read_metric(path: str, offset: int, *, ended: bool = False, limit: int = 4 << 20) -> tuple[Columns, int]:
    """Return the points of whole lines "milliseconds value step" from `offset` on, and where the next line begins."""
    columns = Columns()
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(max(limit, 16 * _LINE_CAP))
            more = bool(file.read(1))
    except OSError:
        return columns, offset
    end = data.rfind(b"\n") + 1
    if (ended and not more) or (not end and more):
        end = len(data)  # the last line, or nothing but a line that is too long for one
    name = metric_name(path)
    for line in data[:end].splitlines():
        words = line[:_LINE_CAP].decode("utf-8", "replace").split()
        value = number(words[1]) if len(words) in (2, 3) else None
        step = number(words[2]) if len(words) == 3 else 0.0
        if value is None or step is None or not step.is_integer():
            if words:
                columns.damage("lines of an MLflow file could not be understood", 1)
        else:
            columns.add(name, int(words[2]) if len(words) == 3 and words[2].isdecimal() else int(step), value)
    return columns, offset + end


def read_database(path: str, offset: int) -> tuple[Columns, int]:
    """Return the points of rows after row `offset` of an MLflow database, and the last row read. Never waits long."""
    columns = Columns()
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
    except sqlite3.Error:
        return columns, offset
    try:
        for row, name, value, step, is_nan in connection.execute(_QUERY, (offset, _ROWS)):
            offset = max(offset, int(row))
            if not isinstance(name, str) or not isinstance(value, int | float) or not isinstance(step, int):
                columns.leave_out("a row of an MLflow database could not be understood")
            elif name in columns.columns or len(columns.columns) < MAX_NAMES:
                columns.add(name[:MAX_NAME], step, value_of(float(value), bool(is_nan)))
            else:
                columns.leave_out(f"more than {MAX_NAMES} different names of metrics")
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        pass  # being made, locked, or no database: the next reading sees more
    finally:
        connection.close()
    return columns, offset


def value_of(value: float, is_nan: bool) -> float:
    """Return the number that a row of the database stands for: it has no infinity and no NaN of its own."""
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _MOST else value

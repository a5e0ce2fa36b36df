"""`among`: a table of configurations, which then are all that there are; every mistake in it is explained."""

import csv
import io
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from secondshift.config.mistakes import Given, Notebook, nearest
from secondshift.policies.models.axes import describe, holds
from secondshift.policies.models.spaces import region
from secondshift.records.studies import Parameter, Space, Value

KEY = ("among",)
MAX_ROWS = 2000  # they are recorded with the study, and looked through whenever something is proposed
MAX_BYTES = 1 << 20
SHOWN = 5  # mistakes of one file that are told one by one
ROWS_ONLY = "The rows are all the candidates there are."


def read_among(file: Path, space: Space, notes: Notebook) -> tuple[Mapping[str, Value], ...]:
    """Read the rows of a CSV file with a header of parameter names; what is wrong is put into `notes`, and then there are none.

    An empty cell stands for the parameter's default, or for a parameter that is not active there.
    """
    before = len(notes.found)
    lines = _lines(file, notes)
    if not lines or not _header(file, lines[0][1], space, notes):
        return ()
    own = Notebook(lines=notes.lines, origins=notes.origins)
    rows = _rows(file, lines[0][1], lines[1:], space, own)
    notes.found += own.found[:SHOWN]
    if len(own.found) > SHOWN:
        got = Given(f"{len(own.found) - SHOWN} more such rows in {file.name}")
        notes.add(KEY, got=got, expected="rows that are candidates of [search]", advice="Mend those above first.")
    if rows and len(notes.found) == before:
        _check_defaults(file, rows, space, notes)
    return tuple(rows) if len(notes.found) == before else ()


def check_walkers(searcher: str, scheduler: str, notes: Notebook) -> None:
    """Children of candidates are points between them, which no list has."""
    if searcher == "evolution":
        expected = 'a searcher that keeps to a list: "model", "random", "sobol" or "grid"'
        notes.add(("policy", "searcher"), got=searcher, expected=expected, advice=f"With `among`: {ROWS_ONLY}")
    if scheduler == "population":
        expected = 'a scheduler that makes no candidates of its own: "freezethaw", "halving" or "fifo"'
        notes.add(("policy", "scheduler"), got=scheduler, expected=expected, advice=f"With `among`: {ROWS_ONLY}")


def _lines(file: Path, notes: Notebook) -> list[tuple[int, list[str]]]:
    """The lines of the file that are not empty, with their numbers from 1."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        notes.add(KEY, got=Given(f"{file.name}, which cannot be read ({error.strerror})"), expected=f"a CSV file in {file.parent}")
        return []
    except UnicodeDecodeError as error:
        notes.add(KEY, got=Given(f"{file.name}, whose byte {error.start} is no UTF-8"), expected="UTF-8 text")
        return []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        found = [(reader.line_num, cells) for cells in islice(reader, MAX_ROWS + 2) if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        notes.add(KEY, got=Given(f"{file.name}, line {reader.line_num}: {error}"), expected="lines of cells with commas between")
        return []
    if len(found) < 2:
        expected = "a line of parameter names, and below it one line for each candidate"
        notes.add(KEY, got=Given(f"{file.name} with {'only a header' if found else 'nothing in it'}"), expected=expected)
    elif len(data) > MAX_BYTES or len(found) > MAX_ROWS + 1:
        advice = "Leave candidates out, or give ranges in [search] and no `among`."
        expected = f"at most {MAX_ROWS} candidates and {MAX_BYTES >> 20} MiB"
        notes.add(KEY, got=Given(f"{file.name} with more than that"), expected=expected, advice=advice)
    else:
        return found
    return []


def _header(file: Path, names: list[str], space: Space, notes: Notebook) -> bool:
    """Check that each column is a parameter, and that what has no column has a default."""
    before, known = len(notes.found), [parameter.name for parameter in space.parameters]
    stripped = [name.strip() for name in names]
    for place, name in enumerate(stripped):
        if name not in known:
            expected = "parameters of [search]: " + (", ".join(known) or "there is none")
            advice = nearest(name, known) or "Every column needs its line in [search], which says what kind of value it is."
            notes.add(KEY, got=Given(f'a column "{name}" in {file.name}'), expected=expected, advice=advice)
        elif name in stripped[:place]:
            notes.add(KEY, got=Given(f'two columns "{name}" in {file.name}'), expected="each parameter once")
    for parameter in space.parameters:
        if parameter.name not in stripped and parameter.default is None and not parameter.when:
            advice = "Add the column, give the parameter a default, or take it out of [search]."
            notes.add(KEY, got=Given(f"{file.name} without a column {parameter.name}"),
                      expected="a value of each parameter", advice=advice)  # fmt: skip
    return len(notes.found) == before


def _rows(
    file: Path, names: list[str], lines: list[tuple[int, list[str]]], space: Space, notes: Notebook
) -> list[Mapping[str, Value]]:
    axes = {parameter.name: parameter for parameter in space.parameters}
    columns = [axes[name.strip()] for name in names]
    rows: list[Mapping[str, Value]] = []
    seen: dict[frozenset[tuple[str, Value]], int] = {}
    for line, cells in lines:
        row = _row(f"{file.name}, line {line}", columns, cells, space, notes)
        first = seen.setdefault(frozenset(row.items()), line) if row else line
        if first != line:
            notes.add(KEY, got=Given(f"{file.name}, line {line}: the same candidate as in line {first}"),
                      expected="each candidate once", advice="Other seeds of a candidate come by themselves.")  # fmt: skip
        rows.append(row)
    return rows


def _row(where: str, columns: list[Parameter], cells: list[str], space: Space, notes: Notebook) -> dict[str, Value]:
    """One candidate; empty where something is wrong with it."""
    if len(cells) != len(columns):
        notes.add(KEY, got=Given(f"{where} with {len(cells)} cells"), expected=f"{len(columns)}, as in the header")
        return {}
    given: dict[str, Value] = {}
    for parameter, cell in zip(columns, cells, strict=True):
        if not cell.strip():
            continue
        value = _value(parameter, cell.strip())
        if value is None:
            notes.add(KEY, got=Given(f"{where}, {parameter.name}: {cell.strip()}"), expected=describe(parameter))
            return {}
        given[parameter.name] = value
    defaults = {parameter.name: parameter.default for parameter in space.parameters if parameter.default is not None}
    params, fault = region(space).placed({**defaults, **given})
    idle = ", ".join(sorted(given.keys() - params.keys()))
    if fault or idle:
        fault = fault or f"{idle} is not active beside the others."
        notes.add(KEY, got=Given(where), expected=f"a candidate of [search], but {fault.rstrip('.')}")
        return {}
    return params


def _value(parameter: Parameter, cell: str) -> Value | None:
    """Read a cell as a value of its axis; None if it is none."""
    if parameter.kind == "categorical":
        texts = {str(choice).lower() if isinstance(choice, bool) else str(choice): choice for choice in parameter.choices}
        if cell in texts:
            return texts[cell]
        if cell.lower() in ("true", "false"):
            return texts.get(cell.lower())
    try:
        value = float(cell)
    except ValueError:
        return None
    numbers = [c for c in parameter.choices if isinstance(c, int | float) and not isinstance(c, bool) and c == value]
    if parameter.kind == "categorical":
        return numbers[0] if numbers else None
    if parameter.kind == "int":
        return int(value) if value.is_integer() and holds(parameter, int(value)) else None
    return value if holds(parameter, value) else None


def _check_defaults(file: Path, rows: list[Mapping[str, Value]], space: Space, notes: Notebook) -> None:
    """Where [search] names a whole baseline, that is one of the candidates."""
    defaults = {parameter.name: parameter.default for parameter in space.parameters if parameter.default is not None}
    params, fault = region(space).placed(defaults)
    if not fault and params not in rows:
        shown = ", ".join(f"{name} = {value!r}" for name, value in params.items())
        advice = "Add it as a row, or leave a default out: then there is no baseline, and all are compared with each other."
        notes.add(KEY, got=Given(f"{file.name} without the defaults of [search] ({shown})"),
                  expected="the baseline among the candidates", advice=advice)  # fmt: skip

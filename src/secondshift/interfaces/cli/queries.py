"""The verb `sql`: ask the ledger anything, change nothing."""

import sqlite3
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from secondshift.errors import LedgerBusy, SecondshiftError
from secondshift.interfaces.cli.desk import study_file
from secondshift.interfaces.cli.printing import console, document
from secondshift.interfaces.plain import one_line

LIMIT_S = 60.0  # a question that takes longer is given up
# What a question may do: read tables, call functions, use a recursive common table expression.
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_SAFE_PRAGMAS = {"table_info", "table_list", "index_list", "index_info", "user_version"}


def sql(
    query: Annotated[str, Parameter(help='One SELECT, in quotes: "select kind, count(*) from events group by kind".')],
    /,
    *,
    limit: Annotated[int, Parameter(help="Rows to print at most.")] = 1000,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Ask the ledger a question in SQL, reading only; it works while an engine runs, and cannot disturb it."""
    file = study_file(study).parent / ".secondshift" / "ledger.db"
    columns, rows, more = ask(file, query, limit)
    if json:
        document({"columns": columns, "rows": [[_cell(v) for v in row] for row in rows], "more": more})
        return 0
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        grid.add_column(one_line(name), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(one_line(str(_cell(v)), limit=400)) for v in row))
    screen = console()
    screen.print(grid)
    screen.print(
        Text(
            f"{len(rows)} row{'' if len(rows) == 1 else 's'}" + ("; there are more, see --limit" if more else ""),
            style="dim",
        )
    )
    return 0


def ask(file: Path, query: str, limit: int) -> tuple[list[str], list[tuple], bool]:
    """Run one reading statement; returns column names, rows, and whether there were more than `limit`.

    Raises SecondshiftError for anything that would write, a mistake in the SQL, or a question that takes too long.
    """
    if not file.exists():
        raise SecondshiftError(f"There is no ledger at {file}: nothing has run here yet. Start with `secondshift run`.")
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        connection.execute("PRAGMA query_only = on")
        connection.set_authorizer(_judge)
        deadline = time.monotonic() + LIMIT_S
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        cursor = connection.execute(query)
        if cursor.description is None:
            raise SecondshiftError(
                "That statement answers nothing. Expected one SELECT; the ledger is never changed by hand."
            )
        rows = cursor.fetchmany(max(1, limit) + 1)
        return [d[0] for d in cursor.description], rows[: max(1, limit)], len(rows) > max(1, limit)
    except (sqlite3.Error, sqlite3.Warning) as problem:
        raise _explained(problem) from problem
    finally:
        connection.close()


def _judge(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action in _ALLOWED and second != "load_extension":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _SAFE_PRAGMAS and (first != "user_version" or second is None):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _explained(problem: Exception) -> SecondshiftError:
    text = str(problem)
    if "not authorized" in text or "authorization denied" in text or "readonly" in text or "prohibited" in text:
        return SecondshiftError(
            "That statement would do more than read, and was refused: only the engine writes the ledger, and what is recorded "
            "is never changed. Expected one SELECT."
        )
    if "one statement" in text:
        return SecondshiftError("More than one statement was given. Expected one SELECT; ask them one by one.")
    if "interrupted" in text:
        return SecondshiftError(
            f"The question took longer than {LIMIT_S:.0f} s and was given up. Narrow it, with where or limit."
        )
    if "locked" in text or "busy" in text:
        return LedgerBusy()
    return SecondshiftError(
        f'The ledger did not understand that SQL: {text}. Its tables: `secondshift sql "select name from sqlite_master"`.'
    )


def _cell(value: object) -> object:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value

"""What came of a suite: the table of what it measured, before and after, and its verdict."""

from rich.table import Table
from rich.text import Text

from secondshift.interfaces.cli.printing import console
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.gates import cells, gate_statement
from secondshift.records.gates import GateRun


def gate_result(run: GateRun | None, lang: str) -> None:
    """Print what a suite measured, before and after, what each rule says of it, and the verdict; nothing before there is one."""
    if run is None or not run.verdict:
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("check", "rule", "metric", "before", "after", "interval", "verdict"):
        grid.add_column(say(f"gate.head_{head}", lang), overflow="fold")
    for row in run.rows:
        grid.add_row(*map(Text, cells(row)), Text(say(f"gate.verdict_{row.verdict}", lang)))
    console().print(grid)
    print(tell(gate_statement(run), lang))

"""The table of what a suite measured, before and after."""

from rich.table import Table
from rich.text import Text

from secondshift.interfaces.cli.printing import console
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.readmodel.gates import cells
from secondshift.records.gates import GateRun


def gate_table(run: GateRun, lang: str) -> None:
    """Print what a suite measured, before and after, and what each rule says of it."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("check", "rule", "metric", "before", "after", "interval", "verdict"):
        grid.add_column(say(f"gate.head_{head}", lang), overflow="fold")
    for row in run.rows:
        grid.add_row(*map(Text, cells(row)), Text(say(f"gate.verdict_{row.verdict}", lang)))
    console().print(grid)

"""The layers of a model as a table."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.plain import one_line
from secondshift.records.incidents import LAYER_KINDS


def summed(rows: Sequence[dict[str, Any]], lang: str) -> str:
    """The model in one sentence."""
    return say("layers.summed", lang, n=len(rows), parameters=sum(row["parameters"] or 0 for row in rows))


def print_layers(screen: Console, trial: str, rows: Sequence[dict[str, Any]], lang: str) -> None:
    """One line for each layer: what it is, its size, and the newest of each statistic."""
    if not rows:
        screen.print(Text(say("layers.none", lang, trial=trial)))
        return
    screen.print(Text.assemble((trial, "bold"), f"  {summed(rows, lang)}"))
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in ("layer", "kind", "shapes", "parameters", "step", *LAYER_KINDS):
        left = head in ("layer", "kind", "shapes")
        grid.add_column(say(f"layers.head_{head}", lang), justify="left" if left else "right", overflow="fold")
    for row in rows:
        known = row["statistics"]
        newest = max((one["step"] for one in known.values()), default=None)
        shapes = " ".join(f"{name} {'×'.join(map(str, shape)) or '1'}" for name, shape in row["shapes"].items())
        cells = [row["name"], row["kind"] or "—", shapes or "—", "—" if row["parameters"] is None else number(row["parameters"]),
                 "—" if newest is None else number(newest),
                 *(number(known[kind]["last"]) if kind in known else "—" for kind in LAYER_KINDS)]  # fmt: skip
        grid.add_row(*(Text(one_line(cell)) for cell in cells))
    screen.print(grid)

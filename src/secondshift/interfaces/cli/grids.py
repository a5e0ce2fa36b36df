"""The tables of `status`: open trials with their curves, and budgets; made to fit a terminal of 80 columns."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from secondshift.interfaces.messages.catalogue import say, sentences
from secondshift.interfaces.messages.formats import duration, number
from secondshift.interfaces.readmodel.objectives import written

ASSISTED = "*"  # behind the name of a trial that was helped on the way
BROKEN = "!"  # and of one that breaks a guard
INHERITED = "^"  # behind that of one that began from another's checkpoint
WIDE, WIDER = 92, 112  # columns from which on the best value and the spend, and the parameters, are shown too


def say_status(status: str, lang: str) -> str:
    """A trial's status in words."""
    return sentences(lang).get(f"word.{status}", status)


def trials_grid(doc: Mapping[str, Any], sparks: Mapping[str, str], shown: int | None, lang: str, width: int) -> Table:
    """Open trials: status, progress, curve, objective, time to go. `doc` is an overview, `sparks` curves by trial."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    heads = [("trial", "left"), ("status", "left"), ("progress", "left"), ("steps", "right"), ("curve", "left"), ("last", "right")]
    heads += [("best", "right")] * (width >= WIDE) + [("to_go", "right")] + [("used", "right")] * (width >= WIDE)
    for head, side in heads:
        title = say(f"status.head_{head}", lang, metric=doc["objective"] or "")
        grid.add_column(title, justify="right" if side == "right" else "left", no_wrap=True, overflow="ellipsis")
    if width >= WIDER:
        grid.add_column(say("status.head_params", lang), overflow="ellipsis")
    for row in doc["trials"][:shown]:
        cells = _cells(row, sparks.get(row["trial"], ""), lang)
        style = {"running": "bold", "queued": "dim"}.get(row["status"], "")
        last: list[RenderableType] = [Text(written(row["params"]))] if width >= WIDER else []
        grid.add_row(*(cells[head] for head, _ in heads), *last, style=style)
    shown_rows = doc["trials"][:shown]
    marks = [say("status.assisted", lang, mark=ASSISTED)] * any(row["assisted"] for row in shown_rows)
    marks += [say("status.inherits", lang, mark=INHERITED)] * any(row["inherits"] for row in shown_rows)
    marks += [say("status.breaks", lang, mark=BROKEN)] * any(map(breaking, shown_rows))
    if marks:
        grid.caption = Text("; ".join(marks))
        grid.caption_justify = "left"
    rest = len(doc["trials"]) - len(doc["trials"][:shown])
    if rest:
        grid.add_row(f"+{rest}", say("status.more", lang), style="dim")
    return grid


def breaking(row: Mapping[str, Any]) -> bool:
    """Say whether a trial of the table breaks a guard."""
    return any(guard["standing"] == "broken" for guard in row["guards"])


def _marks(row: Mapping[str, Any]) -> str:
    marks = ((ASSISTED, row["assisted"]), (INHERITED, row["inherits"]), (BROKEN, breaking(row)))
    return "".join(mark for mark, holds in marks if holds)


def _cells(row: Mapping[str, Any], spark: str, lang: str) -> dict[str, RenderableType]:
    return {
        "trial": row["trial"] + _marks(row),
        "status": say_status(row["status"], lang),
        "progress": ProgressBar(
            total=1.0, completed=row["progress"], width=10, complete_style="cyan", finished_style="green"
        ),
        "steps": f"{row['steps']:,}/{row['horizon_steps']:,}",
        "curve": Text(spark, style="cyan"),
        "last": _number(row["last"]),
        "best": _number(row["best"]),
        "to_go": "" if row["eta_s"] is None else duration(row["eta_s"], lang),
        "used": duration(row["device_s"], lang) if row["device_s"] else "",
    }


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def budgets_grid(doc: Mapping[str, Any], lang: str) -> Table:
    """Each budget: spent, set aside, left, cap, and how much of the cap is gone."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in ("budget", "spent", "reserved", "left", "cap"):
        grid.add_column(say(f"status.head_{head}", lang), justify="left" if head == "budget" else "right")
    grid.add_column("")
    for row in doc["budgets"]:
        amounts = [_amount(row["budget"], row[k], lang) for k in ("spent", "reserved", "left", "cap")]
        bar: RenderableType = ""
        if row["cap"]:
            gone = min(row["cap"], row["spent"] + row["reserved"])
            bar = ProgressBar(total=row["cap"], completed=gone, width=10, complete_style="yellow", finished_style="red")
        over = row["left"] is not None and row["left"] <= 0
        grid.add_row(say(f"status.budget_{row['budget']}", lang), *amounts, bar, style="red" if over else "")
    return grid


def _amount(budget: str, value: float | None, lang: str) -> str:
    if value is None:
        return say("status.no_cap", lang)
    if budget.endswith("_usd"):
        return f"${value:,.2f}"
    return number(int(value)) if budget in ("trials", "calls") else duration(value, lang)

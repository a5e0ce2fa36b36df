"""The verb `status`: what a study is doing now."""

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from secondshift.interfaces.cli.desk import Desk, language, open_desk
from secondshift.interfaces.cli.printing import console, document, line, spoken
from secondshift.interfaces.messages.formats import duration, number
from secondshift.interfaces.readmodel.objectives import written
from secondshift.interfaces.readmodel.overview import Holder, engine_line, overview, shift_line, upcoming
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.runtime.keeper import read_note

SHOWN = 20  # open trials in the table; --all shows the others too
UNITS = {"device_s": "device time", "wall_s": "time on shift", "trials": "trials", "money_usd": "money"}


def status(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[float, Parameter(help="Seconds between two looks of --watch.")] = 1.0,
    all: Annotated[bool, Parameter(negative="", help="Show every open trial, however many.")] = False,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Show what runs, how far it is, what it costs and what comes next. Reads only; works with and without an engine."""
    tongue, shown = language(lang), None if all else SHOWN
    with open_desk(study) as desk:
        if json:
            state, holder, next_lines, doc = look(desk)
            sentences = [engine_line(state, holder), shift_line(state), *_keeper(desk, holder), *next_lines]
            document({**doc, "sentences": spoken(sentences, tongue)})
            return 0
        screen = console()
        if not watch:
            screen.print(table(desk, tongue, shown, screen))
            return 0
        with Live(console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
            while True:
                live.update(table(desk, tongue, shown, screen), refresh=True)
                time.sleep(max(0.2, every))


def look(desk: Desk) -> tuple[State, Holder, list[Statement], dict[str, Any]]:
    """One look at a study: the state, who holds it, what comes next, and the document."""
    state, holder = desk.state(), desk.holder()
    now = time.time()
    requests = len(list((desk.folder / "spool").glob("*.json")))
    return state, holder, upcoming(state, requests, now), overview(state, holder, requests=requests, now=now)


def _keeper(desk: Desk, holder: Holder) -> list[Statement]:
    """What the keeper has to say, when it matters: it restarts the engine now, or gave up."""
    note = read_note(desk.folder)
    if note is None or holder.life == "alive":
        return []
    if note.state == "restarting" and note.alive():
        return [
            Statement(key="status.keeper_restarting", values={"pid": str(note.pid), "crash": note.last_crash or "—"})
        ]
    if note.state == "gave up":
        return [Statement(key="status.keeper_gave_up", values={"message": note.message})]
    return []


def table(desk: Desk, lang: str, shown: int | None, screen: Console) -> RenderableType:
    """The whole view for a terminal."""
    state, holder, next_lines, doc = look(desk)
    name = Text(f"{doc['study'] or desk.file.parent.name}", style="bold")
    counts = ", ".join(f"{n} {status}" for status, n in doc["counts"].items())
    rows: list[RenderableType] = [Text.assemble(name, f"  {counts}"), line(engine_line(state, holder), lang)]
    rows += [line(s, lang) for s in (*_keeper(desk, holder), shift_line(state))]
    if doc["trials"]:
        rows += [Text(""), _trials(doc, shown, lang, screen.width)]
    if doc["budgets"]:
        rows += [Text(""), _budgets(doc, lang)]
    rows += [Text(""), *(Text.assemble("→ ", line(s, lang)) for s in next_lines)]
    for incident in doc["incidents"]:
        text = f"! {incident['id']} ({incident['subject']}): {incident['finding']}"
        rows.append(Text(text + (f" — {incident['action']}" if incident["action"] else ""), style="yellow"))
    return Group(*rows)


def _trials(doc: dict[str, Any], shown: int | None, lang: str, width: int) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim")
    heads = ("trial", "", "progress", "steps", f"{doc['objective']} last", "best", "to go", "used")
    for head in (*heads, *(("parameters",) if width >= 100 else ())):
        grid.add_column(
            head, no_wrap=head != "parameters", justify="right" if head in heads[3:] else "left", overflow="ellipsis"
        )
    for row in doc["trials"][:shown]:
        style = {"running": "bold", "queued": "dim"}.get(row["status"], "")
        bar = ProgressBar(total=1.0, completed=row["progress"], width=14, complete_style="cyan", finished_style="green")
        cells: list[RenderableType] = [
            row["trial"], row["status"], bar, f"{row['steps']:,}/{row['horizon_steps']:,}",
            _number(row["last"]), _number(row["best"]),
            "" if row["eta_s"] is None else duration(row["eta_s"], lang),
            duration(row["device_s"], lang) if row["device_s"] else "",
        ]  # fmt: skip
        grid.add_row(*cells, *((Text(written(row["params"])),) if width >= 100 else ()), style=style)
    rest = len(doc["trials"]) - len(doc["trials"][:shown])
    if rest:
        grid.add_row(f"+{rest}", "more", style="dim")
    return grid


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _budgets(doc: dict[str, Any], lang: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("budget", "spent", "set aside", "left", "cap"):
        grid.add_column(head, justify="left" if head == "budget" else "right")
    for row in doc["budgets"]:
        amounts = [_amount(row["budget"], row[k], lang) for k in ("spent", "reserved", "left", "cap")]
        grid.add_row(
            UNITS[row["budget"]], *amounts, style="red" if row["left"] is not None and row["left"] <= 0 else ""
        )
    return grid


def _amount(budget: str, value: float | None, lang: str) -> str:
    if value is None:
        return "no cap"
    if budget == "money_usd":
        return f"${value:,.2f}"
    return number(int(value)) if budget == "trials" else duration(value, lang)

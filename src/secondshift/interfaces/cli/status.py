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
from secondshift.interfaces.cli.grids import budgets_grid, say_status, trials_grid
from secondshift.interfaces.cli.printing import console, document, line, spoken
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel import forecasts, fronts, guards
from secondshift.interfaces.readmodel.incidents import Known, standing, what
from secondshift.interfaces.readmodel.overview import Holder, engine_line, overview, shift_line, tier_line, upcoming
from secondshift.interfaces.sparklines import sparkline
from secondshift.records.incidents import Incident
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.runtime.keeper import read_note
from secondshift.runtime.sandbox.confining import means

SHOWN = 20  # open trials in the table; --all shows the others too
SPARK = 12  # columns of a curve


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
            tier = tier_line(state.study)
            sentences = [engine_line(state, holder), shift_line(state), *_keeper(desk, holder), *next_lines]
            sentences += [tier] if tier else []
            sentences += [*guards.lines(state), *fronts.lines(state), *forecasts.lines(state)]
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
    """What the keeper has to say: it watches, it restarts the engine now, or it gave up."""
    note = read_note(desk.folder)
    if note is None:
        return []
    if holder.life == "alive":
        watching = {"pid": str(note.pid), "n": note.restarts, "since_at": note.since}
        key = "status.keeper_again" if note.restarts else "status.keeper_on"
        return [Statement(key=key, values=watching)] if note.alive() else []
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
    counts = ", ".join(f"{n} {say_status(status, lang)}" for status, n in doc["counts"].items())
    rows: list[RenderableType] = [Text.assemble(name, f"  {counts}"), line(engine_line(state, holder), lang)]
    rows += [line(s, lang) for s in (*_keeper(desk, holder), shift_line(state))]
    if (tier := tier_line(state.study)) is not None:
        rows.append(line(tier, lang))
    rows += [line(s, lang) for s in unboxed(state)]
    rows += [line(s, lang) for s in (*guards.lines(state), *fronts.lines(state))]
    if doc["shift"] and doc["shift"]["deadline_at"]:
        rows.append(_shift_bar(doc, lang, screen.width))
    if doc["trials"]:
        rows += [Text(""), trials_grid(doc, _sparks(desk, doc, shown), shown, lang, screen.width)]
        rows += [line(s, lang) for s in forecasts.lines(state)]
    if doc["budgets"]:
        rows += [Text(""), budgets_grid(doc, lang)]
    rows += [Text(""), *(Text.assemble("→ ", line(s, lang)) for s in next_lines)]
    rows += [Text(_incident(incident, state, lang), style="yellow") for incident in state.incidents.values()]
    return Group(*rows)


def unboxed(state: State) -> list[Statement]:
    """Say loudly that code that nobody read runs with little to hold it, where there is such code and no sandbox."""
    code = any(idea.change and idea.state in ("open", "exploring") for idea in state.ideas.values())
    if not code or (by := means()).bwrap:
        return []
    return [Statement(key="sandbox.status", values={"why_not": by.why_not or "—"})]


def _incident(incident: Incident, state: State, lang: str) -> str:
    """One open incident in a line; one of the captain's is told from its fields."""
    head = f"! {incident.id} ({incident.subject}): {one_line(tell(what(incident), lang))}"
    if not incident.cause:
        return head + (f" — {one_line(incident.action)}" if incident.action else "")
    how = standing(Known(incident=incident, opened=0), state)
    return f"{head} — {say('incident.word', lang, name_word=f'state_{how}')}"


def _shift_bar(doc: dict[str, Any], lang: str, width: int) -> RenderableType:
    shift = doc["shift"]
    length = max(1.0, shift["deadline_at"] - shift["started_at"])
    gone = min(max(0.0, doc["now"] - shift["started_at"]), length)
    grid = Table.grid(padding=(0, 1))
    ends = Text(say("status.shift_share", lang, gone_share=gone / length), style="dim")
    grid.add_row(ProgressBar(total=length, completed=gone, width=min(40, width // 2), complete_style="magenta"), ends)
    return grid


def _sparks(desk: Desk, doc: dict[str, Any], shown: int | None) -> dict[str, str]:
    """The curve of each listed trial in a few characters."""
    drawn = [row["trial"] for row in doc["trials"][:shown] if row["last"] is not None]
    return {t: sparkline(list(desk.ledger.series(t, doc["objective"], points=120).values), SPARK) for t in drawn}

"""The verb `ideas`: look at the inbox; and what `why` tells of an idea."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from secondshift import plugins
from secondshift.interfaces.cli.askers import study_file
from secondshift.interfaces.cli.languages import language
from secondshift.interfaces.cli.printing import console, document, indented, line, spoken
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.gates import gate_story
from secondshift.interfaces.readmodel.ideas import ahead, inbox, named, pair_statements, row, statement, story
from secondshift.interfaces.readmodel.objectives import written
from secondshift.interfaces.readmodel.spending import cost, short
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.ledger.stores import Ledger
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.runtime.spool import pending


def ideas(
    *,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Show the inbox: every idea, what became of it, and what no shift has taken in yet."""
    tongue, folder = language(lang), study_file(study).parent / ".secondshift"
    state = State()
    if (folder / "ledger.db").exists():
        ledger = open_ledger(folder, readonly=True)
        try:
            state = load_state(ledger, folder / "cache" / "state.bin")
        finally:
            ledger.close()
    rows = inbox(state, pending(folder))
    if json:
        document({"ideas": rows})
        return 0
    screen = console()
    if not rows:
        screen.print(Text(say("ideas.none", tongue)))
        return 0
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("id", "state", "idea", "author", "gain", "interval", "pairs", "spent"):
        grid.add_column(say(f"ideas.head_{head}", tongue), overflow="fold")
    for one in rows:
        found = one["verdict"] or {}
        low, high = found.get("low"), found.get("high")
        span = f"{_edge(low, '−')} … {_edge(high, '')}" if found.get("pairs") else ""
        grid.add_row(
            one["idea"] or "·", say(f"ideas.state_{one['state'].replace(' ', '_')}", tongue),
            Text(one_line(one["text"] or written(one["params"]), limit=200)), Text(one_line(", ".join(one["authors"]))),
            number(found["effect"]) if found.get("effect") is not None and found.get("pairs") else "", span,
            str(found["pairs"]) if found.get("pairs") else "", short(one["spent"], tongue),
        )  # fmt: skip
    screen.print(grid)
    for one in rows:
        if one["answer"] and one["state"] in ("open", "refused", "undecided"):
            said = say("ideas.said", tongue, idea=one["idea"], reason=one["answer"].partition("diff --git")[0].strip())
            screen.print(Text(said, style="dim"))
    for sentence in ahead(state, plugins.foresight()):
        screen.print(Text(tell(sentence, tongue), style="dim"))
    return 0


def _edge(value: float | None, sign: str) -> str:
    return f"{sign}∞" if value is None else number(value)


def idea_story(state: State, found: Idea, ledger: Ledger, lang: str, *, as_json: bool) -> int:
    """Tell of an idea: who had it, what was done, what each pair of fresh seeds said, and where it stands. For `why`."""
    events = list(ledger.read(subject=found.id))
    moved = ledger.read(subject=found.candidate, kinds=("baseline.moved",)) if found.candidate else ()
    gate = gate_story([*events, *moved], sealed_values=True)
    told = sorted([*story(events), *gate], key=lambda one: one.facts[:1])
    pairs, now, took = pair_statements(state, found), statement(state, found), cost(state, found)
    if as_json:
        lines = {"story": spoken(told, lang), "pairs": spoken(pairs, lang), "now": spoken([now], lang),
                 "took": spoken([took] if took is not None else [], lang)}  # fmt: skip
        document({**row(state, found), **lines})
        return 0
    screen = console()
    screen.print(Text(f"{found.id} {one_line(named(found), limit=200)}", style="bold"))
    for one in (*told, *pairs, *([took] if took is not None else [])):
        screen.print(indented(line(one, lang)))
    screen.print(indented(line(now, lang)), style="bold")
    return 0

"""The verb `incidents`, and `show` where it is about one: what went wrong, what was done, and what a person is asked."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.incident_page import incident_html
from secondshift.interfaces.brief.plots import strips
from secondshift.interfaces.brief.streams import Stream, surroundings
from secondshift.interfaces.cli.desk import Desk, language, open_desk
from secondshift.interfaces.cli.printing import console, document, indented, spoken
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import moment
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.incidents import Known, all_of, done, is_detail, ordered, standing, told, what
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.runtime.wholefiles import replace_text

STYLES = {"asks": "yellow", "held": "yellow", "closed": "dim"}
WHAT, DONE = 44, 60  # characters of a cell
STRIP = 64  # columns of a plot


def incidents(
    *,
    all: Annotated[bool, Parameter(negative="", help="Show those that are over, too.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Show what went wrong: the incidents that are open, those that wait for you first."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        known = ordered(all_of(desk.ledger).values(), state)
    shown = [one for one in known if all or not one.outcome]
    if json:
        document({"incidents": [summary(one, state, tongue) for one in shown], "over": sum(bool(k.outcome) for k in known)})
        return 0
    screen = console()
    if shown:
        screen.print(_table(shown, state, tongue))
        screen.print(Text(say("incident.hint", tongue, incident=shown[0].incident.id), style="dim"))
    else:
        screen.print(Text(say("incident.none" if known else "incident.none_ever", tongue)))
    over = len(known) - len(shown)
    if over:
        screen.print(Text(say("incident.more", tongue, n=over), style="dim"))
    return 0


def summary(known: Known, state: State, lang: str) -> dict[str, Any]:
    """One incident for programs: all that is recorded of it, how it stands, and in words what is wrong."""
    recorded = msgspec.to_builtins(known.incident)
    return {
        **recorded,
        "state": standing(known, state),
        "trial": known.trial,
        "text": tell(what(known.incident), lang),
        "closed": known.outcome,
        "closed_at": known.closed_at or None,
        "facts": known.facts,
    }


def _table(shown: list[Known], state: State, lang: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in ("id", "trial", "what", "since", "rung", "done", "state"):
        grid.add_column(say(f"incident.head_{head}", lang), overflow="fold")
    for known in shown:
        incident, how = known.incident, standing(known, state)
        grid.add_row(
            Text(incident.id), Text(known.trial), Text(one_line(tell(_kind(known), lang), limit=WHAT)),
            Text(_when(known, lang)), Text(_word(f"rung_{incident.rung}", lang) if incident.cause else "—"),
            Text(_done(known, lang)), Text(_word(f"state_{how}", lang)), style=STYLES.get(how, ""),
        )  # fmt: skip
    return grid


def _kind(known: Known) -> Statement:
    said = what(known.incident)
    return replace(said, key="incident.kind") if known.incident.cause else said


def _when(known: Known, lang: str) -> str:
    incident = known.incident
    if incident.since < 0:
        return moment(incident.opened_at, lang)
    return say("incident.when", lang, since=incident.since, when_at=incident.opened_at)


def _done(known: Known, lang: str) -> str:
    incident = known.incident
    if not incident.cause:
        return one_line(incident.action, limit=DONE)
    return one_line(say("incident.done", lang, done_words=done(incident)), limit=240)


def _word(name: str, lang: str) -> str:
    return say("incident.word", lang, name_word=name)


def incident_named(desk: Desk, name: str) -> Known:
    """The incident of this id. Raises SecondshiftError."""
    known = all_of(desk.ledger)
    if name in known:
        return known[name]
    newest = next(reversed(known), None)
    have = f"They go from i1 to {newest}" if newest else "None is recorded in this study"
    raise SecondshiftError(f"There is no incident {name!r}. {have}. `secondshift incidents --all` lists them.")


def show_incident(desk: Desk, name: str, lang: str, *, json: bool, html: Path | None) -> int:
    """Show one incident in full, with the stream around it; or write it as one HTML file."""
    known, state = incident_named(desk, name), desk.state()
    stream = surroundings(desk.ledger, state, known.incident)
    lines = told(known, state, stream.since_at if stream else 0.0) if known.incident.cause else _plain(known)
    title = _title(known, state)
    if html is not None:
        try:
            replace_text(html, incident_html(title, lines, stream, lang))
        except OSError as problem:
            raise SecondshiftError(
                f"{html} cannot be written: {problem.strerror}. Name a file in a folder that is there."
            ) from problem
        document({"html": str(html)}) if json else print(html)
        return 0
    if json:
        document({**summary(known, state, lang), "sentences": spoken(lines, lang), "stream": stream and stream.plain()})
        return 0
    screen = console()
    screen.print(Text(tell(title, lang), style="bold"))
    for line in lines:
        text = indented(Text(tell(line, lang)))
        screen.print(Padding(text, (0, 0, 0, 2), expand=False) if is_detail(line) else text)
    if stream is not None:
        _print_stream(screen, stream, lang)
    return 0


def _title(known: Known, state: State) -> Statement:
    values = {"incident": known.incident.id, "trial": known.trial, "state_word": f"state_{standing(known, state)}"}
    if not known.incident.cause:
        return Statement(key="incident.title_plain", values=values)
    return Statement(key="incident.title", values={**values, "cause_word": what(known.incident).values["cause_word"]})


def _plain(known: Known) -> list[Statement]:
    """An incident that is not one of the captain's: as it was recorded."""
    incident, facts = known.incident, tuple(known.facts)
    values = {"when_at": incident.opened_at, "action": incident.action or "—", "outcome": known.outcome}
    key = "incident.plain_over" if known.outcome else "incident.plain_open"
    said = [Statement(key="incident.plain", values={"finding": text}) for text in (incident.finding, *incident.evidence)]
    return [replace(line, facts=facts) for line in (*said, Statement(key=key, values=values))]


def _print_stream(screen: Console, stream: Stream, lang: str) -> None:
    head = say("incident.curve", lang, metric=stream.metric, first=stream.first, last=stream.last)
    screen.print(Text(f"\n{head}", style="dim"))
    for name, strip in strips(stream, STRIP):
        screen.print(indented(Text.assemble((f"{name:<8}", "dim"), (strip, "cyan" if name else "yellow"))))
    screen.print(indented(Text(say("incident.marks", lang, since=stream.since), style="dim")))

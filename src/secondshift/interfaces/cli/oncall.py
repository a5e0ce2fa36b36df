"""The verb `oncall`: who is behind the captain, until when, who is next; hand over, swap, export."""

import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from secondshift import plugins
from secondshift.config import load_study
from secondshift.errors import ConfigInvalid, FolderReadOnly, SecondshiftError
from secondshift.interfaces.cli.desk import Desk, asker, language, open_desk, study_file
from secondshift.interfaces.cli.printing import console, document, line, spoken
from secondshift.interfaces.cli.spans import day
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import zone_name
from secondshift.interfaces.readmodel import duties as readmodel
from secondshift.records.events import DecisionDropped, DutyCovered, RequestReceived
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Rota
from secondshift.runtime.opening import private_folder
from secondshift.runtime.spool import pending, put_request
from secondshift.runtime.studyfiles import has_ledger
from secondshift.runtime.wholefiles import replace_text

PATIENCE_S = 15.0
UNHEARD = 1  # exit code: an engine lives, and has not taken the request up in time
EXPORTED_S = 26 * 7 * 86400.0  # half a year
ABOUT_US = ("hand-over", "swap")  # requests


def oncall(
    *,
    week: Annotated[bool, Parameter(negative="", help="List the duties of the next seven days.")] = False,
    ical: Annotated[Path | None, Parameter(help="Write the next half year as an iCalendar file.")] = None,
    hand_over: Annotated[str | None, Parameter(help="Let this person take over now, until the present duty ends.")] = None,
    swap: Annotated[str | None, Parameter(help="Let this person take over days of the rota, from --first to --last.")] = None,
    first: Annotated[str | None, Parameter(help="Of a swap: its first day, such as 2026-12-24.")] = None,
    last: Annotated[str | None, Parameter(help="Of a swap: its last day; left out: the first.")] = None,
    note: Annotated[str, Parameter(help="What the next person should know.")] = "",
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Show who is on call, why, until when and who is next; or hand over, swap days, export a calendar."""
    file, tongue = study_file(study), language(lang)
    if hand_over is not None or swap is not None:
        return _ask(file, hand_over, swap, first, last, note, tongue, json)
    if first or last or note:
        raise SecondshiftError("--first, --last and --note were given alone. Expected --swap WHO or --hand-over WHO with them.")
    rota, waiting, warning = _rota(file, tongue)
    if ical is not None:
        return _export(rota, ical, tongue, json)
    return _show(rota, waiting, warning, week, tongue, json)


def _rota(file: Path, lang: str) -> tuple[Rota, list[str], list[Statement]]:
    """The rota as the file says now with what was asked for since, requests that still wait, and a warning if any."""
    state, asked = State(), [r for r in pending(file.parent / ".secondshift") if r.verb in ABOUT_US]
    if has_ledger(file):
        with open_desk(file) as desk:
            state = desk.state()
    waiting = [_words(request, lang) for request in asked if request.id not in state.answered]
    try:
        rota = load_study(file).oncall.rota
    except ConfigInvalid:
        if state.study is None:
            raise
        return state.rota(), waiting, [Statement(key="oncall.as_recorded")]
    return replace(rota, covers=state.covers), waiting, []


def _words(request: RequestReceived, lang: str) -> str:
    values = {name: str(request.args.get(name, "")) for name in ("to", "first", "last")}
    key = "oncall.asked_hand_over" if request.verb == "hand-over" else "oncall.asked_swap"
    return tell(Statement(key=key, values={"who": request.who, **values}), lang)


def _show(rota: Rota, waiting: list[str], warning: list[Statement], week: bool, lang: str, json: bool) -> int:
    reading, now = plugins.rota(), time.time()
    said = [*warning, *readmodel.sentences(rota, now, reading.duties, reading.awake_at, waiting=waiting)]
    rows = readmodel.week(rota, now, reading.duties) if week else []
    if json:
        duty, other = readmodel.present(rota, now, reading.duties)
        cover = readmodel.cover_of(rota, duty, now)
        duties = reading.duties(rota, now, now + readmodel.WEEK_S) if week else []
        document({
            "now": now, "on_call": readmodel.as_document(duty), "next": other and readmodel.as_document(other),
            "awake_at": reading.awake_at(rota.people[duty.person], now), "note": cover.note if cover else "",
            "week": [readmodel.as_document(one) for one in duties], "waiting": waiting, "text": spoken(said, lang),
        })  # fmt: skip
        return 0
    screen = console()
    for statement in [*said, *rows]:
        screen.print(line(statement, lang))
    clock = f"{rota.handover:%H:%M}"
    screen.print(Text(say("oncall.clock", lang, here=zone_name(now), clock=clock, place=rota.zone), style="dim"))
    return 0


def _export(rota: Rota, target: Path, lang: str, json: bool) -> int:
    reading, now = plugins.rota(), time.time()
    duties = reading.by_turns(rota, now, now + EXPORTED_S)
    text = reading.calendar(duties, title=say("oncall.calendar", lang), now=now)
    try:
        replace_text(target, text)
    except OSError as problem:
        raise FolderReadOnly(f"{target} cannot be written ({problem.strerror}). Name a file in a folder that can be.") from problem
    said = Statement(key="oncall.exported", values={"n": len(duties), "path": str(target)})
    document({"exit": 0, "file": str(target), "duties": len(duties)}) if json else print(tell(said, lang))
    return 0


def _ask(
    file: Path, hand_over: str | None, swap: str | None, first: str | None, last: str | None, note: str, lang: str, json: bool
) -> int:
    if hand_over is not None and swap is not None:
        raise SecondshiftError("Both --hand-over and --swap were given. Expected one of them.")
    who = hand_over if hand_over is not None else swap or ""
    people = _rota(file, lang)[0].people
    if who not in people:
        known = ", ".join(people)
        raise SecondshiftError(f"Nobody of [oncall] is called {who!r}. Expected one of {known}; see `secondshift oncall`.")
    args = {"to": who, "note": note}
    if hand_over is not None and (first or last):
        raise SecondshiftError("--first and --last belong to --swap. A hand-over begins now and ends with the present duty.")
    if swap is not None:
        args |= _stretch(first, last)
    verb = "swap" if swap is not None else "hand-over"
    folder = private_folder(file)
    request = put_request(folder, verb, args, asker())
    code, doc = 0, {"request": request, "text": say("oncall.kept", lang)}
    if has_ledger(file):
        with open_desk(file) as desk:
            if desk.holder().life in ("alive", "remote"):
                code, doc = _answer(desk, request, lang)
    document({"exit": code, "verb": verb, **args, **doc}) if json else print(doc["text"])
    return code


def _stretch(first: str | None, last: str | None) -> dict[str, str]:
    if first is None:
        raise SecondshiftError("--swap was given without --first. Expected the first day, such as --first 2026-12-24.")
    begins, ends = day(first, "--first"), day(last, "--last") if last else day(first, "--first")
    if ends < begins or ends < date.today():
        expected = "Expected a last day that is neither over nor before the first."
        raise SecondshiftError(f"The swap would last from {begins} to {ends}. {expected}")
    return {"first": begins.isoformat(), "last": ends.isoformat()}


def _answer(desk: Desk, request: str, lang: str) -> tuple[int, dict[str, Any]]:
    """Wait until the engine that lives has recorded what came of the request."""
    deadline, seen = time.monotonic() + PATIENCE_S, desk.state().last_seq
    seen = max(0, seen - 1000)  # it may have answered before we looked
    while time.monotonic() < deadline:
        for event in desk.ledger.read(seen, kinds=("duty.covered", "decision.dropped")):
            seen = event.seq
            match event.payload:
                case DutyCovered(cover=cover) if cover.id == request:
                    values = {"person_word": readmodel.named(cover.who), "from_at": cover.begins, "until_at": cover.ends}
                    said = Statement(key="oncall.covered", values=values, facts=(event.seq,))
                    return 0, {"request": request, "recorded": event.seq, "text": line(said, lang).plain}
                case DecisionDropped(decision=decision, reason=reason) if request in decision.based_on:
                    said = Statement(key="oncall.refused", values={"reason": reason}, facts=(event.seq,))
                    return UNHEARD, {"request": request, "dropped": event.seq, "text": line(said, lang).plain}
                case _:
                    pass
        time.sleep(0.1)
    return UNHEARD, {"request": request, "text": say("oncall.unheard", lang, patience_s=PATIENCE_S)}

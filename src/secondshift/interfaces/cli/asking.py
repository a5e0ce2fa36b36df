"""Asking the engine for something through the spool, and waiting until it is recorded what came of it."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from secondshift.errors import LeaseHeld
from secondshift.interfaces.cli.desk import Desk, asker
from secondshift.interfaces.messages.catalogue import say
from secondshift.records.events import DecisionDropped, DecisionMade, RequestReceived
from secondshift.records.states import State
from secondshift.records.studies import Value
from secondshift.runtime.spool import put_request

PATIENCE_S = 15.0
REFUSED = 1  # exit code: it was recorded and refused, with the reason
UNHEARD = 1  # exit code: an engine lives, and has not taken the request up in time


def ask(
    desk: Desk, verb: str, args: Mapping[str, Value], *, done: Callable[[State], str], ends: str
) -> tuple[int, dict[str, Any]]:
    """Leave a request for the engine that lives, and wait for its answer and for what follows.

    `done` gives a sentence once what was asked for has come about, `ends` says what the engine is busy with until then.
    """
    seen = desk.state().last_seq
    request = put_request(desk.folder, verb, args, asker())
    deadline = time.monotonic() + PATIENCE_S
    doc: dict[str, Any] = {"request": request, "received": None, "decided": None}
    while time.monotonic() < deadline:
        for event in desk.ledger.read(seen):
            seen = event.seq
            match event.payload:
                case RequestReceived(id=i) if i == request:
                    doc["received"] = event.seq
                case DecisionMade(decision=d) if request in d.based_on:
                    doc["decided"] = event.seq
                case DecisionDropped(decision=d, reason=reason) if request in d.based_on:
                    text = f"The engine recorded the request (event {doc['received']}) and dropped it: {reason}."
                    return 0, {**doc, "dropped": event.seq, "text": text}
                case _:
                    pass
        if doc["decided"] and (told := done(desk.state())):
            text = f"{told} Requested in event {doc['received']}, decided in event {doc['decided']}."
            return 0, {**doc, "text": text}
        time.sleep(0.1)
    return _late(doc, verb, ends)


def answered(
    desk: Desk, verb: str, args: Mapping[str, Value], *, done: Callable[[State], str], ends: str, waits: str, lang: str,
    attend: Callable[[Path], bool],
) -> tuple[int, dict[str, Any]]:
    """Ask for something and have it answered; give an exit code and what came of it.

    `done` gives a sentence once it has come about; `ends`: what the engine is busy with until then; `waits`: the sentence where
    it has to wait for the next shift; `attend`: answers where no engine works, as shifts.attend.
    """
    if desk.holder().life in ("alive", "remote"):
        code, doc = ask(desk, verb, args, done=done, ends=ends)
        return (REFUSED if "dropped" in doc else code), doc
    seen = desk.state().last_seq
    request = put_request(desk.folder, verb, args, asker())
    doc: dict[str, Any] = {"request": request}
    try:
        with redirect_stdout(sys.stderr):
            attended = attend(desk.file)
    except LeaseHeld:
        return UNHEARD, {**doc, "text": say("gate.engine_began", lang)}
    if not attended:
        return 0, {**doc, "text": waits}
    if told := done(desk.state()):  # also where an earlier request, cut short, asked for the same
        return 0, {**doc, "text": told}
    for event in desk.ledger.read(seen, kinds=("decision.dropped",)):
        if isinstance(event.payload, DecisionDropped) and request in event.payload.decision.based_on:
            text = say("gate.dropped", lang, reason=event.payload.reason, who=asker())
            return REFUSED, {**doc, "dropped": event.seq, "text": text}
    return UNHEARD, {**doc, "text": waits}


def _late(doc: dict[str, Any], verb: str, ends: str) -> tuple[int, dict[str, Any]]:
    if doc["received"] is None:
        text = (
            f"The request is in the spool, but no engine has taken it up within {PATIENCE_S:.0f} s. It is not lost: the engine "
            f"takes it up when it can. See `secondshift status`; if the engine hangs, stop it and say `secondshift {verb}` again."
        )
        return UNHEARD, {**doc, "text": text}
    text = (
        f"The engine has recorded it (event {doc['received']}) and is {ends}; that takes longer than "
        f"{PATIENCE_S:.0f} s. See `secondshift status`."
    )
    return 0, {**doc, "text": text}

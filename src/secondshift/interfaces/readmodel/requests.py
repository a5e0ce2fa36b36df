"""Requests by their ids: whether what somebody asks for was asked for already, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secondshift.interfaces.plain import one_line
from secondshift.records.events import DecisionDropped, DecisionMade, Event, IdeaCaptured, RequestReceived, TrialQueued
from secondshift.runtime import spool

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.ledger.stores import Ledger


def request_named(folder: Path, ledger: Ledger | None, name: str) -> tuple[RequestReceived, str] | None:
    """The request with an id and where it is: waiting (in the spool) or recorded; None if nobody asked under that id.

    The spool is looked at first: what the engine takes out of it meanwhile is in the ledger by then. `ledger` None:
    nothing has run here yet.
    """
    for request in spool.pending(folder):
        if request.id == name:
            return request, "waiting"
    for event in ledger.read(kinds=("request.received",)) if ledger is not None else ():
        if isinstance(event.payload, RequestReceived) and event.payload.id == name:
            return event.payload, "recorded"
    return None


TELLING = ("request.received", "decision.made", "decision.dropped", "idea.captured", "trial.queued")


def fate(folder: Path, ledger: Ledger | None, name: str, since: int = 0) -> dict[str, Any] | None:
    """What came of a request: `waiting` in the spool, `recorded`, `done` with what it made, or `refused` with the reason.

    None if nobody asked under that id. `since`: a fact before which nobody had asked.
    """
    if not spool.SHAPE.fullmatch(name):
        return None
    asked = next((request for request in spool.pending(folder) if request.id == name), None)
    refused = folder / "spool" / "refused" / f"{name}.json.why.txt"
    told: dict[str, Any] = {"request": name, "state": "", "reason": "", "idea": None, "trial": None}
    if ledger is not None:
        told = _recorded(ledger.read(since, kinds=TELLING), told, name)
    if not told["state"] and asked is not None:
        told["state"] = "waiting"
    if not told["state"] and refused.exists():
        told |= {"state": "refused", "reason": one_line(refused.read_text("utf-8", "replace"), limit=400)}
    return told if told["state"] else None


def _recorded(events: Iterable[Event], told: dict[str, Any], name: str) -> dict[str, Any]:
    """What the facts say of a request."""
    made: set[str] = set()  # decisions on it
    for event in events:
        match event.payload:
            case RequestReceived(id=i) if i == name:
                told["state"] = told["state"] or "recorded"
            case DecisionDropped(decision=d, reason=why) if name in d.based_on and told["state"] != "done":
                told |= {"state": "refused", "reason": one_line(why, limit=400)}
            case DecisionMade(decision=d) if name in d.based_on:
                made.add(d.id)
                told |= {"state": "done", "reason": one_line(d.reason, limit=400)}
                if d.verb in ("answer", "stop"):
                    told["idea" if d.verb == "answer" else "trial"] = d.subject
            case IdeaCaptured(idea=idea, decision=d) if d in made:
                told["idea"] = idea.id
                told |= {"state": "refused", "reason": one_line(idea.answer, limit=400)} if idea.state == "refused" else {}
            case TrialQueued(trial=trial, decision=d) if d in made:
                told["trial"] = trial.id
            case _:
                pass
    return told

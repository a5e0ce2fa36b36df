"""The ideas that people have handed to a study: those that wait in the spool, and those that are recorded.

This one function is all that windows know of ideas. Until ideas are judged it tells what was asked for, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from secondshift.records.events import RequestReceived
from secondshift.runtime import spool

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.ledger.stores import Ledger

IDEA = "idea"  # the verb of such a request


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """One idea as it was handed in, and what became of it so far."""

    id: str  # of its request
    text: str
    why: str
    author: str
    asked_at: float  # UTC seconds, by the asker's clock
    state: str  # waiting (in the spool, for an engine), recorded (in the ledger)


def inbox(folder: Path, ledger: Ledger | None) -> list[Handed]:
    """All ideas of a study, newest first. `ledger` None: nothing has run here yet.

    The spool is read first: what the engine takes out of it meanwhile is in the ledger by then, so none is missed.
    """
    found = {one.id: _handed(one, "waiting") for one in spool.pending(folder) if one.verb == IDEA}
    for event in ledger.read(kinds=("request.received",)) if ledger is not None else ():
        if isinstance(event.payload, RequestReceived) and event.payload.verb == IDEA:
            found[event.payload.id] = _handed(event.payload, "recorded")
    return sorted(found.values(), key=lambda one: (one.asked_at, one.id), reverse=True)


def _handed(request: RequestReceived, state: str) -> Handed:
    said = {name: str(request.args.get(name, "")) for name in ("text", "why", "author")}
    author = said.pop("author") or request.who
    return Handed(id=request.id, author=author, asked_at=request.asked_at, state=state, **said)

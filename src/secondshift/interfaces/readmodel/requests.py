"""Requests by their ids: whether what somebody asks for was asked for already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secondshift.records.events import RequestReceived
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

"""The tools that ask: each leaves a request in the spool, as a person's command does, and tells what came of it if that is soon.

Whether it is done is decided by the engine, which knows that an agent asks.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secondshift.errors import SecondshiftError
from secondshift.interfaces.mcp import arguments as asked
from secondshift.interfaces.readmodel.requests import fate
from secondshift.records.askers import is_agent
from secondshift.records.ideas import SET
from secondshift.records.studies import Value
from secondshift.runtime.inboxes import kept
from secondshift.runtime.spool import pending, put_request

if TYPE_CHECKING:  # windows nest deep; only the names of types are needed
    from secondshift.interfaces.mcp.door import Door

PATIENCE_S = 5.0  # for an engine that lives
EVERY_S = 0.1
MOST_WAITING = 100  # requests of agents that no engine has taken up


def add_idea(door: Door, wanted: asked.NewIdea) -> dict[str, Any]:
    """Bring an idea: words, parameters or a patch. It is judged on fresh seeds against the baseline, and you are its author."""
    if not (wanted.text.strip() or wanted.params or wanted.patch):
        raise SecondshiftError("An idea needs words or a change. Expected text, params or patch.")
    if wanted.idea and not (wanted.params or wanted.patch):
        raise SecondshiftError(f"Nothing was given that {wanted.idea} could become. Expected params or patch beside its id.")
    args: dict[str, Value] = {f"{SET}{name}": value for name, value in wanted.params.items()}
    given = {"text": "" if wanted.idea else wanted.text.strip(), "why": wanted.why.strip(), "idea": wanted.idea}
    args |= {name: text for name, text in given.items() if text}
    with door.looking() as seen:
        file = seen.file
        if wanted.idea:
            seen.idea(wanted.idea)
    if wanted.patch:
        args["change"] = _kept(file, wanted.patch)
    return _asked(door, "idea", {**args, "author": door.who})


def _kept(file: Path, patch: str) -> str:
    """Keep a patch by the rules of the inbox and return its digest. Raises ChangeUnusable, with what is to be done."""
    handle, name = tempfile.mkstemp(suffix=".patch")
    try:
        with open(handle, "wb") as draft:
            draft.write(patch.encode("utf-8", "replace"))
        return kept(file, patch=Path(name), branch="")
    except SecondshiftError as problem:
        raise type(problem)(str(problem).replace(name, "The patch")) from problem
    finally:
        os.unlink(name)


def try_parameters(door: Door, wanted: asked.NewTrial) -> dict[str, Any]:
    """Ask for one trial of the search with these parameters. It is paid from the budget, and no verdict rests on it."""
    if not wanted.params:
        raise SecondshiftError("There is nothing to try. Expected params, such as {\"lr\": 0.003}; the rest is the baseline's.")
    args: dict[str, Value] = {f"{SET}{name}": value for name, value in wanted.params.items()}
    return _asked(door, "try", {**args, **({"why": wanted.why.strip()} if wanted.why.strip() else {})})


def withdraw_idea(door: Door, wanted: asked.Idea) -> dict[str, Any]:
    """Take back an idea that you brought, before anything was run for it."""
    with door.looking() as seen:
        seen.idea(wanted.idea)
    return _asked(door, "withdraw", {"idea": wanted.idea})


def stop_trial(door: Door, wanted: asked.StoppedTrial) -> dict[str, Any]:
    """Stop for good a trial that you asked for."""
    with door.looking() as seen:
        found = seen.trial(wanted.trial)
        if not found.open():
            raise SecondshiftError(f"{found.id} is already {found.status}. Nothing was asked for.")
    return _asked(door, "stop", {"trial": found.id})


def _asked(door: Door, verb: str, args: Mapping[str, Value]) -> dict[str, Any]:
    """Leave a request, and wait a little for what the engine makes of it."""
    with door.looking() as seen:
        folder, since = seen.folder, seen.state.last_seq
        works = seen.holder.life in ("alive", "remote")
        waiting = sum(is_agent(request.who) for request in pending(folder))
    if waiting >= MOST_WAITING:
        raise SecondshiftError(
            f"{waiting} requests of agents wait for an engine already; expected fewer than {MOST_WAITING}. Nothing was asked for: "
            "ask again once a shift has taken them up."
        )
    request = put_request(folder, verb, args, door.who)
    until = time.monotonic() + (PATIENCE_S if works else 0.0)
    while True:
        with door.looking() as seen:
            told = fate(folder, seen.desk.ledger if seen.desk is not None else None, request, since)
        told = told or {"request": request, "state": "waiting"}
        if told["state"] in ("done", "refused") or time.monotonic() >= until:
            return {**told, "means": _MEANS[told["state"]]}
        time.sleep(EVERY_S)


_MEANS = {
    "waiting": "It is kept and will not be lost: the next engine takes it up. `request` tells what came of it.",
    "recorded": "An engine has recorded it and not answered yet. `request` tells what came of it.",
    "done": "It was taken up.",
    "refused": "It was refused, with the reason; nothing was done.",
}

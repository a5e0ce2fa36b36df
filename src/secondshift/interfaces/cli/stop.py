"""The verb `stop`: ask for it, and wait until it is recorded what came of it."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from secondshift import shifts
from secondshift.errors import LeaseHeld, SecondshiftError
from secondshift.interfaces.brief.write import write_brief
from secondshift.interfaces.cli.asking import UNHEARD, ask
from secondshift.interfaces.cli.desk import Desk, asker, open_desk, trial_named
from secondshift.interfaces.cli.printing import document
from secondshift.records.states import State
from secondshift.runtime.spool import put_request


def stop(
    trial: Annotated[
        str | None, Parameter(help="A trial to stop for good, such as t7. Left out: the shift ends, trials pause.")
    ] = None,
    /,
    *,
    now: Annotated[
        bool, Parameter(negative="", help="Do not wait for checkpoints: end the processes at once.")
    ] = False,
    undo: Annotated[bool, Parameter(negative="", help="Let a trial that was stopped go on from what it saved.")] = False,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Stop a trial or the whole shift, and say what came of it; where no engine lives, do it here and now."""
    with open_desk(study) as desk:
        state = desk.state()
        target = trial_named(state, trial).id if trial is not None else ""
        if target in state.imported:
            raise SecondshiftError(f"{target} was imported: it ended long ago. Nothing was asked for.")
        if undo:
            code, doc = _undone(desk, state, target, now)
            document({"exit": code, "trial": target, **doc}) if json else print(doc["text"])
            return code
        if target and not state.trials[target].open():
            status = state.trials[target]
            raise SecondshiftError(f"{target} is already {status.status} ({status.reason}). Nothing was asked for.")
        if desk.holder().life in ("alive", "remote"):
            what = target or "the shift"
            code, doc = ask(desk, "stop", _args(target, now), done=lambda s: _done(s, target), ends=f"ending {what}")
        elif state.shift is None and not target:
            code, doc = 0, {"text": "Nothing is running: no shift is open and no engine works. Nothing was asked for."}
        elif state.shift is None:
            request = put_request(desk.folder, "stop", _args(target, now), asker())
            text = f"No engine is running. {target} will be stopped when the next one begins."
            code, doc = 0, {"request": request, "text": text}
        else:
            code, doc = _by_ourselves(desk, target, now)
    if json:
        document({"exit": code, "trial": target or None, "now": now, **doc})
    else:
        print(doc["text"])
    return code


def _undone(desk: Desk, state: State, target: str, now: bool) -> tuple[int, dict[str, Any]]:
    """Take back that a trial was stopped: by the engine that lives, or by the next one."""
    if not target or now:
        raise SecondshiftError("--undo takes back that one trial was stopped. Expected `secondshift stop t7 --undo`.")
    trial = state.trials[target]
    if trial.status != "stopped":
        raise SecondshiftError(f"{target} was not stopped: it is {trial.status}. Nothing was asked for.")
    args = {"trial": target, "undo": True}
    if desk.holder().life in ("alive", "remote"):
        return ask(desk, "stop", args, done=lambda s: _goes_on(s, target), ends="taking it back")
    request = put_request(desk.folder, "stop", args, asker())
    return 0, {"request": request, "text": f"No engine is running. {target} may go on when the next one begins: `secondshift run`."}


def _goes_on(state: State, target: str) -> str:
    return f"{target} may run again: it is {state.trials[target].status}." if state.trials[target].open() else ""


def _args(target: str, now: bool) -> dict[str, Any]:
    return {**({"trial": target} if target else {}), **({"now": True} if now else {})}


def _done(state: State, target: str) -> str:
    """A sentence if what was asked for has come about, else nothing."""
    if target:
        trial = state.trials[target]
        return "" if trial.open() else f"{target} is {trial.status}."
    return "The shift has ended; nothing runs." if state.shift is None else ""


def _by_ourselves(desk: Desk, target: str, now: bool) -> tuple[int, dict[str, Any]]:
    """No engine lives: take the lease, end what runs, settle, leave. A trial's own stop is recorded on the way."""
    request = put_request(desk.folder, "stop", _args(target, now), asker()) if target else ""
    try:
        with redirect_stdout(sys.stderr):
            code = shifts.stop_now(desk.file, now=now, write_brief=write_brief)
    except LeaseHeld:
        text = "An engine has just begun to work on this study; say `secondshift stop` again to ask it."
        return UNHEARD, {"request": request, "text": text}
    state = desk.state()
    left = len(state.attempts)
    fate = f"{target} is {state.trials[target].status}. " if target else ""
    runs = f"{left} still recorded as running" if left else "nothing runs any more"
    text = f"No engine was running, so this command did it itself: {fate}The shift has ended; {runs}."
    return code, {"request": request or None, "text": text}

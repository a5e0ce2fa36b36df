"""The verbs that run a night: `demo`, `run`, and the hidden `engine` that a keeper starts."""

import sys
import traceback
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Annotated

from cyclopts import Parameter

from secondshift import shifts
from secondshift.errors import LeaseHeld, LedgerBusy, LedgerFull, SecondshiftError
from secondshift.interfaces.brief.write import write_brief
from secondshift.interfaces.cli.desk import language, open_desk, study_file
from secondshift.interfaces.cli.narration import Narrator
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.cli.quoting import show_quote
from secondshift.interfaces.cli.spans import seconds
from secondshift.interfaces.wake import write_page
from secondshift.records.events import BriefWritten
from secondshift.runtime.keeper import keep

Study = Annotated[
    Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder. Left out: found here or above.")
]
CRASHED = 1  # exit code of an engine that a keeper shall start again
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")]


def run(
    *,
    until: Annotated[
        str | None, Parameter(help="Work until this time of day on this machine's clock, such as 08:00.")
    ] = None,
    for_: Annotated[str | None, Parameter(name="--for", help="Work for so long, such as 2h or 90m.")] = None,
    detach: Annotated[
        bool, Parameter(negative="", help="Go on after the terminal is closed; return once it works.")
    ] = False,
    slots: Annotated[
        int | None, Parameter(help="Trials at once; left out: what the study or the machine says.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Only go on with a shift that broke off; begin none.")] = False,
    quote: Annotated[
        bool, Parameter(negative="", help="Only say what such a shift may cost; begin none.")
    ] = False,
    study: Study = None,
    json: Json = False,
) -> int:
    """Work a shift on a study; the same command goes on with one that broke off."""
    if until is not None and for_ is not None:
        raise SecondshiftError(
            "Both --until and --for were given. Expected one of them: when to end, or how long to work."
        )
    if slots is not None and slots < 1:
        raise SecondshiftError(f"--slots was given {slots}. Expected at least 1: how many trials may run at once.")
    file = study_file(study)
    for_s = seconds(for_) if for_ is not None else None
    if quote:
        return show_quote(file, until=until, for_s=for_s, slots=slots, lang=language(None), json=json)
    if not json:
        return keep(file, until=until or "", for_s=for_s, detach=detach, slots=slots or 0, resume=resume)
    with redirect_stdout(sys.stderr):
        code = keep(file, until=until or "", for_s=for_s, detach=detach, slots=slots or 0, resume=resume)
    document({"exit": code, "study": str(file), "detached": detach, **_outcome(file)})
    return code


def _outcome(file: Path) -> dict[str, object]:
    try:
        with open_desk(file) as desk:
            state = desk.state()
            briefs = [
                e.payload for e in desk.ledger.read(kinds=("brief.written",)) if isinstance(e.payload, BriefWritten)
            ]
            newest = briefs[-1].files if briefs and state.shift is None else ()
            return {
                "shift": state.shift.id if state.shift else None,
                "trials": dict(state.statuses),
                "brief": [str(desk.folder / name) for name in newest],
            }
    except SecondshiftError:
        return {"shift": None, "trials": {}, "brief": []}


def engine(
    *,
    study: Annotated[Path, Parameter(name="--study")],
    until: str | None = None,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    slots: int | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Work one shift in this very process, writing its brief at the end."""
    try:
        file = study_file(study)
        return shifts.work(
            file,
            until=until,
            for_s=seconds(for_) if for_ else None,
            resume=resume,
            slots=slots,
            write_brief=write_brief,
            write_page=partial(write_page, host=gethostname(), folder=str(file.parent)),
            tell=Narrator(language(None)),
        )
    except LeaseHeld as held:
        print(held, file=sys.stderr, flush=True)
        return shifts.HELD
    except (LedgerBusy, LedgerFull) as passing:  # it may do better in a moment: the keeper tries again
        print(passing, file=sys.stderr, flush=True)
        return CRASHED
    except SecondshiftError:
        raise
    except Exception:  # a fault of ours is no mistake of a person: the keeper must see a crash, and start us again
        traceback.print_exc()
        return CRASHED

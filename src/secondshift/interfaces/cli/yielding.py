"""The verb `yield`: give this machine back to whoever needs it, and take it again."""

import os
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import FolderReadOnly
from secondshift.interfaces.cli.desk import asker, open_desk
from secondshift.interfaces.cli.printing import document
from secondshift.runtime.lending import YIELD


def give_way(
    *,
    end: Annotated[bool, Parameter(negative="", help="Let the trials come back.")] = False,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Pause what runs and start nothing until `--end`: the machine is wanted back. The shift goes on meanwhile."""
    with open_desk(study) as desk:
        alive = desk.holder().life in ("alive", "remote")
        running = len(desk.state().attempts)
        place = desk.folder / YIELD
    try:
        was = place.exists()
        if end:
            place.unlink(missing_ok=True)
        elif not was:
            draft = place.with_name(f"{YIELD}.{os.getpid()}.tmp")
            draft.write_text(f"{asker()} asked for it at {time.strftime('%H:%M')}\n", encoding="utf-8")
            draft.replace(place)
    except OSError as problem:
        raise FolderReadOnly(
            f"{place} cannot be {'removed' if end else 'written'} ({problem.strerror}). It is the file that says the "
            "machine is wanted back. Make the folder writable, or stop the shift with `secondshift stop`."
        ) from problem
    if end:
        text = "Trials come back." if was else "The machine was not given away; nothing changed."
    else:
        count = f"{running} {'trial' if running == 1 else 'trials'} will save and pause. " if running and alive else ""
        text = f"{count}Nothing is started until `secondshift yield --end`; a deadline of the shift still holds."
    document({"exit": 0, "yielded": not end, "text": text}) if json else print(text)
    return 0

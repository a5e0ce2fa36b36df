"""`secondshift run --quote`: what a shift may cost, without beginning one."""

import time
from dataclasses import replace
from pathlib import Path

from secondshift import config, plugins
from secondshift.interfaces.cli.printing import console, document, line, spoken
from secondshift.interfaces.readmodel.quotes import quoted, row
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime.opening import deadline, private_folder
from secondshift.runtime.spool import pending
from secondshift.runtime.studyfiles import has_ledger


def show_quote(file: Path, *, until: str | None, for_s: float | None, slots: int | None, lang: str, json: bool) -> int:
    """Print the quote of a shift that would begin now: the study file as it is, over what was spent so far."""
    found = plugins.quoting()(_beginning(file, until, for_s, slots))
    said = quoted(found)
    if json:
        document({"quote": row(found), "sentences": spoken(said, lang)})
        return 0
    screen = console()
    for one in said:
        screen.print(line(one, lang))
    return 0


def _beginning(file: Path, until: str | None, for_s: float | None, slots: int | None) -> State:
    """The state as it would be at the beginning of that shift; one that broke off goes on as it was."""
    study, folder, state, now = config.load_study(file), private_folder(file), State(), time.time()
    if has_ledger(file):
        ledger = open_ledger(folder, readonly=True)
        try:
            state = load_state(ledger, folder / "cache" / "state.bin")
        finally:
            ledger.close()
    study = replace(study, revision=state.study.revision if state.study is not None else study.revision)
    shift = state.shift or Shift(
        id="next", started_at=now, deadline_at=deadline(until, for_s, now), slots=slots or _slots(study, folder)
    )
    asked = {request.id: request for request in pending(folder) if request.id not in state.answered}
    return replace(state, study=study, shift=shift, now_s=now, requests={**state.requests, **asked})


def _slots(study: Study, folder: Path) -> int:
    """Trials at once, as a shift would have it."""
    executor = plugins.executor(study.launch.executor)(folder, study=study)
    try:
        return study.launch.slots or len(executor.devices()) + len(executor.held()) or 1
    finally:
        executor.close()

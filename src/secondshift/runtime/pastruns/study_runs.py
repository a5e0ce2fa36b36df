"""Reads the trials of another secondshift study out of its ledger, without disturbing an engine that works there."""

from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records.pastruns import PastRun, RunStatus
from secondshift.records.states import State
from secondshift.records.studies import Value
from secondshift.records.trials import Trial
from secondshift.runtime.pastruns.gathering import relative

PRIVATE = ".secondshift"


def study_at(path: Path) -> Path | None:
    """The private folder of the study that a path names: its folder, its study file or its ledger; None if it is none."""
    for folder in (path / PRIVATE, path, path.parent / PRIVATE if path.suffix == ".toml" else path.parent):
        if folder.name == PRIVATE and (folder / "ledger.db").is_file():
            return folder.resolve()
    return None


def study_runs(folder: Path, home: Path) -> Iterator[PastRun]:
    """Give the trials that ran as their script is: not what was helped or inherited weights, nor what ran other code.

    folder: the study's private one. Raises LedgerDamaged, LedgerNewer, LedgerBusy.
    """
    with closing(open_ledger(folder, readonly=True)) as ledger:
        state = fold(State(), ledger.read())
        for trial in state.trials.values():
            candidate = state.candidates.get(trial.candidate)
            if candidate is not None and trial.unaided() and not candidate.code and trial.status != "queued":
                yield _run(state, trial, ledger, relative(folder.parent, home))


def _run(state: State, trial: Trial, ledger: Ledger, where: str) -> PastRun:
    columns: dict[str, tuple[array, array]] = {}
    for batch in ledger.batches(trial.id):
        steps, values = columns.setdefault(batch.metric, (array("q"), array("d")))
        steps.extend(batch.steps)
        values.extend(batch.values)
    ends: dict[str, RunStatus] = {"complete": "finished", "failed": "failed", "running": "running"}
    return PastRun(
        source="secondshift", run=f"{where}#{trial.id}", name=f"{state.study.name if state.study else where} {trial.id}",
        status=ends.get(trial.status, "unknown"), params=_params(state, trial), hints={"seed": trial.seed}, columns=columns,
    )  # fmt: skip


def _params(state: State, trial: Trial) -> dict[str, Value]:
    space = state.study.space.parameters if state.study is not None else ()
    defaults = {
        parameter.name: parameter.default for parameter in space if parameter.default is not None and not parameter.when
    }
    given = {**state.candidates[trial.candidate].params, **trial.params}
    return {**{name: value for name, value in defaults.items() if name not in given}, **given}

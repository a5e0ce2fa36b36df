"""The verb `import`: past runs become finished trials of a study."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.text import Text

from secondshift import config, shifts
from secondshift.config.fitting import Fitted, Names, fit
from secondshift.errors import LeaseHeld, SecondshiftError
from secondshift.interfaces.cli.desk import asker, language, open_desk, study_file
from secondshift.interfaces.cli.printing import console, document, indented
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.objectives import written
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime import imports
from secondshift.runtime.opening import private_folder
from secondshift.runtime.pastruns.finding import find_runs
from secondshift.runtime.studyfiles import has_ledger

NOTHING = 1  # exit code: none of the runs that were found can be used
PATIENCE_S = 20.0  # in which an engine that lives takes in the next run
Given = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]


@dataclass(kw_only=True, slots=True)
class Line:
    """What is said of one run that was found."""

    fitted: Fitted
    trial: str = ""  # as which it stands in the study
    fate: str = "unusable"  # imported, known, unusable, waiting, fits
    file: Path | None = None  # where it waits to be taken in
    replaced: str = ""


def take_over(
    *paths: Annotated[
        Path, Parameter(help="Where the runs lie: mlruns, mlflow.db, wandb/, TensorBoard folders, CSV files, another study.")
    ],
    from_: Annotated[
        Literal["auto", "mlflow", "tensorboard", "wandb", "csv", "secondshift"], Parameter(name="--from", help="What wrote them.")
    ] = "auto",
    metric: Annotated[
        Given, Parameter(name="--metric", help="theirs=ours: a metric that has another name here.")
    ] = None,
    map_: Annotated[Given, Parameter(name="--map", help="theirs=ours: a parameter that has another name here.")] = None,
    seed_from: Annotated[str, Parameter(name="--seed-from", help="Their parameter that holds the seed.")] = "",
    dry_run: Annotated[
        bool, Parameter(name="--dry-run", negative="", help="Only say what would be taken over.")
    ] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Take over past runs of MLflow, W&B, TensorBoard, CSV or another study as finished trials, one line for each."""
    tongue = language(lang)
    if not paths:
        raise SecondshiftError("No path was given. Say where the runs lie: `secondshift import mlruns`.")
    file = study_file(study)
    asked = config.load_study(file)
    names = Names(metrics=_pairs(metric, "--metric"), params=_pairs(map_, "--map"), seed=seed_from)
    _check(names, asked)
    runs = sorted(find_runs(paths, from_, file.parent), key=lambda run: (run.started_at, run.run))
    lines = [Line(fitted=fit(asked, run, names)) for run in runs]
    _judge(lines, _state(file), asked)
    if not dry_run:
        _hand_over(file, asked, lines)
    if json:
        document(_document(lines, tongue, dry_run))
    else:
        _print(lines, tongue, dry_run)
    return 0 if any(line.fate != "unusable" for line in lines) else NOTHING


def _pairs(given: Iterable[str] | None, flag: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or ():
        theirs, mark, ours = text.rpartition("=")
        if not (theirs and mark and ours):
            raise SecondshiftError(f"{flag} was given {text!r}; expected theirs=ours, such as {flag} optimizer.lr=lr.")
        pairs[theirs] = ours
    return pairs


def _check(names: Names, study: Study) -> None:
    known = [parameter.name for parameter in study.space.parameters]
    for ours in names.params.values():
        if ours not in (*known, "seed"):
            raise SecondshiftError(
                f"--map names {ours!r}, which is no parameter of this study. It has: {', '.join(known) or 'none'}."
            )


def _state(file: Path) -> State | None:
    if not has_ledger(file):
        return None
    with open_desk(file) as desk:
        return desk.state()


def _judge(lines: Sequence[Line], state: State | None, study: Study) -> None:
    """Say which runs fit, which the study has already, and which of those that were found are the same."""
    here = state is not None and state.study is not None and imports.fits(state.study) == imports.fits(study)
    known = imports.Known(state if here and state is not None else State())
    seen: dict[str, str] = {}
    for line in lines:
        fact = line.fitted.fact
        if fact is None:
            continue
        line.trial = known.same(fact)
        twin = seen.setdefault(fact.digest, fact.run)
        if line.trial:
            line.fate = "known"
        elif twin != fact.run:
            line.fitted, line.fate = replace(line.fitted, fact=None, problem="twin", values={"other": twin}), "unusable"
        else:
            line.fate, line.replaced = "fits", known.runs.get((fact.source, fact.run), "")


def _hand_over(file: Path, study: Study, lines: Sequence[Line]) -> None:
    """Leave the runs that fit for the process that writes the ledger: an engine on shift, else this one."""
    folder = private_folder(file)
    for line in lines:
        if line.fate == "fits" and line.fitted.fact is not None:
            fact = replace(line.fitted.fact, who=asker())
            line.file, line.fate = imports.prepare(folder, study, fact, line.fitted.columns), "waiting"
    mine = {line.file for line in lines if line.file is not None}
    if mine:
        _until_taken(file, lambda: len(mine & set(imports.pending(folder))))
    state = _state(file)
    known = imports.Known(state or State())
    for line in lines:
        if line.file is None or line.fitted.fact is None:
            continue
        if line.file.exists():
            continue  # no process could take it in yet
        line.trial = known.same(line.fitted.fact)
        line.fate = "imported" if line.trial else "unusable"
        if not line.trial:
            values = {"why": imports.refusal(line.file) or "?"}
            line.fitted = replace(line.fitted, problem="refused", values=values)


def _until_taken(file: Path, left: Callable[[], int]) -> None:
    deadline, before = time.monotonic() + PATIENCE_S, left()
    while before and time.monotonic() < deadline:
        if _alive(file):
            time.sleep(0.1)
        else:
            try:
                if not shifts.take_imports(file):
                    return  # a shift broke off: `secondshift run` goes on with it, and takes them in
            except LeaseHeld:
                time.sleep(0.1)  # another has just begun, and does it
        now = left()
        if now < before:
            deadline, before = time.monotonic() + PATIENCE_S, now


def _alive(file: Path) -> bool:
    if not has_ledger(file):
        return False
    with open_desk(file) as desk:
        return desk.holder().life in ("alive", "remote")


def _said(line: Line) -> Statement:
    """One sentence on a run."""
    run, fact = line.fitted.run, line.fitted.fact
    label = {"run": one_line(run.name), "id": one_line(run.run)}
    if line.fate == "unusable" or fact is None:
        return Statement(key=f"import.bad_{line.fitted.problem}", values={**label, **line.fitted.values})
    values = {
        **label,
        "trial": line.trial or "—",
        "status_word": fact.status,
        "params": written(fact.params) or "—",
        "seed": str(fact.seed) if fact.seed_known else "?",
        "points": fact.points,
        "steps": max(summary.last_step for summary in fact.metrics.values()),
    }
    return Statement(key=f"import.{line.fate}", values=values)


def _notes(line: Line) -> list[Statement]:
    """What else a person should know of a run that is used."""
    notes = []
    if line.fate in ("imported", "fits", "waiting"):
        if line.fitted.cut:
            notes.append(Statement(key="import.cut", values={"n": line.fitted.cut}))
        if line.fitted.run.damaged:
            notes.append(Statement(key="import.damaged", values={"n": line.fitted.run.damaged}))
        if line.replaced:
            notes.append(Statement(key="import.replaces", values={"trial": line.replaced}))
        if line.fitted.fact is not None and not line.fitted.fact.seed_known:
            notes.append(Statement(key="import.no_seed"))
    return notes


def _summary(lines: Sequence[Line], dry_run: bool) -> list[Statement]:
    counts = {
        fate: sum(line.fate == fate for line in lines) for fate in ("imported", "fits", "known", "unusable", "waiting")
    }
    matched = {ours: theirs for line in lines for ours, theirs in line.fitted.matched.items() if ours != theirs}
    said = [Statement(key="import.matched", values={"ours": o, "theirs": t}) for o, t in sorted(matched.items())]
    said.append(Statement(key="import.would" if dry_run else "import.sum", values={"n": len(lines), **counts}))
    if counts["waiting"]:
        said.append(Statement(key="import.waits", values={"n": counts["waiting"]}))
    if counts["imported"]:
        said.append(Statement(key="import.marked"))
    return said


def _print(lines: Sequence[Line], tongue: str, dry_run: bool) -> None:
    screen = console()
    for line in lines:
        screen.print(Text(tell(_said(line), tongue), style="yellow" if line.fate == "unusable" else ""))
        for note in _notes(line):
            screen.print(indented(Text(tell(note, tongue), style="dim")))
    for statement in _summary(lines, dry_run):
        screen.print(Text(tell(statement, tongue)))


def _document(lines: Sequence[Line], tongue: str, dry_run: bool) -> dict[str, Any]:
    runs = []
    for line in lines:
        fact = line.fitted.fact
        runs.append({
            "source": line.fitted.run.source, "run": line.fitted.run.run, "name": line.fitted.run.name, "fate": line.fate,
            "trial": line.trial or None, "problem": line.fitted.problem or None, "status": fact and fact.status,
            "seed": fact.seed if fact and fact.seed_known else None, "params": dict(fact.params) if fact else None,
            "points": fact.points if fact else 0, "matched": dict(line.fitted.matched),
            "text": tell(_said(line), tongue), "notes": [tell(note, tongue) for note in _notes(line)],
        })  # fmt: skip
    return {"dry_run": dry_run, "runs": runs, "summary": [tell(s, tongue) for s in _summary(lines, dry_run)]}

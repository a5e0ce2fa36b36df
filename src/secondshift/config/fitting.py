"""Fits past runs into a study: which of their names are its parameters, objective and seed, and whether they can be used."""

import hashlib
import math
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import msgspec

from secondshift.ledger.batches import crc
from secondshift.ledger.summaries import summarise
from secondshift.policies.models.spaces import region
from secondshift.records.events import RunImported
from secondshift.records.orders import Batch
from secondshift.records.pastruns import Columns, PastRun
from secondshift.records.studies import Objective, Parameter, Study, Value
from secondshift.runtime.secrecy import KEPT_OUT, looks_secret

MOST_OTHERS, MOST_LETTERS = 200, 200  # of parameters outside the space, and of the text of one
SEED = "seed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Which of their names stands for which of ours, where a person says so."""

    metrics: Mapping[str, str] = field(default_factory=dict)  # theirs -> ours
    params: Mapping[str, str] = field(default_factory=dict)  # theirs -> ours
    seed: str = ""  # the name of their seed


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """One past run as the study sees it: a fact and its points, or why it cannot be used."""

    run: PastRun
    problem: str = ""  # the last part of a key below import.bad_; empty: usable
    values: Mapping[str, str | int | float] = field(default_factory=dict)  # of that sentence
    fact: RunImported | None = None  # without a trial's id; None: not usable
    columns: Columns = field(default_factory=dict)
    matched: Mapping[str, str] = field(default_factory=dict)  # ours -> theirs
    cut: int = 0  # points past the horizon that are left out


class _Unusable(Exception):
    """A run cannot be used; carries the key of the sentence and its values."""

    def __init__(self, problem: str, **values: str | int | float) -> None:
        super().__init__(problem)
        self.problem = problem
        self.values = values


def fit(study: Study, run: PastRun, names: Names) -> Fitted:
    """Map a run's names to the study's and judge it. Ambiguous names are never guessed: the run is unusable, and says why."""
    try:
        return _fitted(study, run, names)
    except _Unusable as found:
        return Fitted(run=run, problem=found.problem, values=found.values)


def _fitted(study: Study, run: PastRun, names: Names) -> Fitted:
    if run.status in ("running", "deleted"):
        raise _Unusable("running" if run.status == "running" else "deleted")
    metric = _objective_of(run, study.objective, names)
    params, matched = _params_of(study, run, names)
    seed_name = names.seed or _match(SEED, {**run.hints, **run.params}, names.params)
    seed = _whole({**run.hints, **run.params}.get(seed_name or ""))
    used = {*matched.values(), *([seed_name] if seed_name else [])}
    columns, cut = _clipped(study, _renamed(run, study.objective.metric, metric, names, used), run)
    status, reason = _status(study, run, columns[study.objective.metric])
    others = _others({name: value for name, value in run.params.items() if name not in used})
    batches = [Batch(trial="", attempt="", metric=n, steps=s, values=v) for n, (s, v) in columns.items()]
    content = [params, others, status, seed, run.started_at, run.ended_at, crc(batches)]
    fact = RunImported(
        trial="", source=run.source, run=run.run, name=run.name, revision=study.revision, status=status, reason=reason,
        digest=hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest(),
        seed=seed or 0, seed_known=seed is not None, params=params, others=others,
        started_at=run.started_at, ended_at=run.ended_at, points=sum(len(s) for s, _ in columns.values()),
        metrics={name: summarise(steps, values) for name, (steps, values) in columns.items()},
    )  # fmt: skip
    matched = {
        **matched,
        study.objective.metric: metric,
        **({SEED: seed_name} if seed_name and seed is not None else {}),
    }
    return Fitted(run=run, fact=fact, columns=columns, matched=matched, cut=cut)


def _match(ours: str, theirs: Iterable[str], mapped: Mapping[str, str]) -> str | None:
    """Find their name for one of ours: as a person said, the very same, or the only one whose last part it is."""
    theirs = list(theirs)
    said = [name for name in theirs if mapped.get(name) == ours]
    free = [name for name in theirs if name not in mapped]
    for found in (said, [n for n in free if n == ours], [n for n in free if re.split(r"[./]", n)[-1] == ours]):
        if len(found) > 1:
            raise _Unusable("ambiguous", ours=ours, theirs=", ".join(sorted(found)))
        if found:
            return found[0]
    return None


def _objective_of(run: PastRun, objective: Objective, names: Names) -> str:
    found = _match(objective.metric, run.columns, names.metrics)
    if found is not None:
        return found
    if not run.columns:
        raise _Unusable("no_points", metric=objective.metric)
    near = ", ".join(get_close_matches(objective.metric, run.columns, n=3, cutoff=0.5) or sorted(run.columns)[:3])
    raise _Unusable("no_objective", metric=objective.metric, near=near, n=len(run.columns))


def _params_of(study: Study, run: PastRun, names: Names) -> tuple[dict[str, Value], dict[str, str]]:
    given: dict[str, Value] = {}
    matched: dict[str, str] = {}
    for parameter in study.space.parameters:
        for values in (run.params, run.hints):
            name = _match(parameter.name, values, names.params)
            if name is not None:
                given[parameter.name] = _read(parameter, values[name])
                matched[parameter.name] = name
                break
    params, fault = region(study.space).placed(given)
    if fault:
        raise _Unusable("outside", fault=fault)
    return params, matched


def _read(parameter: Parameter, value: Value) -> Value:
    """Read a value as its parameter's kind; what cannot be read so comes back as it is, and is judged by the space."""
    if parameter.kind == "categorical":
        same = [choice for choice in parameter.choices if _text(choice) == _text(value)]
        return same[0] if same else value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if parameter.kind == "int" and number.is_integer() else number


def _text(value: Value) -> str:
    """Write a value so that 64, 64.0 and "64", or True and "true", are the same."""
    text = str(value).strip()
    try:
        return repr(float(text))
    except ValueError:
        return text.lower() if isinstance(value, bool) or text.lower() in ("true", "false") else text


def _whole(value: Value | None) -> int | None:
    try:
        number = float(value) if value is not None and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else None


def _renamed(run: PastRun, ours: str, metric: str, names: Names, used: set[str]) -> Columns:
    """Give the curves their names here; columns of a table that are settings are no curves."""
    settings = {*used, *(run.params if run.source == "csv" else ())} - {metric}
    taken = {metric: ours, **{theirs: name for theirs, name in names.metrics.items() if theirs in run.columns}}
    found: dict[str, tuple[array, array]] = {}
    for name, points in run.columns.items():
        if name not in settings:
            kept = taken.get(name) or (f"{name} (theirs)" if name in taken.values() else name)
            found[kept] = points
    return found


def _clipped(study: Study, columns: Columns, run: PastRun) -> tuple[Columns, int]:
    """Leave out what a run logged past the horizon, where a shorter schedule would have been the same run up to there."""
    steps, _ = columns[study.objective.metric]
    horizon, last = study.horizon_steps, max(steps)
    if last < horizon + _gap(steps):
        return columns, 0
    if study.schedule == "tied":
        raise _Unusable("longer", steps=last + 1, horizon=horizon)
    newest = horizon - 1 if min(steps) == 0 else horizon  # some count from 0, some from 1
    kept = {name: _upto(newest, *points) for name, points in columns.items()}
    cut = sum(len(columns[name][0]) - len(kept[name][0]) for name in kept)
    if not kept[study.objective.metric][0]:
        raise _Unusable("longer", steps=last + 1, horizon=horizon)
    return {name: points for name, points in kept.items() if points[0]}, cut


def _upto(newest: int, steps: array, values: array) -> tuple[array, array]:
    kept = [index for index, step in enumerate(steps) if step <= newest]
    return array("q", (steps[index] for index in kept)), array("d", (values[index] for index in kept))


def _gap(steps: array) -> int:
    """Return how many steps lie between the last two that were logged; 1 if there is but one."""
    different = sorted(set(steps))
    return different[-1] - different[-2] if len(different) > 1 else 1


def _status(study: Study, run: PastRun, points: tuple[array, array]) -> tuple[str, str]:
    """Say how a run ended for the study: complete only where its next point would have lain past the horizon."""
    summary = summarise(*points)
    best = summary.low if study.objective.goal == "min" else summary.high
    value = summary.last if study.objective.at == "final" else best
    if not math.isfinite(value):
        raise _Unusable("non_finite", metric=study.objective.metric, step=summary.last_step)
    steps = f"step {summary.last_step}; the horizon is {study.horizon_steps} steps"
    if run.status == "failed":
        return "failed", f"{run.source} says that it failed, at {steps}"
    if summary.last_step + _gap(points[0]) < study.horizon_steps:
        killed = f"{run.source} says that it was killed; " if run.status == "killed" else ""
        return "stopped", f"{killed}it ended early, at {steps}"
    return "complete", f"{run.source} holds it up to {steps}"


def _others(params: Mapping[str, Value]) -> dict[str, Value]:
    """Keep what else was set in a run, short and without secrets."""
    kept = dict(sorted(params.items())[:MOST_OTHERS])
    return {
        name[:MOST_LETTERS]: KEPT_OUT if looks_secret(name, value) else value[:MOST_LETTERS] if isinstance(value, str) else value
        for name, value in kept.items()
    }  # fmt: skip

"""What a trial is worth so far, as the study's objective sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.interfaces.messages.formats import number
from secondshift.records.guards import breaks
from secondshift.records.studies import Objective, Value
from secondshift.records.trials import Summary, Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State


def as_judged(state: State) -> State:
    """The state as windows show it: of a search for programs the evaluator says what a trial came to, and not the trial itself."""
    study = state.study
    if study is None or not study.judges_search():
        return state
    metric = study.objective.metric

    def told(trial: Trial) -> Trial:
        others, value = {name: one for name, one in trial.metrics.items() if name != metric}, state.result(trial)
        step = trial.logged_step if trial.logged_step >= 0 else study.horizon_steps - 1
        word = {} if value is None else {metric: _word(value, step)}
        return replace(trial, metrics={**others, **word})

    return replace(state, trials={t.id: told(t) if t.revision == study.revision else t for t in state.trials.values()})


def _word(value: float, step: int) -> Summary:
    return Summary(points=1, first_step=step, last_step=step, last=value, low=value, low_step=step, high=value, high_step=step)


def best_yet(objective: Objective, metrics: Mapping[str, Summary]) -> float | None:
    """The best finite value of the objective's metric at any step; None if there is none."""
    summary = metrics.get(objective.metric)
    if summary is None:
        return None
    best = summary.low if objective.goal == "min" else summary.high
    return best if math.isfinite(best) else None


def ranked(objective: Objective, trials: list[Trial]) -> list[Trial]:
    """Trials that may be called the best: as `ordered`, without those that break a guard."""
    return ordered(objective, [trial for trial in trials if not breaks(objective, trial)])


def ordered(objective: Objective, trials: list[Trial]) -> list[Trial]:
    """Trials with a finite objective, the best first; equal ones in the order in which they were queued.

    An assisted trial is never among them, nor one that began from another's checkpoint: they were trained on other terms
    than the others, and take no part in comparisons.
    """
    known = [(t.objective(objective), t) for t in trials if t.unaided()]
    finite = [(v, t) for v, t in known if v is not None and math.isfinite(v)]
    return [t for _, t in sorted(finite, key=lambda pair: objective.loss(pair[0]))]


def steps_to(last_step: int, horizon: int) -> int:
    """Count the steps up to the last one. Steps count from 0; a script that goes beyond its horizon counts from 1."""
    return last_step if last_step >= horizon else last_step + 1


def written(params: Mapping[str, Value]) -> str:
    """Parameters as people write them: lr=0.003, width=64."""
    parts = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(params.items()))
    return ", ".join(parts)


def current(state: State) -> list[Trial]:
    """The trials of the study's present revision that search, oldest first; those with fresh seeds confirm."""
    revision = state.study.revision if state.study else 1
    return [t for t in state.trials.values() if t.revision == revision and t.pair < 0]


def results(objective: Objective, trials: list[Trial], most: int = 8) -> str:
    """The ids of some trials with what each came to: t1 (0.5123), t4 (0.61)."""
    told = []
    for trial in trials[:most]:
        value = trial.objective(objective)
        told.append(f"{trial.id} ({number(value)})" if value is not None else trial.id)
    return ", ".join(told) + (f" +{len(trials) - most}" if len(trials) > most else "")


def names(trials: list[Trial], most: int = 8) -> str:
    """The ids of some trials, the first `most` of them by name."""
    ids = [t.id for t in trials]
    return ", ".join(ids[:most]) + (f" +{len(ids) - most}" if len(ids) > most else "")

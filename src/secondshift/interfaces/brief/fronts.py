"""The front of two objectives in a brief: its sentence with the facts, and what the plot shows, not yet drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from secondshift.interfaces.readmodel.fronts import points, told
from secondshift.interfaces.readmodel.objectives import written
from secondshift.records.nights import Statement

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.interfaces.brief.trace import Trace
    from secondshift.records.states import State
    from secondshift.records.trials import Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """One complete trial of the plot."""

    trial: str
    value: float  # of the study's objective
    second: float
    best: bool
    params: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scatter:
    """What the plot and its table show."""

    metric: str = ""
    also: str = ""
    rising: bool = False  # larger values of the second metric are better
    spots: tuple[Spot, ...] = ()  # the best of the study's objective first


def front(night: Trace, state: State, seen: list[Trial]) -> Iterable[Statement]:
    """The front, and what has no place in it; nothing where a study names one objective."""
    at = state.study.objective.at if state.study is not None else "final"
    for statement, trials in told(state, seen):
        known = [night.trials[trial.id] for trial in trials if trial.id in night.trials]
        facts = sorted({seq for of in known for seq in (*of.result(at), of.second) if seq})
        yield replace(statement, facts=tuple(facts))


def scatter(state: State, trials: Sequence[Trial]) -> Scatter:
    """Gather what can be drawn of two objectives; empty where the study names one."""
    objective = state.study.objective if state.study is not None else None
    if objective is None or objective.also is None:
        return Scatter()
    spots = tuple(
        Spot(trial=p.trial.id, value=p.value, second=p.second, best=p.best, params=_params(state, p.trial))
        for p in points(objective, trials)
    )
    return Scatter(metric=objective.metric, also=objective.also.metric, rising=objective.also.goal == "max", spots=spots)


def _params(state: State, trial: Trial) -> str:
    candidate = state.candidates.get(trial.candidate)
    return written(trial.params or (candidate.params if candidate else {}))

"""The front of two objectives: the complete trials that no other one beats in one of them without losing in the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.readmodel.objectives import current, names, ordered, ranked
from secondshift.records.nights import Statement
from secondshift.records.studies import Aim, Objective
from secondshift.records.trials import Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State

MOST = 12  # trials of a front told one by one


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A complete trial with finite values of both objectives."""

    trial: Trial
    value: float  # of the study's objective
    second: float  # the last of the other metric
    best: bool = False  # on the front


def non_dominated(losses: Sequence[tuple[float, float]]) -> list[int]:
    """Give the places of the pairs that no other pair is as good as in both and better in one; smaller is better.

    A pair with a number that is not finite is never among them, and beats none. Equal pairs are there together.
    """
    finite = sorted((a, b, place) for place, (a, b) in enumerate(losses) if math.isfinite(a) and math.isfinite(b))
    found: list[int] = []
    least = math.inf
    for _, group in groupby(finite, key=lambda pair: pair[0]):
        members = list(group)
        if members[0][1] < least:
            least = members[0][1]
            found += [place for _, b, place in members if b == least]
    return sorted(found)


def second_value(aim: Aim, trial: Trial) -> float | None:
    """The last value of the second objective's metric; None if there is none that is finite."""
    summary = trial.metrics.get(aim.metric)
    return summary.last if summary is not None and summary.points and math.isfinite(summary.last) else None


def points(objective: Objective, trials: Sequence[Trial]) -> list[Point]:
    """The complete trials that may be on the front, best of the objective first; assisted ones and guard breakers are not there."""
    aim = objective.also
    if aim is None:
        return []
    both = [
        (trial, value, second)
        for trial in ranked(objective, [t for t in trials if t.status == "complete"])
        if (value := trial.objective(objective)) is not None and (second := second_value(aim, trial)) is not None
    ]
    front = set(non_dominated([(objective.loss(value), aim.loss(second)) for _, value, second in both]))
    return [Point(trial=t, value=v, second=s, best=place in front) for place, (t, v, s) in enumerate(both)]


def told(state: State, trials: Sequence[Trial]) -> list[tuple[Statement, list[Trial]]]:
    """The front in a sentence, and which complete trials have no place in it, each with the trials it is about."""
    objective = state.study.objective if state.study is not None else None
    if objective is None or objective.also is None:
        return []
    found, aim = points(objective, trials), objective.also
    named = {"metric": objective.metric, "goal_word": f"front_{objective.goal}", "also": aim.metric,
             "also_goal_word": f"front_{aim.goal}"}  # fmt: skip
    front = [point for point in found if point.best]
    complete = ordered(objective, [t for t in trials if t.status == "complete"])
    bare = [t for t in complete if second_value(aim, t) is None]
    said: list[tuple[Statement, list[Trial]]] = []
    if front:
        listed = ", ".join(f"{p.trial.id} ({number(p.value)}, {number(p.second)})" for p in front[:MOST])
        listed += f" +{len(front) - MOST}" if len(front) > MOST else ""
        values = {**named, "n": len(front), "of": len(found), "front": listed}
        said.append((Statement(key="front.named", values=values), [p.trial for p in front]))
    if bare:
        key = "front.left_out" if front else "front.none"
        said.append((Statement(key=key, values={**named, "n": len(bare), "trials": names(bare)}), bare))
    return said


def lines(state: State) -> list[Statement]:
    """The same for a window that shows the whole study as it is now."""
    return [statement for statement, _ in told(state, current(state))]


def row(state: State, trial: Trial) -> dict[str, Any] | None:
    """Where one trial stands, as a document; None where the study names no second objective."""
    objective = state.study.objective if state.study is not None else None
    if objective is None or objective.also is None:
        return None
    aim, found = objective.also, points(objective, current(state))
    mine = next((point for point in found if point.trial.id == trial.id), None)
    above: list[str] = []
    if mine is not None and not mine.best:
        loss = objective.loss(mine.value), aim.loss(mine.second)
        over = [p for p in found if p.best and objective.loss(p.value) <= loss[0] and aim.loss(p.second) <= loss[1]]
        above = [point.trial.id for point in over]
    return {"metric": aim.metric, "goal": aim.goal, "value": second_value(aim, trial), "compared": mine is not None,
            "on_front": mine is not None and mine.best, "beaten_by": above}  # fmt: skip

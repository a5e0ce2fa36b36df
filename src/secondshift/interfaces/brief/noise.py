"""The noise floor: how far results lie apart that differ in nothing but the seed."""

import math
from collections.abc import Iterable, Sequence

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.objectives import names
from secondshift.records.nights import Statement
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

WITHIN = 2.0  # times the spread; a smaller difference is what a change of seed alone does


def repeated(done: Sequence[Trial]) -> list[list[Trial]]:
    """Trials of one candidate with different seeds, for every candidate that has at least two; one trial per seed."""
    groups: dict[str, dict[int, Trial]] = {}
    for trial in done:
        groups.setdefault(trial.candidate, {}).setdefault(trial.seed, trial)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def spread(groups: Sequence[Sequence[float]]) -> float:
    """The pooled standard deviation within groups of at least two values each, in the metric's own unit."""
    squares = free = 0.0
    for values in groups:
        mean = math.fsum(values) / len(values)
        squares += math.fsum((value - mean) ** 2 for value in values)
        free += len(values) - 1
    return math.sqrt(squares / free)


def noise(night: Trace, done: Sequence[Trial], objective: Objective, gain: float | None) -> Iterable[Statement]:
    """The spread between seeds, or that nobody knows it. `done`: complete trials with a finite result; `gain` over the defaults."""
    groups = repeated(done)
    if not groups:
        facts = tuple(s for t in done[:1] for s in night.trials[t.id].result(objective.at))
        yield Statement(key="found.noise_unknown", values={"metric": objective.metric}, facts=facts)
        return
    used = [trial for group in groups for trial in group]
    facts = tuple(s for t in used for s in night.trials[t.id].result(objective.at))
    floor = spread([[t.objective(objective) or 0.0 for t in group] for group in groups])
    values = {
        "metric": objective.metric,
        "spread": floor,
        "n": len(used),
        "candidates": len(groups),
        "trials": names(used),
    }
    yield Statement(key="found.noise", values=values, facts=facts)
    if gain is not None and abs(gain) < WITHIN * floor:
        yield Statement(key="found.within_noise", values={"gain": abs(gain), "spread": floor}, facts=facts)

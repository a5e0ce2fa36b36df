"""The data behind the plots of parameters against result: one panel for each parameter of the space."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondshift.records.studies import Objective, Parameter, Value
from secondshift.records.trials import Candidate, Trial

MOST_PANELS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One parameter against the result of the complete trials that used it."""

    name: str
    log: bool = False
    strips: tuple[str, ...] = ()  # of a categorical parameter: its choices; then a place is the number of a strip
    points: tuple[tuple[float, float], ...] = ()  # (place, value of the objective)
    best: tuple[float, float] | None = None  # of the best complete trial


def panels(
    space: Sequence[Parameter], candidates: Mapping[str, Candidate], done: Sequence[Trial], objective: Objective
) -> tuple[Panel, ...]:
    """One panel for each parameter that took at least two values. `done`: complete trials, the best first."""
    made = (_panel(candidates, parameter, done, objective) for parameter in space)
    return tuple(panel for panel in made if panel and len({place for place, _ in panel.points}) > 1)


def _panel(
    candidates: Mapping[str, Candidate], parameter: Parameter, done: Sequence[Trial], objective: Objective
) -> Panel | None:
    choices = parameter.choices if parameter.kind == "categorical" else ()
    points, best = [], None
    for trial in done:
        place = _place(_given(candidates, trial, parameter), choices)
        value = trial.objective(objective)
        if place is None or value is None or (parameter.log and not choices and place <= 0):
            continue
        points.append((place, value))
        if trial is done[0]:
            best = (place, value)
    if not points:
        return None
    strips = tuple(_choice(choice) for choice in choices)
    return Panel(name=parameter.name, log=parameter.log and not choices, strips=strips, points=tuple(points), best=best)


def _given(candidates: Mapping[str, Candidate], trial: Trial, parameter: Parameter) -> Value | None:
    candidate = candidates.get(trial.candidate)
    proposed = candidate.params if candidate else {}
    if parameter.when and parameter.name not in proposed:
        return None  # it was not active; whatever the script says of it had no meaning
    return trial.params.get(parameter.name, proposed.get(parameter.name, parameter.default))


def _place(value: Value | None, choices: Sequence[Value]) -> float | None:
    if choices:
        same = (i for i, c in enumerate(choices) if type(c) is type(value) and c == value)
        return next(same, next((float(i) for i, c in enumerate(choices) if c == value), None))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _choice(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def fences(values: Sequence[float]) -> tuple[float, float]:
    """Between which values a frame is drawn, so that one diverged trial does not flatten all the others."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    reach = 3.0 * (high - low)
    inside = [v for v in ordered if low - reach <= v <= high + reach] if reach > 0 else ordered
    return inside[0], inside[-1]

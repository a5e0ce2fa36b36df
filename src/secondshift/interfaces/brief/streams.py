"""The stream around an incident: which numbers are shown, where the trouble began, and where something was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from secondshift.ledger.curves import Series, decimated
from secondshift.ledger.stores import Ledger
from secondshift.records.events import Event, MetricsLogged
from secondshift.records.incidents import Incident
from secondshift.records.states import State

LEAST, SHARE = 32, 1.5  # steps to each side of the trouble: at least so many, and times its own length
POINTS = 400  # of one attempt in a plot


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one attempt logged."""

    attempt: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One metric of one trial around an incident, attempt by attempt, with what was suspicious and what was done."""

    metric: str
    parts: tuple[Part, ...]
    since: int  # first suspicious step
    acts: tuple[tuple[int, str], ...]  # (step that the trial had come to, remedy)
    first: int
    last: int
    since_at: float = 0.0  # UTC seconds at which the first suspicious step was recorded; 0: not known

    def plain(self) -> dict[str, Any]:
        """For programs."""
        parts = [{"attempt": p.attempt, "steps": list(p.steps), "values": list(p.values)} for p in self.parts]
        return {"metric": self.metric, "parts": parts, "since": self.since, "acts": [list(act) for act in self.acts]}


def surroundings(ledger: Ledger, state: State, incident: Incident) -> Stream | None:
    """The stream that an incident was seen in, from before its first suspicious step to after its last act; None without points."""
    if incident.since < 0 or incident.subject not in state.trials:
        return None
    known = ledger.metrics(incident.subject)
    objective = state.study.objective.metric if state.study else ""
    surest = sorted(incident.findings, key=lambda found: (-found.confidence, -found.lasted))
    wanted = [found.stream for found in surest] + [incident.before.metric, objective]
    metric = next((name for name in wanted if name in known), "")
    if not metric:
        return None
    logged = list(ledger.read(subject=incident.subject, kinds=("metrics.logged",)))
    acts = tuple((_step_at(logged, act.at), act.remedy) for act in incident.acts)
    reach = max([incident.step, *(step for step, _ in acts)])
    room = max(LEAST, int(SHARE * (reach - incident.since)))
    first, last = max(0, incident.since - room), reach + room
    parts = _parts(ledger.series(incident.subject, metric, raw=True), incident.subject, first, last)
    if not parts:
        return None
    last = min(last, max(max(part.steps) for part in parts))
    return Stream(
        metric=metric, parts=parts, since=incident.since, acts=acts, first=first, last=last,
        since_at=_moment(logged, incident),
    )  # fmt: skip


def _parts(series: Series, trial: str, first: int, last: int) -> tuple[Part, ...]:
    inside = (series.steps >= first) & (series.steps <= last)
    parts = []
    for number in np.unique(series.attempts[inside]):
        mine = inside & (series.attempts == number)
        order = np.argsort(series.steps[mine], kind="stable")
        steps, values = series.steps[mine][order], series.values[mine][order]
        thin = decimated(Series(steps=steps, values=values, attempts=series.attempts[mine][order]), POINTS)
        parts.append(Part(attempt=f"{trial}.a{number}", steps=thin.steps.tolist(), values=thin.values.tolist()))
    return tuple(parts)


def _step_at(logged: Sequence[Event], at: float) -> int:
    """The newest step that a trial's running attempt had logged at a moment."""
    step, attempt = 0, ""
    for event in logged:
        fact = event.payload
        if event.at > at or not isinstance(fact, MetricsLogged):
            break
        newest = max((summary.last_step for summary in fact.metrics.values()), default=-1)
        step, attempt = (max(step, newest) if fact.attempt == attempt else newest), fact.attempt
    return max(0, step)


def _moment(logged: Sequence[Event], incident: Incident) -> float:
    """When the first suspicious step was recorded, by the attempt in which it was first seen."""
    for event in logged:
        fact = event.payload
        if not isinstance(fact, MetricsLogged) or fact.attempt != incident.attempt:
            continue
        if any(summary.last_step >= incident.since for summary in fact.metrics.values()):
            return event.at
    return 0.0

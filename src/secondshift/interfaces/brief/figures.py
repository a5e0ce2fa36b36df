"""The data behind the plots of a brief: gathered from facts, not yet drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from secondshift.interfaces.brief.branches import Branch, branches
from secondshift.interfaces.brief.fans import Fan, Reader, fans
from secondshift.interfaces.brief.fronts import Scatter, scatter
from secondshift.interfaces.brief.lookback import Lookback, lookback
from secondshift.interfaces.brief.parameter_figures import Panel, panels
from secondshift.interfaces.brief.trace import Trace, by_others
from secondshift.interfaces.readmodel.objectives import current, ordered, ranked
from secondshift.ledger.attempts import trial_of
from secondshift.records.events import AttemptEnded, AttemptOrdered, LeaseTaken
from secondshift.records.states import State
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

Ending = Literal["complete", "paused", "lost", "failed", "stopped", "running"]
MOST_CURVES = 40
MOST_BARS = 1500


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial's objective metric over steps."""

    trial: str
    steps: Sequence[int]
    values: Sequence[float]
    best: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One attempt on the time line."""

    trial: str
    attempt: str
    from_at: float  # UTC seconds
    to_at: float
    ending: Ending
    device: str = ""  # the first it ran on


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What the plots of one brief show."""

    metric: str = ""
    objective: Objective = field(default_factory=lambda: Objective(metric=""))
    best: tuple[tuple[float, float], ...] = ()  # (device-seconds spent, best complete value)
    curves: tuple[Curve, ...] = ()
    curves_of: int = 0  # trials that have a curve; more than are shown, perhaps
    bars: tuple[Bar, ...] = ()
    bars_of: int = 0
    takeovers: tuple[float, ...] = field(
        default=()
    )  # moments (UTC seconds) at which an engine took over from a dead one
    branches: tuple[Branch, ...] = ()  # ideas with their intervals
    least: float = 0.0  # the gain that matters
    panels: tuple[Panel, ...] = ()  # parameters against result
    scatter: Scatter = field(default_factory=Scatter)  # of two objectives
    fans: tuple[Fan, ...] = ()  # forecasts over their curves
    lookback: Lookback = field(default_factory=Lookback)


def figures(night: Trace, state: State, objective: Objective, read: Reader) -> Figures:
    """Gather what can be drawn of a shift; what is not there is left empty."""
    trials = [t for t in current(state) if t.id in night.trials]
    complete = [t for t in trials if t.status == "complete"]
    done = ranked(objective, complete)
    shown = [*done, *(t for t in ordered(objective, complete) if t not in done)] if done else []  # behind: what breaks a guard
    curves, of = _curves(trials, done, objective, read)
    bars = _bars(night, state)
    takeovers = tuple(e.at for e in night.of(LeaseTaken) if e.fact.how in ("dead", "expired"))
    return Figures(
        metric=objective.metric, best=_best(night, done, objective), curves=curves, curves_of=of,
        branches=branches(state), least=objective.min_effect,
        bars=tuple(bars[:MOST_BARS]), bars_of=len(bars), takeovers=takeovers,
        panels=panels(state.study.space.parameters if state.study else (), state.candidates, shown, objective),
        scatter=scatter(state, trials), fans=fans(state, trials, objective, read),
        lookback=lookback(state, trials, objective, read), objective=objective,
    )  # fmt: skip


def _best(night: Trace, done: list[Trial], objective: Objective) -> tuple[tuple[float, float], ...]:
    value_at = {night.trials[t.id].settled[-1]: t.objective(objective) for t in done if night.trials[t.id].settled}
    points, spent, best = [], 0.0, math.nan
    for seq, charge in night.settled:
        spent += charge.device_s
        value = value_at.get(seq)
        if value is not None and (math.isnan(best) or objective.better(value, best)):
            best = value
            points.append((spent, value))
    if points:
        points.append((spent, best))
    return tuple(points)


def _curves(
    trials: list[Trial], done: list[Trial], objective: Objective, read: Reader
) -> tuple[tuple[Curve, ...], int]:
    with_points = [t for t in trials if objective.metric in t.metrics]
    leader = done[0].id if done else ""
    shown = [t for t in with_points if t.id == leader] + [t for t in with_points if t.id != leader]
    curves = []
    for trial in shown[:MOST_CURVES]:
        steps, values = read(trial.id, objective.metric)
        if len(steps):
            curves.append(Curve(trial=trial.id, steps=list(steps), values=list(values), best=trial.id == leader))
    return tuple(reversed(curves)), len(with_points)  # the best is drawn last, on top


def _bars(night: Trace, state: State) -> list[Bar]:
    ended = {e.fact.attempt: e for e in night.of(AttemptEnded)}
    ordered = [(e.at, e.fact) for e in night.of(AttemptOrdered)]
    newest = {order.trial: order.attempt for _, order in ordered}
    bars = []
    for at, order in ordered:
        end = ended.get(order.attempt)
        ending: Ending = "running"
        if end is not None:
            ending = _ending(end.fact, state.trials.get(order.trial), newest[order.trial] == order.attempt)
        to_at = end.at if end else (night.ended_at or night.last_at)
        device = order.devices[0] if order.devices else ""
        to_at = max(at, to_at)
        bar = Bar(
            trial=trial_of(order.attempt), attempt=order.attempt, from_at=at, to_at=to_at, ending=ending, device=device
        )
        bars.append(bar)
    return bars


def _ending(ended: AttemptEnded, trial: Trial | None, newest: bool) -> Ending:
    if by_others(ended.exit):
        return "lost"
    if not newest or trial is None:
        return "paused"  # it went on later
    if trial.status in ("complete", "failed", "stopped"):
        return trial.status
    return "paused"

"""States of a freeze-thaw search as its deciders see them, written as curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from secondshift.records.curves import Curve
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Budget, Objective, Parameter, Policy, Space, Study, Value
from secondshift.records.trials import Candidate, Summary, Trial

X = Parameter(name="x", kind="float", low=0.0, high=1.0)


def study(**changes: Any) -> Study:  # Any: a field of Study
    """A study of 100 steps over one number, without a baseline."""
    base = Study(
        name="thawing", command="train --x {x}", folder=".", objective=Objective(metric="loss", at="final"), horizon_steps=100,
        space=Space(parameters=(X,)), budget=Budget(), policy=Policy(searcher="model", scheduler="freezethaw"),
        tier="cooperative",
    )  # fmt: skip
    return replace(base, **changes)


def trial(number: int, values: Sequence[float], *, every: int = 1, **changes: Any) -> Trial:  # Any: a field of Trial
    """A paused trial that logged these values, one every so many steps."""
    done = len(values) * every
    finite = [value for value in values if math.isfinite(value)]
    summary = Summary(points=len(values), last_step=done - 1, last=values[-1] if values else math.nan,
                      low=min(finite, default=math.inf), high=max(finite, default=-math.inf))  # fmt: skip
    base = Trial(
        id=f"t{number}", candidate=f"c{number}", seed=0, status="paused", steps_done=done, logged_step=done - 1, until_step=done,
        metrics={"loss": summary} if values else {},
    )  # fmt: skip
    return replace(base, **changes)


def curve(values: Sequence[float], *, every: int = 1) -> Curve:
    """The curve of these values."""
    return Curve(steps=tuple(every * (n + 1) for n in range(len(values))), values=tuple(values))


def state(
    asked: Study, curves: Sequence[Sequence[float]], *, slots: int = 1, every: int = 1, params: Sequence[Mapping[str, Value]] = ()
) -> State:
    """Paused trials t1, t2, ... that logged the values of one curve each, and nothing else."""
    trials = {f"t{n}": trial(n, values, every=every) for n, values in enumerate(curves, 1)}
    given = params or [{"x": (n - 0.5) / len(curves)} for n in range(1, len(curves) + 1)]
    return State(
        study=asked, shift=Shift(id="s1", started_at=0.0, slots=slots), now_s=1.0, trials=trials,
        candidates={f"c{n}": Candidate(id=f"c{n}", params=dict(one)) for n, one in enumerate(given, 1)},
        open=dict.fromkeys(trials, True), statuses={"paused": len(trials)},
        free_devices=tuple(f"cpu-{n}" for n in range(slots)),
        curves={f"t{n}": curve(values, every=every) for n, values in enumerate(curves, 1) if values},
    )  # fmt: skip


def changed(seen: State, name: str, **changes: Any) -> State:  # Any: a field of Trial
    """The state with one trial changed."""
    known = replace(seen.trials[name], **changes)
    kept = {one: True for one in seen.open if one != name or known.open()}
    return replace(seen, trials={**seen.trials, name: known}, open=kept)


def queued(seen: State, count: int) -> State:
    """The state with so many more trials that wait for their first look."""
    first = len(seen.trials) + 1
    new = {f"t{n}": Trial(id=f"t{n}", candidate=f"c{n}", seed=0) for n in range(first, first + count)}
    fresh = {one.candidate: Candidate(id=one.candidate, params={"x": 0.001 * n}) for n, one in enumerate(new.values(), 1)}
    return replace(
        seen, trials={**seen.trials, **new}, candidates={**seen.candidates, **fresh},
        open={**seen.open, **dict.fromkeys(new, True)}, statuses={**seen.statuses, "queued": count},
    )  # fmt: skip

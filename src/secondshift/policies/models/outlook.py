"""What all curves of a study say of how each trial will end, and of configurations that nobody tried.

The searcher and the scheduler of a freeze-thaw search look at the same outlook. The settings of its process are a fact (a
memo that the forecaster leaves when it has fitted them), so that the same facts give the same outlook.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from secondshift.policies.models.axes import continuous, encode
from secondshift.policies.models.earlier import LEAST_ROOM, MOST_EARLIER, MOST_OF_EACH, Past, earlier, thinned
from secondshift.policies.models.guarding import barred
from secondshift.policies.models.joint import Joint, Points, fit, prior
from secondshift.policies.models.losses import FAILED, kept, losses
from secondshift.policies.models.ranks import correlation_bounds
from secondshift.policies.models.spaces import INACTIVE, Region, region
from secondshift.policies.models.warping import Warp, warp
from secondshift.records.curves import Curve
from secondshift.records.states import State
from secondshift.records.studies import Parameter, Study, Value

MEMO = "outlook"
MOST_CURVES, BEST_CURVES = 200, 140  # looked at in all; of them the best
MOST_POINTS = 300  # older points of the worst curves are left out first
QUICK = 150  # points; the first fits of a study, some ten, have fewer
FEWEST = 4  # points, for a first fit
REFIT = 1.4  # the settings are fitted again when there are so many times as many points


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The curves of a revision, ready for the process."""

    trials: tuple[str, ...]  # those with a point, those of this study first; after them imported runs
    points: Points  # values warped
    scale: Warp
    best: float  # warped: the best value that any trial had
    revision: int
    earlier: int = 0  # how many of the trials are imported runs; then the last feature says of each curve whether it is of one

    def own(self) -> tuple[str, ...]:
        """The trials of this study."""
        return tuple(name for name, past in zip(self.trials, self.of_past(), strict=True) if not past)

    def of_past(self) -> np.ndarray:
        """bool[trials]: which of them are imported runs."""
        return self.points.features[:, -1] == 1.0 if self.earlier else np.zeros(len(self.trials), dtype=bool)

    def counted(self) -> int:
        """Points that count for another fit: what earlier runs have counts as no more than it takes for a first one."""
        return int(np.sum(~self.of_past()[self.points.curve])) + (FEWEST if self.earlier else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """The process, given what was seen, and what is on its way."""

    seen: Seen
    joint: Joint
    ground: Region
    rows: dict[str, int]  # trial -> row of the process

    def of(self, trials: Sequence[str], steps: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Give means and deviations (warped) of trials that were seen, at steps."""
        rows = np.array([self.rows[name] for name in trials], dtype=int)
        return self.joint.predict(self.seen.points.features[rows], rows, np.array(steps, dtype=float))

    def placed(self, given: Sequence[Mapping[str, Value]]) -> np.ndarray:
        """Configurations of this study as the process sees them, [configurations, features]."""
        found = features(self.ground, given)
        return np.column_stack([found, np.zeros(len(found))]) if self.seen.earlier else found

    def told(self) -> float:
        """How well parameters tell configurations apart: their rank correlation, less one standard error, of what curves
        came to at the step where most were seen with what the others had said of that; -1 while there are few."""
        points = self.seen.points
        own = ~self.seen.of_past()[points.curve]
        if not np.any(own):
            return -1.0
        steps, counts = np.unique(points.step[own], return_counts=True)
        there = own & (points.step == steps[int(np.argmax(counts))])
        return correlation_bounds(np.column_stack([self.joint.without_own(), points.value])[there])[0]

    def expecting(self, names: Sequence[str], at: np.ndarray, steps: Sequence[float]) -> "Outlook":
        """The outlook as if runs that are on their way had come to steps as expected, so that several workers do not all
        follow the same hope (the kriging believer of Ginsbourger, Le Riche and Carraro, 2010).

        at: their features, [names, features]; a name that was not seen is a new run.
        """
        points, rows = self.seen.points, dict(self.rows)
        new = [index for index, name in enumerate(names) if name not in rows]
        for index in new:
            rows[names[index]] = len(rows)
        which = np.array([rows[name] for name in names])
        reached = np.maximum(1.0, np.array(steps, dtype=float))
        mean, _ = self.joint.predict(at, np.where(which < len(points.features), which, -1), reached)
        row = np.concatenate([points.curve, which])
        order = np.argsort(row, kind="stable")
        joined = Points(
            features=np.vstack([points.features, at[new]]), curve=row[order], step=np.concatenate([points.step, reached])[order],
            value=np.concatenate([points.value, mean])[order],
        )  # fmt: skip
        seen = replace(self.seen, trials=tuple(rows), points=joined)
        return Outlook(seen=seen, joint=Joint(joined, self.joint.settings), ground=self.ground, rows=rows)

    def of_new(self, points: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Give means and deviations (warped) of new configurations, features [queries, features], at one step."""
        nobody = np.full(len(points), -1)
        return self.joint.predict(points, nobody, np.full(len(points), float(step)))


def improvement(mean: np.ndarray, spread: np.ndarray, best: float) -> np.ndarray:
    """Expected improvement on the best (Mockus 1978), all warped: smaller is better."""
    away = (best - mean) / spread
    return spread * (away * ndtr(away) + np.exp(-0.5 * away**2) / math.sqrt(2 * math.pi))


def features(ground: Region, given: Sequence[Mapping[str, Value]]) -> np.ndarray:
    """Configurations as the process sees them, [configurations, features]: every number from 0 to 1.

    Each choice of a categorical parameter of three or more is a direction of its own, so that no order is read into them. What
    is not set, or is no value of its axis, stands where an inactive parameter stands.
    """
    columns = [column for parameter in ground.parameters for column in _columns(parameter, [p.get(parameter.name) for p in given])]
    return np.column_stack(columns) if columns else np.zeros((len(given), 1))


def _columns(parameter: Parameter, values: list[Value | None]) -> list[np.ndarray]:
    if continuous(parameter):
        return [np.array([INACTIVE if value is None else _placed(parameter, value) for value in values])]
    known: dict[tuple[type, Value | None], float] = {}
    for value in values:
        key = (type(value), value)
        if key not in known:
            known[key] = INACTIVE if value is None else _placed(parameter, value)
    column = np.array([known[type(value), value] for value in values])
    count = len(parameter.choices)
    if parameter.kind != "categorical" or count < 3:
        return [column]
    chosen = np.minimum((column * count).astype(int), count - 1)
    missing = np.array([value is None for value in values])
    return [np.where(missing, 0.0, (chosen == index).astype(float)) for index in range(count)]


def _placed(parameter: Parameter, value: Value) -> float:
    if continuous(parameter) and isinstance(value, float) and math.isfinite(value):
        value = min(max(value, float(parameter.low)), float(parameter.high))  # a script may round what it was given
    try:
        return encode(parameter, value)
    except ValueError:
        return INACTIVE


def seen(state: State) -> Seen | None:
    """Collect and thin the curves of this revision's trials, and of imported runs; None while no trial has a finite value."""
    study = state.study
    if study is None:
        return None
    pasts = earlier(state, study)
    own = _seen(state, study, MOST_POINTS - LEAST_ROOM if pasts else MOST_POINTS)
    return own if own is None or not pasts else _beside(own, pasts, region(study.space))


def foreseen(state: State) -> Seen | None:
    """The same, or while no trial has a finite value what imported runs say alone; None where there are none."""
    study, known = state.study, seen(state)
    if known is not None or study is None or not (pasts := earlier(state, study)):
        return known
    ground = region(study.space)
    nothing = Points(features=features(ground, []), curve=np.empty(0, dtype=int), step=np.empty(0), value=np.empty(0))
    best = float(np.min(pasts[0].values))
    alone = Seen(trials=(), points=nothing, scale=pasts[0].scale, best=best, revision=study.revision)
    return _beside(alone, pasts, ground)


def _beside(own: Seen, pasts: Sequence[Past], ground: Region) -> Seen:
    """What a study saw with earlier runs beside it; their values are on scales of their own, and none is the best seen."""
    count = len(own.trials)
    shown = thinned(pasts, min(MOST_EARLIER * MOST_OF_EACH, MOST_POINTS - len(own.points.value)))
    at = np.vstack([own.points.features, features(ground, [past.params for past in shown])])
    whose = np.repeat([0.0, 1.0], [count, len(shown)])
    lengths = [len(past.steps) for past in shown]
    points = Points(
        features=np.column_stack([at, whose]),
        curve=np.concatenate([own.points.curve, count + np.repeat(np.arange(len(shown)), lengths)]),
        step=np.concatenate([own.points.step, *(past.steps for past in shown)]),
        value=np.concatenate([own.points.value, *(past.values for past in shown)]),
    )
    names = (*own.trials, *(past.trial for past in shown))
    return replace(own, trials=names, points=points, earlier=len(shown))


def _seen(state: State, study: Study, most: int) -> Seen | None:
    """What the study's own trials came to, in no more points than that."""
    ground = region(study.space)
    curves = {
        name: np.full(len(curve.steps), np.inf) if barred(state, state.trials[name]) else losses(study, curve)
        for name, curve in _looked_at(state, study, list(_curves(state, study)))
    }
    scale = warp(
        np.concatenate([found[kept(len(found))] for found in curves.values()] or [np.empty(0)]),
        np.array([found[0] for found in curves.values()]),
    )
    if scale is None:
        return None
    order = sorted(curves, key=lambda name: float(np.min(curves[name])))  # the best first
    rows, step, value = _thinned(state, curves, order, most)
    names = tuple(curves)
    at = features(ground, [_params(state, name) for name in names])
    points = Points(features=at, curve=rows, step=step, value=scale(value))
    best = float(scale(np.array([min(float(np.min(found)) for found in curves.values())]))[0])
    return Seen(trials=names, points=points, scale=scale, best=best, revision=study.revision)


def _curves(state: State, study: Study) -> Iterator[tuple[str, Curve]]:
    """The curves of this revision's unaided trials; one that failed without a value is a bad result, and not a missing one."""
    for name, trial in state.trials.items():
        if trial.revision != study.revision or trial.pair >= 0 or not trial.unaided():
            continue
        curve = state.curves.get(name)
        if curve is not None and curve.steps:
            yield name, curve
        elif trial.status == "failed":
            yield name, FAILED


def _looked_at(state: State, study: Study, curves: list[tuple[str, Curve]]) -> list[tuple[str, Curve]]:
    """All curves, or where there are too many the best ones and an even choice of the rest, oldest first."""
    if len(curves) <= MOST_CURVES:
        return curves
    values = (state.trials[name].objective(study.objective) for name, _ in curves)
    ranked = np.argsort([np.inf if value is None else study.objective.loss(value) for value in values], kind="stable")
    rest = ranked[BEST_CURVES:]
    even = rest[np.linspace(0, len(rest) - 1, MOST_CURVES - BEST_CURVES).astype(int)]
    return [curves[index] for index in sorted({*ranked[:BEST_CURVES].tolist(), *even.tolist()})]


def _params(state: State, name: str) -> dict[str, Value]:
    """The parameters of a trial, as the script resolved them where it said so."""
    trial = state.trials[name]
    return {**state.candidates[trial.candidate].params, **trial.params}


def _thinned(
    state: State, curves: dict[str, np.ndarray], order: list[str], most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give curve, step and loss of the points that are looked at: the newest of each, and others of the best curves."""
    place = {name: number for number, name in enumerate(order)}
    rows, steps, values, ranks, newest = [], [], [], [], []
    for row, (name, found) in enumerate(curves.items()):
        chosen = kept(len(found))
        rows.append(np.full(len(chosen), row))
        steps.append(np.array(state.curves.get(name, FAILED).steps, dtype=float)[chosen])
        values.append(found[chosen])
        ranks.append(np.full(len(chosen), place[name]))
        newest.append(np.arange(len(chosen)) == len(chosen) - 1)
    row, step, value, rank, last = map(np.concatenate, (rows, steps, values, ranks, newest))
    if len(row) > most:
        rest = np.flatnonzero(~last)
        rest = rest[np.argsort(rank[rest], kind="stable")]
        chosen = last.copy()
        chosen[rest[: max(0, most - int(last.sum()))]] = True
        row, step, value = row[chosen], step[chosen], value[chosen]
    return row, step, value


def settings(state: State, known: Seen) -> tuple[np.ndarray, int]:
    """Give the newest fitted settings of this revision, and with how many points; the prior's and 0 if there are none."""
    wide = known.points.features.shape[1]
    try:
        memo = json.loads(state.memos.get(MEMO, "{}"))
    except ValueError:
        memo = {}
    if memo.get("revision") == known.revision and len(memo.get("settings", ())) == len(prior(wide)[0]):
        return np.array(memo["settings"], dtype=float), int(memo["points"])
    return prior(wide)[0], 0


def due(state: State, known: Seen) -> bool:
    """Say whether there is enough new to see for another fit."""
    count = known.counted()
    return count >= FEWEST and count >= REFIT * settings(state, known)[1]


def job(state: State) -> str:
    """Write down all that a fit needs, for whoever makes it: what is seen, and the settings of before."""
    known = foreseen(state)
    if known is None:
        return ""
    points, found = known.points, settings(state, known)[0]
    return json.dumps({
        "revision": known.revision, "settings": found.tolist(), "features": points.features.tolist(),
        "curve": points.curve.tolist(), "step": points.step.tolist(), "value": points.value.tolist(),
        **({"counted": known.counted()} if known.earlier else {}),
    })  # fmt: skip


def quick(job: str) -> bool:
    """Say whether a fit takes no longer than a decision does (45 ms for 150 points)."""
    return len(json.loads(job)["value"]) <= QUICK


def fitted(job: str) -> str:
    """Fit the settings (0.1 to 0.3 s for 300 points) and give the memo that keeps them."""
    given = json.loads(job)
    points = Points(
        features=np.array(given["features"], dtype=float), curve=np.array(given["curve"], dtype=int),
        step=np.array(given["step"], dtype=float), value=np.array(given["value"], dtype=float),
    )  # fmt: skip
    return _memo(given, fit(points, np.array(given["settings"], dtype=float)).tolist())


def unfitted(job: str) -> str:
    """Give the memo of a fit that failed: the settings of before, until there is more to see."""
    given = json.loads(job)
    return _memo(given, given["settings"])


def _memo(given: Mapping[str, Any], found: list[float]) -> str:
    made = [round(one, 6) for one in found]
    return json.dumps({"revision": given["revision"], "points": given.get("counted", len(given["value"])), "settings": made})


def outlook(state: State, known: Seen | None = None, coming: Sequence[tuple[str, int]] = ()) -> Outlook | None:
    """Look ahead from what was seen, or None while nothing was.

    coming: trials that run or will, and the step to which; they count as `Outlook.expecting` says.
    """
    known = known or seen(state)
    if known is None or state.study is None:
        return None
    ground = region(state.study.space)
    found, _ = settings(state, known)
    rows = {name: row for row, name in enumerate(known.trials)}
    plain = Outlook(seen=known, joint=Joint(known.points, found), ground=ground, rows=rows)
    return coming_too(state, plain, coming)


def coming_too(state: State, plain: Outlook, coming: Sequence[tuple[str, int]]) -> Outlook:
    """The same outlook, expecting trials to come to steps."""
    if not coming:
        return plain
    names = [name for name, _ in coming]
    return plain.expecting(names, plain.placed([_params(state, name) for name in names]), [to for _, to in coming])

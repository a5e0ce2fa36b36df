"""Freeze and thaw: which trials wait, how deep a first look goes, and whether the next free slot looks or goes on.

The searcher proposes only where the scheduler is about to look, so both read the same plan.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.guarding import barred
from secondshift.policies.models.proposals import exhausted, trials_left
from secondshift.policies.models.ranks import correlation_bounds
from secondshift.policies.models.resuming import cut_short, may_resume
from secondshift.policies.models.standings import reached
from secondshift.records.curves import Curve
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Trial

SCHEDULER = "freezethaw"
HOPELESS = 0.01  # chance to beat the best at its end below which a trial is not thawed any more
PARTS = 50  # of the horizon: the shallowest look is one of them
# Rank correlation from which on a look tells what one of twice the depth would, and below which it does not.
TELLS, TELLS_NOT = 0.8, 0.5
ENOUGH = 8  # trials that reached both depths, before their ranks are compared
DEEP_AGAIN = 4  # one look in so many stays deep where shallow ones tell as much
# Share of all steps that goes into first looks: more while little is known. What was tried: docs/benchmarks.md.
LATER, AT_FIRST, FIRST_TRAININGS = 0.3, 0.1, 2.0
AT_LEAST = 4  # candidates that are looked at before any goes on
GROWTH = 1.25  # a trial that goes on does a quarter more than it has done


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """All trials of the search, as a freeze-thaw scheduler sees them, oldest first."""

    study: Study
    look: int  # steps of a first look
    slots: int
    queued: tuple[Trial, ...]
    cut: tuple[Trial, ...]  # left before the step to which they may run
    waiting: tuple[Trial, ...]  # paused where they were to pause
    coming: tuple[tuple[str, int], ...]  # running ones, and the step to which
    looked: int  # steps that were first looks, those on their way included
    done: int  # all steps, likewise
    endless: bool  # more candidates may come
    begun: int  # candidates that were looked at, or are
    blind: bool  # no trial has had a finite value

    def first_looks(self) -> int:
        """How many of the free slots are for first looks, queued ones included."""
        slots = max(0, self.slots - len(self.cut))
        looked, done, rest, count = self.looked, self.done, sum(map(self.may_thaw, self.waiting)), 0
        for _ in range(slots):
            more = self.endless or count < len(self.queued)
            begun = self.begun + count
            given = self.look * min(begun, AT_LEAST)  # the first ones are no debt that one trial would have to pay for
            if more and (not rest or begun < AT_LEAST or looked - given <= self.share(done) * (done - given)):
                count, looked = count + 1, looked + self.look
            elif rest:
                rest -= 1
            done += self.look
        return count

    def may_thaw(self, trial: Trial) -> bool:
        """Say whether a trial that waits may be chosen to go on: it has a value to judge it by, or none and is to have one."""
        value = trial.objective(self.study.objective)
        return self.blind or value is None or (math.isfinite(value) and trial.unaided())

    def unseen(self, trial: Trial) -> bool:
        """Say whether a trial has not come to where values are logged; NaN is none until somebody has had another."""
        return self.blind or trial.objective(self.study.objective) is None

    def share(self, done: float) -> float:
        """The share of steps that first looks may take, after so many steps."""
        return LATER + AT_FIRST * math.exp(-done / (FIRST_TRAININGS * self.study.horizon_steps))

    def further(self, steps: int) -> int:
        """The step to which a trial that has done so many goes on."""
        least = max(1, self.study.policy.min_steps or self.study.horizon_steps // PARTS)
        return min(self.study.horizon_steps, max(steps + least, math.floor(steps * GROWTH)))


def bench(state: State, study: Study) -> Bench:
    """Sort the trials of the search."""
    left = state.device_s_left()
    slots = state.free_slots() if left is None or left >= MIN_GRANT_S else 0
    queued, cut, waiting, coming = [], [], [], []
    for trial in _open(state, study):
        if barred(state, trial):
            continue  # it is stopped for that
        if trial.status == "running":
            coming.append((trial.id, max(trial.until_step, reached(trial))))
        elif trial.status == "queued":
            queued.append(trial)
        elif may_resume(study, trial):
            (cut if cut_short(study, trial) else waiting).append(trial)
    look = depth(state, study)
    looked, done, begun, blind = 0, 0, 0, True
    for trial in state.trials.values():
        if trial.revision == study.revision and trial.pair < 0 and trial.status != "queued":
            blind = blind and not _finite(study.objective, trial)
            steps = max(reached(trial), trial.until_step) if trial.status == "running" else reached(trial)
            looked, done, begun = looked + min(steps, look), done + steps, begun + 1
    endless = not exhausted(state) and trials_left(state) != 0
    return Bench(
        study=study, look=look, slots=slots, queued=tuple(queued), cut=tuple(cut), waiting=tuple(waiting),
        coming=tuple(coming), looked=looked, done=done, endless=endless, begun=begun, blind=blind,
    )  # fmt: skip


def _finite(objective: Objective, trial: Trial) -> bool:
    value = trial.objective(objective)
    return value is not None and math.isfinite(value)


def _open(state: State, study: Study) -> Iterator[Trial]:
    trials = (state.trials[name] for name in state.open)
    return (trial for trial in trials if trial.pair < 0 and trial.revision == study.revision)


def depth(state: State, study: Study) -> int:
    """How deep the next first look goes: as deep as it takes for ranks to be much like those at twice the depth.

    It begins at two parts of the horizon; it becomes one part where that clearly tells as much (but every fourth look stays
    deep, so that this can turn out wrong), and doubles where it clearly does not. Where no depth tells anything, as with pure
    noise or where nothing learns, many shallow looks find more than few deep ones; where ranks turn round, deep ones do.
    """
    least = study.policy.min_steps or max(1, study.horizon_steps // PARTS)
    curves = [curve for name, curve in state.curves.items() if curve.steps and _searched(state, study, name)]
    if curves:
        least = max(least, int(np.median([curve.steps[0] for curve in curves])))
    if _agreement(study, curves, least)[0] >= TELLS:
        return least if len(curves) % DEEP_AGAIN else min(2 * least, study.horizon_steps)
    look, turned = 2 * least, False
    while 2 * look <= study.horizon_steps:
        high = _agreement(study, curves, look)[1]
        if high >= TELLS_NOT:
            return look
        look, turned = 2 * look, turned or high < -TELLS_NOT
    return min(max(look // 2, 2 * least) if turned else 2 * least, study.horizon_steps)


def _searched(state: State, study: Study, name: str) -> bool:
    """Say whether a curve is of a trial of this search; runs that were imported have curves too."""
    trial = state.trials.get(name)
    return trial is not None and trial.pair < 0 and trial.revision == study.revision


def _agreement(study: Study, curves: list[Curve], look: int) -> tuple[float, float]:
    """Bounds, one standard error to each side, of the rank correlation of losses at a depth with those at twice the depth."""
    deep = [c for c in curves if c.steps[-1] >= 2 * look]
    if len(deep) < ENOUGH:
        return -1.0, 1.0
    pairs = [(_at(study.objective, c, look), _at(study.objective, c, 2 * look)) for c in deep]
    return correlation_bounds(np.array(pairs))


def _at(objective: Objective, curve: Curve, step: int) -> float:
    """The loss of a curve after so many steps, as the objective counts it; inf where there is none."""
    found = curve.values[: bisect_right(curve.steps, step)]
    if not len(found):
        return math.inf
    return min(map(objective.loss, found)) if objective.at == "best" else objective.loss(found[-1])

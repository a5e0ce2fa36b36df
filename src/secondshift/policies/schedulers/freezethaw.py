"""Freeze-thaw: every candidate gets a first look; what looks most likely to beat the best goes on, a bit at a time.

K. Swersky, J. Snoek, R. Adams: "Freeze-Thaw Bayesian Optimization" (2014). Which trial goes on is chosen for a horizon
drawn anew each time, after H. Rakotoarison et al.: "In-Context Freeze-Thaw Bayesian Optimization" (ICML 2024), but from
half of a full training ahead on (docs/search/freezethaw.md); what share of all steps goes into first looks is fixed.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from secondshift.policies.models.audits import widening
from secondshift.policies.models.guarding import barred
from secondshift.policies.models.nominating import finish
from secondshift.policies.models.outlook import Outlook, improvement, outlook
from secondshift.policies.models.proposals import exhausted
from secondshift.policies.models.resuming import resume_reason
from secondshift.policies.models.standings import reached
from secondshift.policies.models.thawing import AT_LEAST, HOPELESS, SCHEDULER, Bench, bench
from secondshift.records.decisions import Decision, advance, pause, start, stop
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Trial

NAME = SCHEDULER
WANTS_CURVES = True  # the engine fills in State.curves
NEAREST = 0.5  # of the horizon: the shortest stretch ahead that is drawn
LAST, SLACK = 1.5, 0.25  # full trainings: from when on the end of the budget is looked at, and how exactly it is met
BASELINE = "it is the baseline, and without its full result nothing could be compared with it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prospect:
    """What is expected of a trial that waits."""

    trial: Trial
    gain: float  # expected improvement at the step drawn, on the scale of the outlook
    chance: float  # to beat the best of now at the end


def decide(state: State) -> list[Decision]:
    """Judge what cannot pause by itself; then resume what was cut short, go on with the best, and look at new ones."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    found = bench(state, study)
    if (last := _last(state, found)) is not None:
        return last
    late = [state.trials[attempt.trial] for attempt in state.attempts.values() if _runs_on(state, study, attempt)]
    decisions = _judgements(state, found, late)
    starts = [
        start(trial.id, until_step=trial.until_step or found.look, reason=resume_reason(study, trial), by=NAME)
        for trial in found.cut[: found.slots]
    ]
    looks = min(found.first_looks(), len(found.queued))
    starts += [_look(state, found, trial) for trial in found.queued[:looks]]
    if found.waiting and found.slots > len(starts) + max(0, found.first_looks() - looks):
        room = found.slots - len(starts) - max(0, found.first_looks() - looks)
        starts += _resumed(state, found, found.queued[:looks], room)
    # No slot was for a look and nothing that waits is worth one: what is queued is not left there for ever.
    starts = starts or [_look(state, found, trial) for trial in found.queued[: found.slots]]
    return decisions + (starts or _finish(state, found))


def _last(state: State, found: Bench) -> list[Decision] | None:
    """Give what is left of the budget or the shift to the likely best, where that is just enough to bring it to its end.

    None while there is more left. Without this a night could spend all it has and leave no full result.
    """
    left, pace, horizon = _seconds_left(state), _pace(state, found.study), found.study.horizon_steps
    if left is None or not pace or left > LAST * pace * horizon or found.begun < AT_LEAST:
        return None
    view = outlook(state)
    waiting = [trial for trial in found.waiting if view is not None and trial.id in view.rows]
    if view is None or not waiting or any(until >= horizon for _, until in found.coming):
        return None
    means, _ = view.of([trial.id for trial in waiting], [horizon] * len(waiting))
    best = waiting[int(np.argmin(means))]
    full = [trial for trial in state.trials.values() if trial.status == "complete" and trial.revision == found.study.revision]
    values = [_loss(found.study, trial) for trial in full if trial.pair < 0 and trial.unaided()]
    if values and float(view.seen.scale(np.array([min(values)]))[0]) <= float(np.min(means)):
        return None  # the best has come to its end already
    need = pace * (horizon - reached(best))
    if not need <= left <= need + SLACK * pace * horizon:
        return None
    reason = f"{best.id} goes on to its end: it is the likely best, and what is left ({left:.0f} s) is about what that takes."
    return [start(best.id, until_step=horizon, reason=reason, by=NAME)] if found.slots else []


def _seconds_left(state: State) -> float | None:
    """Device-seconds of the budget, or seconds of the shift, whichever ends sooner; None where neither does."""
    shift, budget = state.shift, state.device_s_left()
    wall = shift.deadline_at - state.now_s if shift is not None and shift.deadline_at is not None else None
    return min((left for left in (budget, wall) if left is not None), default=None)


def _pace(state: State, study: Study) -> float:
    """Device-seconds of a step, starts included, over all that was settled; 0 while nothing was."""
    trials = [trial for trial in state.trials.values() if trial.revision == study.revision and trial.device_s > 0]
    return sum(trial.device_s for trial in trials) / max(1, sum(reached(trial) for trial in trials))


def _look(state: State, found: Bench, trial: Trial) -> Decision:
    if _is_baseline(state, found.study, trial):
        until = found.study.horizon_steps
        return start(trial.id, until_step=until, reason=f"{trial.id} runs to step {until}: {BASELINE}.", by=NAME,
                     based_on=(trial.candidate,))  # fmt: skip
    until = found.look
    spent = 100 * found.looked / found.done if found.done else 0.0
    may_be = 100 * found.share(found.done)
    reason = (
        f"{trial.id} gets a first look, to step {until}: {spent:.0f}% of all steps were first looks, and {may_be:.0f}% may be."
    )
    return start(trial.id, until_step=until, reason=reason, by=NAME, based_on=(trial.candidate,))


def _resumed(state: State, found: Bench, looks: tuple[Trial, ...], room: int) -> list[Decision]:
    """Thaw the most promising, one after another: each that is thawed counts as expected when the next is chosen."""
    coming = [*found.coming, *((trial.id, found.look) for trial in looks)]
    first = [_to_its_end(found, trial) for trial in found.waiting if _is_baseline(state, found.study, trial)]
    unseen = [trial for trial in found.waiting if found.unseen(trial) and not _is_baseline(state, found.study, trial)]
    starts = [*first, *(_deeper(found, trial) for trial in unseen)][:room]
    while len(starts) < room:
        begun = {one.subject for one in starts}
        view = outlook(state, coming=coming)
        prospects = _prospects(state, found, view, [t for t in found.waiting if t.id not in begun]) if view else []
        hopeful = [one for one in prospects if one.chance >= HOPELESS] or (prospects if found.endless else [])
        if not hopeful:
            break
        best = max(hopeful, key=lambda one: one.gain)
        until = found.further(reached(best.trial))
        starts.append(_going_on(best, until, len(prospects)))
        coming.append((best.trial.id, until))
    return starts


def _prospects(state: State, found: Bench, view: Outlook, waiting: list[Trial]) -> list[Prospect]:
    known = [trial for trial in waiting if trial.id in view.rows and found.may_thaw(trial)]
    if not known:
        return []
    horizon, further = found.study.horizon_steps, _ahead(state, found.study)
    steps = [min(horizon, reached(trial) + further) for trial in known]
    names = [trial.id for trial in known]
    (mean, spread), wide = view.of(names, steps), widening(state)
    gains = improvement(mean, wide * spread, view.seen.best)
    mean, spread = view.of(names, [horizon] * len(names))
    chances = ndtr((view.seen.best - mean) / (wide * spread))
    return [
        Prospect(trial=trial, gain=float(gain), chance=float(chance))
        for trial, gain, chance in zip(known, gains, chances, strict=True)
    ]


def _ahead(state: State, study: Study) -> int:
    """How many steps ahead is looked, drawn anew for each decision."""
    rng = np.random.default_rng([study.seed, study.revision, state.decisions])
    return int(rng.integers(math.ceil(NEAREST * study.horizon_steps), study.horizon_steps + 1))


def _going_on(best: Prospect, until: int, count: int) -> Decision:
    trial, mark = best.trial, f" ({best.trial.mark()})" if best.trial.mark() else ""
    reason = (
        f"{trial.id}{mark} goes on from step {reached(trial)} to step {until}: of {count} that wait it promises most, "
        f"with a chance of {100 * best.chance:.0f}% to beat the best of now at its end."
    )
    return start(trial.id, until_step=until, reason=reason, by=NAME)


def _to_its_end(found: Bench, trial: Trial) -> Decision:
    until = found.study.horizon_steps
    return start(trial.id, until_step=until, reason=f"{trial.id} goes on to step {until}: {BASELINE}.", by=NAME)


def _deeper(found: Bench, trial: Trial) -> Decision:
    until = min(found.study.horizon_steps, 2 * max(found.look, reached(trial)))
    metric = found.study.objective.metric
    why = f"it has not logged {metric} yet" if trial.objective(found.study.objective) is None else "it has no finite value yet"
    reason = f"{trial.id} goes on to step {until}: {why}."
    return start(trial.id, until_step=until, reason=reason, by=NAME)


def _is_baseline(state: State, study: Study, trial: Trial) -> bool:
    return state.has_defaults(trial.candidate)


def _runs_on(state: State, study: Study, attempt: Attempt) -> bool:
    """Say whether a running trial has come to the step where it should have paused, and goes on by itself."""
    trial = state.trials[attempt.trial]
    steps = trial.logged_step + 1
    if attempt.asked or attempt.closed or trial.pair >= 0 or trial.revision != study.revision or barred(state, trial):
        return False
    if not trial.until_step <= steps < study.horizon_steps:
        return False
    leaves = study.tier_offered() == "cooperative" and not attempt.alone
    return not leaves or steps > trial.until_step


def _judgements(state: State, found: Bench, late: list[Trial]) -> list[Decision]:
    """Let what cannot pause go on while it may beat the best; what can pause waits for its turn."""
    view = outlook(state) if late else None
    return [_judge(state, found, view, trial) for trial in late]


def _judge(state: State, found: Bench, view: Outlook | None, trial: Trial) -> Decision:
    study, attempt = found.study, state.attempt_of(trial.id)
    value, step = trial.objective(study.objective), trial.logged_step + 1
    if study.tier != "opaque" and not (attempt is not None and attempt.alone):
        return pause(trial.id, reason=f"{trial.id} waits at step {step}: it has come to where it was to pause.", by=NAME)
    chance = 1.0
    if view is not None and trial.id in view.rows:
        mean, spread = view.of([trial.id], [study.horizon_steps])
        chance = float(ndtr((view.seen.best - mean[0]) / (widening(state) * spread[0])))
    finite = value is not None and math.isfinite(value)
    keeps = f"it has a chance of {100 * chance:.0f}% to beat the best of now at its end"
    if finite and (_is_baseline(state, study, trial) or chance >= _fair(found)):
        until = study.horizon_steps if _is_baseline(state, study, trial) else found.further(step)
        return advance(trial.id, step=step, value=value or 0.0, until_step=until, by=NAME,
                       reason=f"{trial.id} goes on to step {until}: {keeps}.")  # fmt: skip
    why = keeps if finite else "it has no finite value yet"
    return stop(trial.id, reason=f"{trial.id} is stopped at step {step}: {why}, and it cannot pause.", by=NAME)


def _fair(found: Bench) -> float:
    """The chance that is worth going on for where nobody comes back: a fair share of those that were looked at."""
    return min(0.2, 1.0 / (1.0 + found.looked / max(1, found.look)))


def _finish(state: State, found: Bench) -> list[Decision]:
    """When nothing promises anything any more: run the best to the end if there is no full result, else end it all."""
    why = exhausted(state) or ("" if found.endless else "all trials of the budget were used")
    if not why or state.attempts or found.queued or found.cut or found.slots == 0:
        return []
    trials = [trial for trial in state.trials.values() if trial.revision == found.study.revision and trial.pair < 0]
    if not any(trial.status == "complete" and trial.unaided() for trial in trials):
        known = [trial for trial in found.waiting if _loss(found.study, trial) < math.inf]
        if known:
            best = min(known, key=lambda trial: (not trial.unaided(), _loss(found.study, trial)))
            reason = f"{best.id} is run to the end: {why}, and it is the best; without it there would be no full result."
            return [start(best.id, until_step=found.study.horizon_steps, reason=reason, by=NAME)]
    return finish(state, reason=f"The search is exhausted: {why}, and no paused trial is likely to beat the best.", by=NAME)


def _loss(study: Study, trial: Trial) -> float:
    value = trial.objective(study.objective)
    return math.inf if value is None or not math.isfinite(value) else study.objective.loss(value)

"""The audit: now and then a trial that was given up is drawn by chance and trained to its end, to see what was missed.

It costs at most `[policy] audit_share` of the device time, from FIRST full trainings on, and runs beside any scheduler. The
draw is a fact before anything acts on it: the next tick starts what was drawn, and whoever resumes the night goes on with it.
"""

import math
from dataclasses import replace

import numpy as np

from secondshift.policies.models import audits
from secondshift.policies.models.givingup import given_up
from secondshift.policies.models.resuming import may_resume
from secondshift.policies.models.standings import reached
from secondshift.records.decisions import Decision, audit, start, stop
from secondshift.records.forecasts import Audit
from secondshift.records.guards import breaks
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

NAME = "auditing"
FIRST = 20.0  # full trainings' worth of search, before the first draw
REST = 3.0  # full trainings that must be left: the end of a budget belongs to what looks best
DRAWS = 5  # tells this generator from others with the study's seed


def decide(state: State) -> list[Decision]:
    """Say how audits ended, stop one that costs too much, start what was drawn, and draw when one is due."""
    study = state.study
    if study is None or state.shift is None:
        return []
    open_ones = [one for one in state.audits.values() if not one.outcome]
    decisions = [_ended(state, study, one) for one in open_ones if not state.trials[one.trial].open()]
    if state.ending:
        return decisions
    going = [state.trials[one.trial] for one in open_ones if state.trials[one.trial].open()]
    decisions += _too_dear(state, study, going)
    room = state.free_slots() if _affords(state, MIN_GRANT_S) else 0
    waiting = [trial for trial in going if trial.status == "paused" and may_resume(study, trial)][:room]
    decisions += [_start(state, study, trial) for trial in waiting if not _spent(state, study)]
    return decisions if going else decisions + _draw(state, study, room)


def _draw(state: State, study: Study, room: int) -> list[Decision]:
    """Draw one when a full training fits into what audits may cost of the search so far, which spreads them over the night.

    A full training, whichever it will be: chosen by what they cost, some would be less probable than is said.
    """
    cap = cap_s(study)
    if cap is None or not study.policy.audit_share or room <= 0:
        return []
    searched = audits.searched_s(state)
    left = study.policy.audit_share * min(cap, searched) - audits.audited_s(state)
    full = audits.training_s(state, study) if left > 0 else 0.0
    if not full or searched < FIRST * full or left < full or not _affords(state, REST * full):
        return []
    found = given_up(state, study)
    if not found:
        return []
    number = len(state.audits) + 1
    chances = audits.probabilities([one.chance for one in found])
    rng = np.random.default_rng([study.seed, study.revision, DRAWS, number])
    index = int(rng.choice(len(found), p=chances))
    one, probability = found[index], float(chances[index])
    trial = state.trials[one.trial]
    cost = full * (1 - _saved(study, trial) / study.horizon_steps)
    drawn = Audit(
        trial=trial.id, number=number, probability=probability, population=len(found), revision=study.revision,
        step=reached(trial), spent_s=trial.device_s, cost_s=cost, forecast=one.forecast, widened=one.widened,
    )  # fmt: skip
    reason = (
        f"{trial.id} was drawn by chance (probability {100 * probability:.3g}%) of {len(found)} trials that were given up, "
        "to see how it would have ended."
    )
    return [audit(drawn, reason=reason, by=NAME)]


def _start(state: State, study: Study, trial: Trial) -> Decision:
    one = state.audits[trial.id]
    reason = (
        f"{trial.id} goes on from step {_saved(study, trial)} to step {study.horizon_steps}: it was given up, and drawn by chance "
        f"of {one.population} such trials, to see how it would have ended."
    )
    return start(trial.id, until_step=study.horizon_steps, reason=reason, by=NAME)


def _ended(state: State, study: Study, one: Audit) -> Decision:
    """Hold the end of an audited trial against what was expected of it, and against the best of all others."""
    trial = state.trials[one.trial]
    value, best = trial.objective(study.objective), audits.best_of_others(state, study, trial.id)
    if trial.revision != study.revision or not trial.unaided() or breaks(study.objective, trial):
        over = replace(one, outcome="cut", best=best)
    elif trial.status == "complete" and value is not None and math.isfinite(value):
        gain = study.objective.loss(best) - study.objective.loss(value) if math.isfinite(best) else 0.0
        over = replace(one, outcome="ended", value=value, best=best, regret=max(0.0, gain))
    elif value is not None and not math.isfinite(value):
        over = replace(one, outcome="diverged", best=best)
    else:
        over = replace(one, outcome="cut", best=best)
    return audit(over, reason=f"The audit of {trial.id} is over: {trial.reason or trial.status}.", by=NAME)


def _too_dear(state: State, study: Study, going: list[Trial]) -> list[Decision]:
    """Stop what runs when audits have cost all that they may: it then says nothing, and that is recorded."""
    if not going or not _spent(state, study):
        return []
    share = f"{100 * study.policy.audit_share:g}%"
    return [
        stop(trial.id, by=NAME, reason=f"{trial.id} is stopped: audits have used up the {share} of the budget that they may cost.")
        for trial in going
    ]


def _spent(state: State, study: Study) -> bool:
    cap = cap_s(study)
    return cap is not None and audits.audited_s(state) >= study.policy.audit_share * cap


def cap_s(study: Study) -> float | None:
    """The device-seconds of the study's budget, those that money pays for counted; None if neither is capped."""
    budget, caps = study.budget, []
    if budget.device_s is not None:
        caps.append(budget.device_s)
    if budget.money_usd is not None and budget.usd_per_device_s:
        caps.append(budget.money_usd / budget.usd_per_device_s)
    return min(caps, default=None)


def _affords(state: State, device_s: float) -> bool:
    left = state.device_s_left()
    return left is None or left >= device_s


def _saved(study: Study, trial: Trial) -> int:
    """Steps that need not be done again."""
    return 0 if study.alone() or trial.status == "stopped" else trial.steps_done

"""What is done by rule where that is granted, and never asked about: it saves time, and nobody's sleep is worth that.

A slow device costs a run some of its speed, and a run that overfits goes on past its best. Both are only noted where nothing
is granted. Where it is, such a run is moved to another device, or ended at its best, once what is left to save is more than
what it takes to be sure.
"""

from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.records.devicenames import elsewhere
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial, best_saved

SAVING = ("requeue", "stop_early")  # remedies
CAUSES = frozenset({"slow_device", "overfitting"})  # whose incidents never ask
SLOW, SEEN = 96, 0.6  # points of slow steps, and confidence: moving is judged afterwards by the pace, so little is enough
START_S = 60.0  # a process that is started anew is given so long to get going; moving must save more
PAST, SURE = 12, 0.8  # evaluations since the best, and confidence
WORSE = 0.02  # share of the best by which evaluation is worse: one that has learned nothing yet drifts by less
HALF = 0.5  # of the horizon must be trained: evaluation that turned early may turn again while the rate is still to fall
REST = 0.5  # times the steps since the best must be left: ending it just before its end saves nothing
STOOD = 0.5  # share of the steps since then that the objective must not have been better in either


def saves(state: State, trial: Trial, finding: Finding) -> bool:
    """Say whether a finding is worth an act that only saves time."""
    if finding.symptom == "slow_steps":
        return _moving(state, trial, finding)
    return finding.symptom == "overfitting" and _ending(state, trial, finding)


def _moving(state: State, trial: Trial, finding: Finding) -> bool:
    """It has been slow for long, it would be so for as long again, and another device stands idle."""
    attempt, seen = state.attempt_of(trial.id), finding.evidence
    lasts = finding.lasted >= SLOW and finding.confidence >= SEEN
    if attempt is None or not lasts or not _elsewhere(state, attempt):
        return False
    left = trial.until_step - trial.logged_step - 1
    gained = left * (seen.get("step_time_s", 0.0) - seen.get("before_s", 0.0))
    return left >= finding.step - finding.since and gained > START_S


def _elsewhere(state: State, attempt: Attempt) -> bool:
    """Say whether a device is free that nothing of ours runs on, and that the trial has not been slow on before."""
    used = {name for other in state.attempts.values() for name in other.devices}
    left = {name for act in state.acts_on(attempt.trial) for name in act.avoid}
    return bool(elsewhere(state.free_devices, used | left))


def _ending(state: State, trial: Trial, finding: Finding) -> bool:
    """Its best is what counts, that is long past by the study's own objective, too, and much of the training is left.

    A trial that is to be compared at its end goes on to it: one with a fresh seed, and one drawn by chance to see how it ends. So
    does one of which no checkpoint of its best is known to be kept, and one whose result the study's own evaluator is to tell.
    """
    study, seen = state.study, finding.evidence
    if study is None or study.objective.at != "best" or study.judges_search():
        return False
    if trial.pair >= 0 or trial.id in state.audits or trial.early:
        return False
    if best_saved(state.checkpoints.get(trial.id, ()), study.objective) is None:
        return False
    past, left = finding.step - finding.since, study.horizon_steps - trial.logged_step - 1
    early = finding.lasted < PAST or finding.confidence < SURE or trial.logged_step < HALF * study.horizon_steps
    if early or left < REST * past or "best" not in seen:
        return False
    judged = trial.metrics.get(study.objective.metric)
    best_step = -1 if judged is None else judged.low_step if study.objective.goal == "min" else judged.high_step
    stood = best_step >= 0 and trial.logged_step - best_step >= STOOD * past
    return stood and abs(seen["evaluation"] - seen["best"]) >= WORSE * abs(seen["best"])

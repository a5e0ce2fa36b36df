"""A trial that breaks a guard is stopped, whichever scheduler is on duty: it can neither be best nor be promoted.

What the study forbids outranks what a scheduler or the evidence would like to go on with.
"""

from secondshift.policies.models.guarding import barred
from secondshift.records.decisions import Decision, stop
from secondshift.records.guards import standing
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

NAME = "guards"


def decide(state: State) -> list[Decision]:
    """Stop what runs or waits and breaks a guard; the baseline's trials and those with fresh seeds come to their end."""
    study = state.study
    if study is None or not study.objective.guards or state.shift is None or state.ending:
        return []
    going = (trial for trial in (state.trials[name] for name in state.open) if _goes_on(state, study, trial))
    return [stop(trial.id, reason=_reason(study, trial), by=NAME, source="captain") for trial in going if barred(state, trial)]


def _goes_on(state: State, study: Study, trial: Trial) -> bool:
    """Say whether a stop would save anything: nobody asked for one yet, and its last step is still to come."""
    if trial.revision != study.revision or trial.status == "queued":
        return False
    attempt = state.attempt_of(trial.id) if trial.status == "running" else None
    if attempt is None:
        return trial.status == "paused"
    return attempt.asked != "stop" and not attempt.closed and trial.logged_step + 1 < study.horizon_steps


def _reason(study: Study, trial: Trial) -> str:
    breach = standing(study.objective, trial).broken[0]
    guard, value, over = breach.guard, f"{breach.value:.6g}", f"{breach.over():.4g}"
    broken = f"its {guard.metric} came to {value}, which breaks the guard {guard.text} by {over}"
    return f"{trial.id} is stopped: {broken}; a trial that breaks a guard can neither be best nor go on."

"""Which paused trials may go on, and which want to."""

from secondshift.policies.models.standings import reached
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

RETRY = "retry_infrastructure"  # the authority to resume what was interrupted


def may_resume(study: Study, trial: Trial) -> bool:
    """Say whether a paused trial may be resumed: it was not interrupted, or not too often and retries are granted."""
    if trial.held or trial.rests:
        return False  # an incident of it waits for a person, or for what failed to pass
    if trial.interruptions == 0:
        return True
    return RETRY in study.may and trial.interruptions <= study.policy.max_interruptions


def cut_short(study: Study, trial: Trial) -> bool:
    """Say whether a paused trial left before the step it was allowed to reach: by a signal, a deadline, its grant."""
    if trial.until_step >= study.horizon_steps:
        return True
    return reached(trial) < trial.until_step


def resume_reason(study: Study, trial: Trial) -> str:
    """Say why a trial that was cut short goes on."""
    if study.alone():
        again = f"{trial.id} starts again from its first step, because what it saves is not used"
        times = f"interruption {trial.interruptions} of at most {study.policy.max_interruptions} in a row; "
        return f"{again} ({times if trial.interruptions else ''}{trial.reason or 'it was interrupted'})."
    if trial.interruptions:
        times = f"interruption {trial.interruptions} of at most {study.policy.max_interruptions} without progress"
        return f"{trial.id} goes on from step {trial.steps_done}: it was interrupted ({trial.reason}; {times})."
    return f"{trial.id} goes on from step {trial.steps_done}: {trial.reason or 'it was paused'}."

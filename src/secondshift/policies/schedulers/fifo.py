"""First in, first out: every trial is run to the horizon, in the order in which it was proposed."""

from secondshift.policies.models.guarding import barred
from secondshift.policies.models.nominating import finish
from secondshift.policies.models.proposals import exhausted, trials_left
from secondshift.policies.models.resuming import may_resume, resume_reason
from secondshift.records.decisions import Decision, start
from secondshift.records.states import MIN_GRANT_S, State

NAME = "fifo"


def decide(state: State) -> list[Decision]:
    """Resume what was paused, then start what is queued, into the free slots."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    left = state.device_s_left()
    slots = state.free_slots() if left is None or left >= MIN_GRANT_S else 0
    horizon = study.horizon_steps
    paused = [t for t in state.waiting("paused") if t.pair < 0 and t.revision == study.revision and may_resume(study, t)]
    paused = [t for t in paused if not barred(state, t)]
    queued = [t for t in state.waiting("queued") if t.pair < 0 and t.revision == study.revision]
    decisions = [
        start(trial.id, until_step=horizon, reason=resume_reason(study, trial), by=NAME) for trial in paused[:slots]
    ]
    for trial in queued[: slots - len(decisions)]:
        reason = f"{trial.id} is next in line; it runs all {horizon} steps."
        decisions.append(start(trial.id, until_step=horizon, reason=reason, by=NAME, based_on=(trial.candidate,)))
    if paused or queued or state.attempts:
        return decisions
    why = exhausted(state) or ("all trials of the budget were used" if trials_left(state) == 0 else "")
    return finish(state, reason=f"The search is exhausted: {why}, and every trial has ended.", by=NAME) if why else []

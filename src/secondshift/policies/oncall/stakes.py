"""What is at stake while nobody answers for an incident, in device-hours and moments: an upper estimate, from the state alone."""

from secondshift.policies.oncall.waking import Trouble
from secondshift.records.answers import waiting
from secondshift.records.incidents import Incident, Question
from secondshift.records.states import State
from secondshift.records.trials import Trial

OTHERWISE = 0.5  # chance that a person would not have chosen the default: nothing is known either way
FREEING = ("pause", "stop", "stop_early")  # defaults that give the devices back
ENDING = ("stop", "stop_early")  # defaults that throw the training away


def asks(state: State, incident: Incident) -> bool:
    """Say whether an incident waits for a person: a question is open, or its trial is held until somebody decides."""
    return not incident.closed and waiting(state, incident) is not None


def stakes(state: State, incident: Incident) -> Trouble:
    """Estimate what waiting costs.

    A run in doubt counts as devices that work for nothing. Devices that are given back count as idle only as far as no other
    trial of the study waits for one. A default that throws training away is counted at what was trained, times the chance that
    a person would have chosen otherwise.
    """
    trial, question = state.trials.get(incident.subject), incident.question()
    over_at = state.shift.deadline_at if state.shift is not None else None
    if trial is None:
        return Trouble(idle_devices=_unused(state, len(state.free_devices), ""), over_at=over_at)
    if not trial.open():
        return Trouble(over_at=over_at)  # it is over: nothing runs for it, and nothing waits for it
    attempt = state.attempt_of(trial.id)
    if attempt is None:
        return Trouble(idle_devices=_unused(state, min(1, len(state.free_devices)), trial.id), over_at=over_at)
    devices = max(1, len(attempt.devices))
    frees = question is not None and question.default in FREEING
    ran_s = max(0.0, state.now_s - attempt.started_at) if attempt.started_at else 0.0
    return Trouble(
        idle_devices=devices,
        idle_until=question.deadline_at if question is not None and frees else None,
        idle_after=_unused(state, devices, trial.id) if frees else 0.0,
        over_at=over_at,
        deadline_at=question.deadline_at if question is not None else None,
        late_cost=_thrown_away(state, trial, question, ran_s * devices),
    )


def _unused(state: State, devices: int, but: str) -> float:
    """How many of these devices no other trial waits for."""
    others = sum(1 for status in ("queued", "paused") for t in state.waiting(status) if t.id != but and not t.held)
    return float(max(0, devices - others))


def _thrown_away(state: State, trial: Trial, question: Question | None, running_s: float) -> float:
    alone = state.study is not None and state.study.alone()
    if question is None or not (question.default in ENDING or (alone and question.default == "pause")):
        return 0.0
    return OTHERWISE * (trial.device_s + running_s) / 3600.0

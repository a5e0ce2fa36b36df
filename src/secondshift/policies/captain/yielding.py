"""A device that a person or somebody else's program needs is left to them: trials on it save, pause, and come back."""

from secondshift.records.decisions import Decision, pause
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.records.trials import Attempt

NAME = "yielding"
GRANT = "pause"  # the authority to pause by rule; a person's own wish needs none
SUBJECT, HOST = "yield:", "yield:host"


def decide(state: State) -> list[Decision]:
    """Pause the trials on every device that an open incident says is needed by somebody else.

    Nothing is started there meanwhile, because the executor does not offer such a device.
    """
    if state.study is None or state.shift is None or state.ending:
        return []
    needs = [incident for incident in state.incidents.values() if incident.subject.startswith(SUBJECT)]
    decisions = []
    for attempt in state.attempts.values() if needs else ():
        needed = next((incident for incident in needs if _concerns(incident, attempt)), None)
        if needed is None or attempt.asked:
            continue
        if needed.subject == HOST:
            reason = f"{attempt.trial} makes way: {needed.finding}"
            decisions.append(pause(attempt.trial, reason=reason, by=NAME, source="person"))
        elif GRANT in state.study.may:
            reason = f"{attempt.trial} makes way: {needed.finding}"
            decisions.append(pause(attempt.trial, reason=reason, by=NAME, source="captain"))
    return decisions


def _concerns(incident: Incident, attempt: Attempt) -> bool:
    device = incident.subject.removeprefix(SUBJECT)
    return incident.subject == HOST or any(name.partition(".")[0] == device for name in attempt.devices)

"""A running trial that logs nothing for too long is stopped, so that a hung script does not hold a device all night."""

from secondshift.records.decisions import Decision, stop
from secondshift.records.states import State
from secondshift.records.trials import Attempt

NAME = "silence"


def decide(state: State) -> list[Decision]:
    """Stop running trials that have been silent for longer than `quiet_s`."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    limit = study.launch.quiet_s
    return [
        stop(attempt.trial, reason=_reason(attempt, state.now_s, limit), by=NAME, source="captain")
        for attempt in state.attempts.values()
        if attempt.status == "running" and not attempt.asked and state.now_s - _heard(attempt) > limit
    ]


def _heard(attempt: Attempt) -> float:
    return max(attempt.last_log_at, attempt.started_at)


def _reason(attempt: Attempt, now_s: float, limit: float) -> str:
    since = "since it started" if attempt.last_log_at < attempt.started_at else "since its last point"
    return (
        f"{attempt.trial} is stopped: it has logged nothing for {now_s - _heard(attempt):.0f} s {since} "
        f"(allowed: {limit:.0f} s, [launch] quiet)."
    )

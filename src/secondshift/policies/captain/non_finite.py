"""A running trial whose objective became NaN or infinite is stopped, if the study grants that."""

import math

from secondshift.records.decisions import Decision, stop
from secondshift.records.incidents import Care
from secondshift.records.states import State

NAME = "non_finite"
GRANT = "stop_non_finite"
NOBODY = Care()


def decide(state: State) -> list[Decision]:
    """Stop running trials whose newest objective value is not a finite number."""
    study = state.study
    if study is None or state.shift is None or state.ending or GRANT not in study.may:
        return []
    metric = study.objective.metric
    decisions = []
    for attempt in state.attempts.values():
        summary = state.trials[attempt.trial].metrics.get(metric)
        # Before this attempt has logged anything, the newest value is that of an earlier one.
        if _known(state, attempt.trial):
            continue  # an incident of it says what is done
        if (
            summary is None
            or attempt.asked
            or attempt.last_log_at <= 0
            or math.isfinite(summary.last)
            or not summary.points
        ):
            continue
        reason = f"{metric} was {summary.last} at step {summary.last_step}; it is stopped to save the rest of its budget."
        decisions.append(stop(attempt.trial, reason=reason, by=NAME, source="captain"))
    return decisions


def _known(state: State, trial: str) -> bool:
    seen = state.care.get(trial, NOBODY).unclaimed()
    return any(one.symptom == "non_finite" for one in seen) or any(
        incident.subject == trial and incident.cause and not incident.retry() for incident in state.incidents.values()
    )

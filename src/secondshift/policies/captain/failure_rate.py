"""One failed trial never ends a study; too large a share of them does."""

from secondshift.records.decisions import Decision, end
from secondshift.records.states import State

NAME = "failure_rate"


def decide(state: State) -> list[Decision]:
    """End the shift when more than the allowed share of the trials that were tried has failed."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    failed = state.statuses.get("failed", 0)
    tried = failed + sum(state.statuses.get(status, 0) for status in ("complete", "stopped", "paused"))
    if tried < study.policy.failure_floor or failed <= study.policy.max_failure_rate * tried:
        return []
    reason = (
        f"{failed} of {tried} trials failed, more than the allowed share of {study.policy.max_failure_rate:.0%}. "
        "Look at one with `secondshift show`; after correcting the script, raise [policy] max_failure_rate "
        "or failure_floor to go on."
    )
    return [end(reason=reason, by=NAME, source="captain")]

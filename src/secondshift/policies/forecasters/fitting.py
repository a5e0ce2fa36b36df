"""Fits the settings of the joint process when there is enough new to see, and leaves them as a fact."""

from secondshift.policies.models.outlook import MEMO, refitted, seen
from secondshift.policies.models.thawing import SCHEDULER
from secondshift.records.decisions import Decision, remember
from secondshift.records.states import State

WANTS_CURVES = False  # it looks at those that its study's searcher or scheduler asked for


def decide(state: State) -> list[Decision]:
    """Fit where a searcher or a scheduler of the study looks at the outlook; the settings count from the next decision on."""
    if state.study is None or state.shift is None or not state.curves:
        return []
    if state.study.policy.scheduler != SCHEDULER and state.study.policy.searcher != "model":
        return []
    known = seen(state)
    memo = refitted(state, known) if known is not None else ""
    if not memo or known is None:
        return []
    points, curves = len(known.points.value), len(known.trials)
    reason = f"How curves depend on parameters and steps was fitted to {points} points of {curves} curves."
    return [remember(MEMO, memo=memo, reason=reason)]

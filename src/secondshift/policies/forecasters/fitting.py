"""Says when the settings of the joint process are to be fitted anew; whoever keeps the loop has it done, and records them."""

from secondshift.policies.models.outlook import MEMO, due, foreseen
from secondshift.policies.models.thawing import SCHEDULER
from secondshift.records.decisions import Decision, fit
from secondshift.records.states import State

WANTS_CURVES = False  # it looks at those that its study's searcher or scheduler asked for


def decide(state: State) -> list[Decision]:
    """Order a fit where a searcher or a scheduler of the study looks at the outlook, unless one is on its way."""
    if state.study is None or state.shift is None or state.ending or not state.curves or MEMO in state.fitting:
        return []
    if state.study.policy.scheduler != SCHEDULER and state.study.policy.searcher != "model":
        return []
    known = foreseen(state)
    if known is None or not due(state, known):
        return []
    points, curves = len(known.points.value), len(known.trials)
    reason = f"How curves depend on parameters and steps is fitted to {points} points of {curves} curves."
    return [fit(MEMO, reason=reason)]

"""What the forest plot shows: gathered from the state, not yet drawn."""

import math
from dataclasses import dataclass

from secondshift.records.states import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """One idea of the plot; effects in the metric's unit, positive is better."""

    idea: str
    state: str
    effect: float
    low: float
    high: float


def branches(state: State) -> tuple[Branch, ...]:
    """The ideas that have pairs, in the order in which they came; what was judged by another objective fits no common axis."""
    now = state.study.revision if state.study is not None else 0
    return tuple(
        Branch(idea=i.id, state=i.state, effect=v.effect, low=v.low, high=v.high)
        for i in state.ideas.values()
        if (not now or i.revision == now)
        and (v := state.verdicts.get(i.id)) is not None and v.pairs and math.isfinite(v.effect)
    )

"""Before the night: how many ideas a stretch of device time can settle, and at what effect."""

import math
from dataclasses import dataclass

from secondshift.policies.evidence.levels import ALPHA, MOST, share
from secondshift.policies.evidence.verdicts import pair_cost
from secondshift.policies.models.signflips import pairs_needed
from secondshift.records.states import State

EFFECTS = (2.0, 1.0, 0.5)  # in standard deviations of one result between seeds
LIMIT = 1000  # ideas are not counted beyond


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What can be settled of ideas of one size."""

    effect: float  # in standard deviations of one result between seeds
    pairs: int  # that the next idea needs, about
    ideas: int  # that the time pays for, each with its own share of the error budget; LIMIT: that many or more


def reaches(state: State, device_s: float) -> tuple[Reach, ...]:
    """Estimate what so many device-seconds settle; empty while nobody knows what a pair costs.

    Differences of pairs are taken for normal, with the benefit of pairing as measured so far (none where it was not).
    """
    cost = pair_cost(state)
    if cost <= 0.0:
        return ()
    helped = sorted(v.pairing for v in state.verdicts.values() if math.isfinite(v.pairing))
    benefit = math.sqrt(helped[len(helped) // 2]) if helped else 1.0
    return tuple(_reach(state, effect, effect / math.sqrt(2.0) * benefit, device_s / cost) for effect in EFFECTS)


def _reach(state: State, effect: float, paired: float, affordable: float) -> Reach:
    first = state.comparisons + 1
    needed = math.ceil(pairs_needed(paired, _level(first)))
    count, spent = 0, 0.0
    while count < LIMIT:
        spent += pairs_needed(paired, _level(first + count))
        if spent > affordable:
            break
        count += 1
    return Reach(effect=effect, pairs=needed, ideas=count)


def _level(number: int) -> float:
    return min(MOST, ALPHA * share(number))

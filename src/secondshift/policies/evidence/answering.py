"""Every idea gets an answer: what its newest verdict says, or why not yet."""

import math
from dataclasses import replace

from secondshift.records.decisions import Decision, answer
from secondshift.records.ideas import FEW_PAIRS, MANY_PAIRS, Idea, IdeaState, Verdict
from secondshift.records.states import State

NAME = "answering"


def decide(state: State) -> list[Decision]:
    """Give each idea the state that its verdict settles; when the shift ends, the rest are undecided, with a price."""
    decisions = []
    for idea in state.ideas.values():
        found = state.verdicts.get(idea.id)
        if idea.state != "exploring":
            continue
        if found is not None and found.candidate == idea.candidate and found.ending != "unsettled":
            decisions.append(_settled(idea, found))
        elif state.ending:
            after = replace(idea, state="undecided", answer=price(found))
            decisions.append(answer(after, reason=f"The shift ends before {idea.id} is settled: {after.answer}.", by=NAME))
    return decisions


def _settled(idea: Idea, found: Verdict) -> Decision:
    states: dict[str, IdeaState] = {"supported": "held up", "refuted": "refuted", "undecided": "undecided"}
    after = replace(idea, state=states[found.decision], answer=found.reason)
    return answer(after, reason=found.reason, by=NAME, based_on=())


def price(found: Verdict | None) -> str:
    """Say in a phrase how an idea looks and what settling it would cost."""
    if found is None or not found.pairs:
        return "no pair of fresh seeds has finished"
    if found.neither():
        return f"neither its runs nor the baseline's came to a result in {found.pairs} fresh seeds"
    looks = f"looks {found.effect:+.4g} after {found.pairs} fresh seeds"
    if found.pairs < FEW_PAIRS:
        return f"{looks}; these are too few to say what settling it would cost"
    if found.pairs_left > MANY_PAIRS:
        return f"{looks}; needs ~{MANY_PAIRS} more at least: the effect, if there is one, is small beside the noise"
    hours = found.device_s_left / 3600.0
    cost = f", ~{hours:.2g} device-hours" if hours > 0.0 else ""
    return f"{looks}; needs ~{math.ceil(found.pairs_left)} more{cost}"

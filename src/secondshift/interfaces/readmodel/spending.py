"""What was spent on each idea: calls of the agent, money, and device time on fresh seeds. From facts alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import value
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What an idea took, over all nights. What runs beside it, of the baseline, is for all ideas."""

    calls: tuple[AgentCall, ...] = ()  # of the agent that have ended: for it, or for the programs that it is made of
    trials: tuple[str, ...] = ()  # of its own candidates, with fresh seeds
    usd: float = 0.0  # what those calls were settled at
    assumed_usd: float = 0.0  # the part of it that nobody saw: calls that were lost
    device_s: float = 0.0  # that was settled for those trials
    priced: bool = False  # the calls have a price


def spent_on(state: State, idea: Idea) -> Spent:
    """Add up what an idea took."""
    known = state.candidates.get(idea.candidate)
    made_of = {idea.change, *(known.code.split("+") if known is not None and not idea.canary else ())} - {""}
    calls = [call for call in state.calls.values() if call.ending and (call.idea == idea.id or call.change in made_of)]
    trials = [t for t in state.trials.values() if t.pair >= 0 and _its_own(state, t, idea)]
    return Spent(
        calls=tuple(calls), trials=tuple(t.id for t in trials), usd=sum(call.usd for call in calls),
        assumed_usd=sum(call.usd for call in calls if call.assumed), device_s=sum(t.device_s for t in trials),
        priced=any(call.reserved_usd > 0.0 for call in calls),
    )  # fmt: skip


def _its_own(state: State, trial: Trial, idea: Idea) -> bool:
    """Say whether a trial with a fresh seed was run for an idea, now or before it was begun anew, and not as others' baseline."""
    if trial.candidate == idea.candidate:
        return idea.state == "exploring" or f"{idea.baseline}/{trial.pair}" in state.pairs
    return state.candidates[trial.candidate].idea == idea.id


def cost(state: State, idea: Idea) -> Statement | None:
    """Say what an idea took; None where nothing was spent on it."""
    found = spent_on(state, idea)
    if not found.calls and not found.device_s:
        return None
    kind = "devices"
    if found.calls:
        kind = "turns" if not found.priced else "assumed" if found.assumed_usd else "calls"
    values = {"idea": idea.id, "calls": len(found.calls), "used_usd": found.usd, "assumed_usd": found.assumed_usd,
              "device_s": found.device_s}  # fmt: skip
    return Statement(key=f"ideas.cost_{kind}", values=values)


def row(found: Spent) -> dict[str, Any]:
    """What an idea took, as a document; without a price the money is None."""
    priced = found.priced or not found.calls
    return {"calls": len(found.calls), "usd": found.usd if priced else None, "assumed_usd": found.assumed_usd,
            "device_s": found.device_s}  # fmt: skip


def short(spent: Mapping[str, Any], lang: str) -> str:
    """What an idea took in a few words, for a table; empty where that is nothing."""
    parts = [say("ideas.cost_count", lang, calls=spent["calls"])] if spent["calls"] else []
    if spent["calls"] and spent["usd"]:
        parts.append(value("used_usd", spent["usd"], lang) + ("*" if spent["assumed_usd"] else ""))
    parts += [value("device_s", spent["device_s"], lang)] if spent["device_s"] else []
    return ", ".join(parts)

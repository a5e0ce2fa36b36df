"""What ideas took in a shift, and what that comes to for each that held up. What did not hold up is paid for, too."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Told, Trace
from secondshift.records.events import AgentEnded, ChargeSettled
from secondshift.records.nights import Statement
from secondshift.records.states import State


def idea_spend(night: Trace, state: State) -> Iterable[Statement]:
    """Calls, money and device time for ideas in this shift; nothing where nothing was spent on any."""
    calls = night.of(AgentEnded)
    charges = [told for told in night.of(ChargeSettled) if told.fact.trial in state.trials]
    fresh = [told for told in charges if state.trials[told.fact.trial].pair >= 0]
    programs = state.study is not None and state.study.judges_search()
    searched = [told for told in charges if told not in fresh] if programs else []
    if not (calls or fresh):
        return
    yield from _calls(calls)
    yield from _devices(state, fresh, searched)
    yield from _each(night, state, calls, [*fresh, *searched])


def _calls(calls: list[Told[AgentEnded]]) -> Iterable[Statement]:
    if not calls:
        return
    ended = [told.fact.call for told in calls]
    assumed = sum(call.usd for call in ended if call.assumed)
    priced = any(call.reserved_usd > 0.0 for call in ended)
    key = "turns" if not priced else "calls_assumed" if assumed else "calls"
    values = {"n": len(calls), "used_usd": sum(call.usd for call in ended), "assumed_usd": assumed}
    yield Statement(key=f"spent.{key}", values=values, facts=tuple(told.seq for told in calls))


def _devices(state: State, fresh: list[Told[ChargeSettled]], searched: list[Told[ChargeSettled]]) -> Iterable[Statement]:
    if fresh:
        against = {idea.baseline for idea in state.ideas.values()}
        beside = [told for told in fresh if state.trials[told.fact.trial].candidate in against]
        values = {"used_s": _device_s(fresh), "beside_s": _device_s(beside)}
        yield Statement(key="spent.fresh_seeds", values=values, facts=tuple(told.seq for told in fresh))
    if searched:
        values = {"used_s": _device_s(searched)}
        yield Statement(key="spent.programs", values=values, facts=tuple(told.seq for told in searched))


def _each(
    night: Trace, state: State, calls: list[Told[AgentEnded]], charges: list[Told[ChargeSettled]]
) -> Iterable[Statement]:
    """What one idea that held up took: all that was spent, by how many held up."""
    spent = tuple(sorted(told.seq for told in (*calls, *charges)))
    held = {name: seq for name, seq in night.held.items() if seq > night.started and not state.ideas[name].canary}
    if not held:
        yield Statement(key="spent.none_held_up", facts=spent)
        return
    count, device_s = len(held), _device_s(charges)
    price = state.study.budget.usd_per_device_s if state.study is not None else None
    priced = price is not None or any(told.fact.call.reserved_usd > 0.0 for told in calls)
    usd = sum(told.fact.call.usd for told in calls) + device_s * (price or 0.0)
    key = "each_held_up_usd" if priced else "each_held_up_calls" if calls else "each_held_up"
    values = {"n": count, "idea_list": ", ".join(held), "each_s": device_s / count, "each_usd": usd / count,
              "each_calls": len(calls) / count}  # fmt: skip
    yield Statement(key=f"spent.{key}", values=values, facts=tuple(sorted((*held.values(), *spent))))


def _device_s(charges: list[Told[ChargeSettled]]) -> float:
    return sum(told.fact.device_s for told in charges)

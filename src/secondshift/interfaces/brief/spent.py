"""What a shift spent of each budget, what is set aside, and what is left."""

from collections.abc import Iterable

from secondshift.interfaces.brief.idea_spend import idea_spend
from secondshift.interfaces.brief.trace import Trace
from secondshift.records.events import ChargeSettled
from secondshift.records.nights import Statement
from secondshift.records.states import State


def spent(night: Trace, state: State) -> Iterable[Statement]:
    """Device time, wall time, trials and money: this shift's share and the study's total against its caps."""
    edges = tuple(s for s in (night.started, night.ended or night.last) if s)
    here = [(e.seq, e.fact) for e in night.of(ChargeSettled)]
    facts = tuple(seq for seq, _ in here) or edges
    used = sum(c.device_s for _, c in here)
    yield Statement(key="spent.device_now", values={"used_s": used, "n": len(here)}, facts=facts)
    yield from _device(night, state, edges)
    if night.shift is not None:
        until = night.ended_at if night.ended else night.last_at
        yield Statement(key="spent.wall_now", values={"used_s": max(0.0, until - night.shift.started_at)}, facts=edges)
    yield from _wall(night, state, edges)
    yield from _trials(night, state, edges)
    yield from _money(state, (*_capped(night), *(seq for seq, _ in night.settled)) or edges)
    yield from _agent(state, tuple(night.calls.values()) or edges)
    yield from _overrun(night)
    yield from idea_spend(night, state)


def _device(night: Trace, state: State, edges: tuple[int, ...]) -> Iterable[Statement]:
    spend, cap = state.spend, state.study.budget.device_s if state.study else None
    facts = (*_capped(night), *(tuple(seq for seq, _ in night.settled) or edges))
    values = {"used_s": spend.settled_device_s, "reserved_s": spend.reserved_device_s}
    if cap is None:
        yield Statement(key="spent.device_uncapped", values=values, facts=facts)
        return
    left = cap - spend.settled_device_s - spend.reserved_device_s
    yield Statement(key="spent.device_cap", values={**values, "cap_s": cap, "left_s": max(0.0, left)}, facts=facts)
    if left < 0:
        yield Statement(key="spent.device_over", values={"over_s": -left}, facts=facts)


def _wall(night: Trace, state: State, edges: tuple[int, ...]) -> Iterable[Statement]:
    cap = state.study.budget.wall_s if state.study else None
    if cap is not None:
        going = night.last_at - night.shift.started_at if night.shift and not night.ended else 0.0
        used = state.spend.wall_s + max(0.0, going)
        yield Statement(
            key="spent.wall_cap",
            values={"used_s": used, "cap_s": cap, "left_s": max(0.0, cap - used)},
            facts=(*_capped(night), *edges),
        )
        if used > cap:
            yield Statement(key="spent.wall_over", values={"over_s": used - cap}, facts=edges)


def _trials(night: Trace, state: State, edges: tuple[int, ...]) -> Iterable[Statement]:
    cap = state.study.budget.trials if state.study else None
    queued = night.seqs("trial.queued")
    yield Statement(key="spent.trials_now", values={"n": len(queued)}, facts=queued or edges)
    if cap is not None:
        used = len(state.trials) - len(state.pairs)
        facts = (*_capped(night), *(t.queued for t in night.trials.values() if t.queued))
        yield Statement(
            key="spent.trials_cap", values={"used": used, "cap": cap, "left": max(0, cap - used)}, facts=facts
        )


def _money(state: State, facts: tuple[int, ...]) -> Iterable[Statement]:
    budget = state.study.budget if state.study else None
    if budget is None or budget.usd_per_device_s is None:
        return
    price = budget.usd_per_device_s
    used = state.spend.settled_device_s * price + state.spend.agents_usd  # both are paid from one purse
    reserved = state.spend.reserved_device_s * price + state.spend.reserved_usd
    if budget.money_usd is None:
        yield Statement(key="spent.money_uncapped", values={"used_usd": used}, facts=facts)
        return
    left = budget.money_usd - used - reserved
    values = {"used_usd": used, "reserved_usd": reserved, "cap_usd": budget.money_usd, "left_usd": max(0.0, left)}
    yield Statement(key="spent.money_cap", values=values, facts=facts)


def _agent(state: State, facts: tuple[int, ...]) -> Iterable[Statement]:
    """Calls of the agent, over all nights: their number and their money, against what caps there are."""
    study = state.study
    if study is None or not (study.agent.command or state.calls):
        return
    if study.agent.turns is not None:
        values = {"n": len(state.calls), "cap": study.agent.turns, "left": state.calls_left() or 0}
        yield Statement(key="spent.turns_cap", values=values, facts=facts)
    cap, spend = study.agent.money_usd, state.spend
    if cap is not None:
        left = max(0.0, cap - spend.agents_usd - spend.reserved_usd)
        values = {"used_usd": spend.agents_usd, "reserved_usd": spend.reserved_usd, "cap_usd": cap, "left_usd": left}
        yield Statement(key="spent.agent_cap", values=values, facts=facts)


def _capped(night: Trace) -> tuple[int, ...]:
    return (night.study,) if night.study else ()


def _overrun(night: Trace) -> Iterable[Statement]:
    over = [(seq, c.device_s - night.reserved.get(c.charge, 0.0)) for seq, c in night.settled if seq > night.started]
    over = [(seq, s) for seq, s in over if s > 0.001]
    if over:
        values = {"n": len(over), "over_s": sum(s for _, s in over)}
        yield Statement(key="spent.overrun", values=values, facts=tuple(seq for seq, _ in over))

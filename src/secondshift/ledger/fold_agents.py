"""The part of the fold that is about calls of the agent: whom they are for, what they cost, how they end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.records import events as facts
from secondshift.records.nights import Charge

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft


def agent_ordered(draft: Draft, fact: facts.AgentOrdered, event: facts.Event) -> None:
    """A call of the same id counts once; its price is set aside from now on."""
    call = fact.call
    if call.id in draft.calls:
        return
    draft.write("calls")[call.id] = call
    draft.write("calling")[call.id] = True
    draft.write("charges")[call.id] = Charge(id=call.id, reserved_usd=call.reserved_usd)
    draft.put(spend=replace(draft.spend, reserved_usd=draft.spend.reserved_usd + call.reserved_usd))


def agent_ended(draft: Draft, fact: facts.AgentEnded, event: facts.Event) -> None:
    """A call ends once, and what it cost replaces what was set aside for it."""
    call = fact.call
    if call.id not in draft.calling:
        return
    draft.write("calling").pop(call.id)
    draft.write("calls")[call.id] = call
    charge = draft.write("charges").pop(call.id)
    reserved = draft.spend.reserved_usd - charge.reserved_usd if draft.calling else 0.0  # no rounding dust
    draft.put(spend=replace(draft.spend, reserved_usd=reserved, agents_usd=draft.spend.agents_usd + call.usd))

"""The part of the fold that is about the gate: suites ordered, measured and judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.records import events as facts

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft


def gate_ordered(draft: Draft, fact: facts.GateOrdered, event: facts.Event) -> None:
    """A run of the same id counts once."""
    if fact.run.id not in draft.gates:
        draft.write("gates")[fact.run.id] = fact.run


def gate_checked(draft: Draft, fact: facts.GateChecked, event: facts.Event) -> None:
    """The first result of each measurement stands; one that comes after the judgement changes nothing."""
    run, one = draft.gates.get(fact.gate), fact.result
    if run is not None and not run.verdict and (one.check, one.side, one.repeat) not in run.measured():
        draft.write("gates")[run.id] = replace(run, results=(*run.results, one))


def gate_judged(draft: Draft, fact: facts.GateJudged, event: facts.Event) -> None:
    """A run is judged once."""
    run = draft.gates.get(fact.gate)
    if run is not None and not run.verdict:
        draft.write("gates")[run.id] = replace(run, verdict=fact.verdict, reason=fact.reason, rows=fact.rows)


def promotion_ordered(draft: Draft, fact: facts.PromotionOrdered, event: facts.Event) -> None:
    """A promotion of the same id counts once."""
    if fact.promotion.id not in draft.promotions:
        draft.write("promotions")[fact.promotion.id] = fact.promotion


def promotion_ended(draft: Draft, fact: facts.PromotionEnded, event: facts.Event) -> None:
    """A promotion ends once."""
    one = draft.promotions.get(fact.promotion)
    if one is not None and not one.outcome:
        draft.write("promotions")[one.id] = replace(one, outcome=fact.outcome, place=fact.place)


def sealed_opened(draft: Draft, fact: facts.SealedOpened, event: facts.Event) -> None:
    """Openings are counted; what the test said stays out of the state."""
    draft.put(openings=draft.openings + 1)

"""Runs of a suite, overrides, releases and openings of the sealed test as windows show them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from secondshift.interfaces.messages.formats import number
from secondshift.records.events import (
    BaselineMoved,
    Event,
    GateJudged,
    PromotionEnded,
    PromotionOrdered,
    SealedMeasured,
    SealedOpened,
)
from secondshift.records.gates import GateRun, Row
from secondshift.records.nights import Statement

TOLD = ("gate.judged", "baseline.moved", "promotion.ordered", "promotion.ended", "sealed.opened", "sealed.measured")


def gate_statement(run: GateRun) -> Statement:
    """Say what a suite said of an idea, and where it does not pass, of what first."""
    if run.verdict:
        return _judged(run.id, run.idea, run.verdict, run.reason, run.rows)
    values = {"gate": run.id, "idea": run.idea, "done": len(run.results), "planned": len(run.planned())}
    return Statement(key="gate.under_way", values=values)


def _judged(
    gate: str, idea: str, verdict: str, why: str, rows: Sequence[Row], facts: tuple[int, ...] = ()
) -> Statement:
    held = sum(row.verdict == "pass" for row in rows)
    values: dict[str, str | int | float] = {"gate": gate, "idea": idea, "n": len(rows), "held": held}
    worst = next((row for row in rows if row.verdict == verdict), None)
    if verdict == "pass":
        return Statement(key="gate.pass", values=values, facts=facts)
    if worst is None or math.isnan(worst.low):
        values |= {"reason": worst.reason if worst is not None else why, "check": worst.check if worst else "—"}
        return Statement(key=f"gate.{verdict}_why", values=values, facts=facts)
    values |= {
        "check": worst.check, "rule": worst.rule, "metric": worst.metric, "before": worst.before, "after": worst.after,
        "low": worst.low, "high": worst.high,
    }  # fmt: skip
    return Statement(key=f"gate.{verdict}", values=values, facts=facts)


def gate_story(events: Iterable[Event], *, sealed_values: bool) -> list[Statement]:
    """Tell the facts of the gate in order; `sealed_values`: what the sealed test said, too, and not only that it was opened."""
    said: list[Statement] = []
    for event in events:
        facts = (event.seq,)
        match event.payload:
            case GateJudged(gate=gate, idea=idea, verdict=verdict, reason=reason, rows=rows):
                said.append(_judged(gate, idea, verdict, reason, rows, facts))
            case BaselineMoved(idea=idea, who=who, because=because, gate=gate) if because:
                values = {"idea": idea, "who": who, "because": because, "gate": gate or "—"}
                said.append(Statement(key="gate.overridden", values=values, facts=facts))
            case PromotionOrdered(promotion=one) if one.because:
                values = {"idea": one.idea, "who": one.who, "because": one.because, "gate": one.gate or "—"}
                said.append(Statement(key="gate.promotion_overridden", values=values, facts=facts))
            case PromotionEnded(idea=idea, outcome=outcome, place=place):
                key = "gate.released" if outcome == "released" else "gate.not_released"
                said.append(Statement(key=key, values={"idea": idea, "place": place}, facts=facts))
            case SealedMeasured(idea=idea, metric=metric, value=value, failed=failed) if sealed_values:
                values = {"idea": idea, "metric": metric, "value": value, "failed": failed}
                said.append(Statement(key="gate.sealed_failed" if failed else "gate.sealed_said", values=values, facts=facts))
            case _:
                pass
    return said


def openings(events: Iterable[Event]) -> list[Statement]:
    """Say how often the sealed test was opened, and for what; nothing where it never was."""
    opened = [(event.seq, event.payload) for event in events if isinstance(event.payload, SealedOpened)]
    if not opened:
        return []
    ideas = ", ".join(dict.fromkeys(fact.idea for _, fact in opened))
    values: dict[str, str | int | float] = {"n": len(opened), "idea_list": ideas}
    return [Statement(key="gate.openings", values=values, facts=tuple(seq for seq, _ in opened))]


def gate_row(run: GateRun) -> dict[str, Any]:
    """One run of a suite as a document."""
    return {
        "gate": run.id, "idea": run.idea, "candidate": run.candidate, "baseline": run.baseline, "trial": run.trial,
        "baseline_trial": run.baseline_trial, "verdict": run.verdict, "reason": run.reason, "repeats": run.repeats,
        "artefact": run.artefact(), "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in run.rows],
    }  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table: check, rule, metric, before, after, and the interval of what is judged."""
    span = "" if math.isnan(row.low) else f"{number(row.low)} … {number(row.high)}"
    before, after = ("" if math.isnan(value) else number(value) for value in (row.before, row.after))
    return row.check, row.rule, row.metric, before, after, span

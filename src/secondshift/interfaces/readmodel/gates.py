"""Runs of a suite as windows show them: one line each, and the table of what was measured."""

from typing import Any

from secondshift.interfaces.messages.formats import number
from secondshift.records.gates import GateRun, Row
from secondshift.records.nights import Statement


def gate_statement(run: GateRun, facts: tuple[int, ...] = ()) -> Statement:
    """Say what a suite said of an idea, and where it does not pass, of what first."""
    values: dict[str, str | int | float] = {
        "gate": run.id, "idea": run.idea, "candidate": run.candidate, "baseline": run.baseline, "trial": run.trial or "—",
        "n": len(run.rows), "held": sum(row.verdict == "pass" for row in run.rows),
    }  # fmt: skip
    if not run.verdict:
        values |= {"done": len(run.results), "planned": len(run.planned())}
        return Statement(key="gate.under_way", values=values, facts=facts)
    worst = next((row for row in run.rows if row.verdict == run.verdict), None)
    if run.verdict == "pass":
        return Statement(key="gate.pass", values=values, facts=facts)
    if worst is None or not worst.metric or worst.low != worst.low:
        values["reason"] = worst.reason if worst is not None else run.reason
        return Statement(key=f"gate.{run.verdict}_why", values={**values, "check": worst.check if worst else "—"}, facts=facts)
    values |= {
        "check": worst.check, "rule": worst.rule, "metric": worst.metric, "before": worst.before, "after": worst.after,
        "low": worst.low, "high": worst.high,
    }  # fmt: skip
    return Statement(key=f"gate.{run.verdict}", values=values, facts=facts)


def gate_row(run: GateRun) -> dict[str, Any]:
    """One run of a suite as a document."""
    return {
        "gate": run.id, "idea": run.idea, "candidate": run.candidate, "baseline": run.baseline, "trial": run.trial,
        "baseline_trial": run.baseline_trial, "verdict": run.verdict, "reason": run.reason, "repeats": run.repeats,
        "artefact": run.artefact(), "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in run.rows],
    }  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table: check, rule, metric, before, after, and the interval of what is judged."""
    span = f"{number(row.low)} … {number(row.high)}" if row.low == row.low else ""
    before, after = (number(value) if value == value else "" for value in (row.before, row.after))
    return row.check, row.rule, row.metric, before, after, span

"""Facts about the gate: which suite was ordered, what each run of a check came to, and the judgement."""

from dataclasses import dataclass

from secondshift.records.gates import GateRun, Measured, Row


@dataclass(frozen=True, kw_only=True, slots=True)
class GateOrdered:
    """A suite is to be run on the artefacts of a candidate and of the baseline; nothing runs before this is recorded."""

    run: GateRun
    decision: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateChecked:
    """One run of a check has ended; the first one of its kind that is recorded counts."""

    gate: str
    result: Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class GateJudged:
    """What the suite says: pass, block or insufficient."""

    gate: str
    idea: str
    verdict: str
    reason: str
    rows: tuple[Row, ...] = ()

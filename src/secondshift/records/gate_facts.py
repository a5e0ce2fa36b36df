"""Facts about the gate: which suite was ordered, what each run of a check came to, and the judgement."""

from dataclasses import dataclass

from secondshift.records.gates import GateRun, Measured, Promotion, Row


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


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotionOrdered:
    """An artefact is to be released; nothing is copied before this is recorded."""

    promotion: Promotion
    decision: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotionEnded:
    """A release lies in its place, or could not be made."""

    promotion: str
    idea: str
    outcome: str  # released or failed
    place: str = ""  # the folder; or why not
    digest: str = ""  # of the artefact
    files: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedOpened:
    """The sealed test is opened for a promotion; recorded before it runs, and counted for ever."""

    promotion: str
    idea: str
    candidate: str
    who: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedMeasured:
    """What the sealed test said. No state holds it, so that no decision can be based on it."""

    promotion: str
    idea: str
    metric: str
    value: float  # NaN: it came to nothing
    failed: str = ""
    took_s: float = 0.0

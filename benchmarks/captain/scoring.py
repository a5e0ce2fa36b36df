"""The scoring of `shared/incidents/README.md`: hits, right diagnoses, delays and false pages, kind by kind."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.findings import Finding

WITHIN, WITHIN_SLOW = 200, 400  # steps after the onset
TOGETHER = 200  # findings within so many steps of the first belong to one incident


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a run's truth says about a right answer."""

    kind: str
    fault: bool
    onset: int
    acceptable: frozenset[str]
    right: frozenset[str]
    causes: frozenset[str]  # empty: the cause is not judged
    slow: bool
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Score:
    """How one run was judged. A page is anything above a note: repair, stop, ask, page."""

    kind: str
    fault: bool
    held_out: bool
    steps: int
    hit: bool = False  # by a finding of any rung
    acted: bool = False  # by a finding above a note
    delay: int | None = None  # of the hit, in steps
    right: bool = False  # the first finding of the whole run is right
    cause: bool | None = None  # the diagnosis is right; None: not judged
    pages: int = 0  # different symptoms above a note, in the whole run
    false_pages: int = 0  # of those, on a healthy run or before the onset
    notes: int = 0  # findings that stayed notes, before the onset or on a healthy run
    first: str = ""  # for people: the first finding


def judge(findings: Sequence[Finding], expected: Expected, steps: int) -> Score:
    """Judge the findings of one run."""
    acting = [(finding, rung(finding) != "note") for finding in findings]
    onset = expected.onset if expected.fault else steps + 1
    pages = {finding.symptom for finding, above in acting if above}
    false_pages = {finding.symptom for finding, above in acting if above and finding.step < onset}
    notes = sum(not above and finding.step < onset for finding, above in acting)
    first = f"{findings[0].symptom}@{findings[0].step}" if findings else ""
    base = {
        "kind": expected.kind, "fault": expected.fault, "held_out": expected.held_out, "steps": steps,
        "pages": len(pages), "false_pages": len(false_pages), "notes": notes, "first": first,
    }  # fmt: skip
    if not expected.fault:
        return Score(**base)
    until = onset + (WITHIN_SLOW if expected.slow else WITHIN)
    hits = [
        (finding.step, above)
        for finding, above in acting
        if onset <= finding.step <= until and finding.symptom in expected.acceptable
    ]
    after = [finding for finding in findings if finding.step >= onset]
    together = [finding for finding in after if finding.step <= after[0].step + TOGETHER]
    diagnosis = diagnose(together)
    cause = (diagnosis is not None and diagnosis.cause in expected.causes) if expected.causes else None
    return Score(
        **base, hit=bool(hits), acted=any(above for _, above in hits), delay=hits[0][0] - onset if hits else None,
        right=bool(findings) and findings[0].symptom in expected.right, cause=cause,
    )  # fmt: skip


def share(values: Iterable[bool]) -> float | None:
    """The share of true ones; None of nothing."""
    kept = list(values)
    return sum(kept) / len(kept) if kept else None


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that at least `part` of them do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


@dataclass(kw_only=True)
class Table:
    """Scores put together."""

    scores: list[Score] = field(default_factory=list)

    def summary(self) -> dict[str, float | int | None]:
        """The figures of one part of the data."""
        faults = [score for score in self.scores if score.fault]
        looks = [score for score in self.scores if not score.fault]
        delays = [float(score.delay) for score in faults if score.delay is not None]
        steps = sum(score.steps for score in looks)
        pages = sum(score.pages for score in self.scores)
        false_pages = sum(score.false_pages for score in self.scores)
        return {
            "faults": len(faults), "lookalikes": len(looks), "recall": share(score.hit for score in faults),
            "recall above a note": share(score.acted for score in faults),
            "right first finding": share(score.right for score in faults),
            "right cause": share(score.cause for score in faults if score.cause is not None),
            "delay median": percentile(delays, 0.5), "delay p90": percentile(delays, 0.9),
            "precision of pages": 1 - false_pages / pages if pages else None,
            "false pages before onset": sum(score.false_pages for score in faults),
            "false pages": sum(score.false_pages for score in looks),
            "false pages per 100k lookalike steps": sum(score.false_pages for score in looks) * 1e5 / steps if steps else None,
            "notes per 100k lookalike steps": sum(score.notes for score in looks) * 1e5 / steps if steps else None,
        }  # fmt: skip

    def by_kind(self) -> dict[str, "Table"]:
        """One table for each kind, in the order they came."""
        kinds: dict[str, Table] = defaultdict(Table)
        for score in self.scores:
            kinds[score.kind].scores.append(score)
        return dict(kinds)

    def part(self, *, held_out: bool) -> "Table":
        """The kinds that were held out of tuning, or the others."""
        return Table(scores=[score for score in self.scores if score.held_out == held_out])

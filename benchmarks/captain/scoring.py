"""The scoring of `shared/incidents/README.md`: hits, right diagnoses, delays and false pages, kind by kind."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt

from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.early import early, lasting
from secondshift.policies.captain.ladder import Rung, rung
from secondshift.policies.captain.symptoms.findings import Finding

WITHIN, WITHIN_SLOW = 200, 400  # steps after the onset
PAGES = ("ask", "page")
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
    whole: bool = False  # may be found until the run ends


@dataclass(frozen=True, kw_only=True)
class Score:
    """How one run was judged. An act is anything above a note: repair, stop, ask, page; of these, ask and page are pages."""

    kind: str
    fault: bool
    held_out: bool
    steps: int
    hit: bool = False  # by a finding of any rung
    acted: bool = False  # by a finding above a note
    paged: bool = False  # by one that asks
    delay: int | None = None  # of the hit, in steps
    right: bool = False  # the first finding of the whole run is right
    cause: bool | None = None  # the diagnosis is right; None: not judged
    pages: int = 0  # different symptoms that asked, in the whole run
    false_pages: int = 0  # of those, on a healthy run or before the onset
    acts: int = 0  # different symptoms above a note
    false_acts: int = 0  # the same: where nothing is granted, a repair asks as well
    notes: int = 0  # findings that stayed notes, before the onset or on a healthy run
    first: str = ""  # for people: the first finding


def reached_by(finding: Finding) -> Rung:
    """The rung that a finding has reached where going back is granted: it may be undone by rule before anybody is asked."""
    told = rung(finding)
    return "repair" if told == "note" and (lasting(finding) or early(finding)) else told


def judge(findings: Sequence[Finding], expected: Expected, steps: int) -> Score:
    """Judge the findings of one run that went on until step `steps`."""
    acting = [(finding, reached_by(finding)) for finding in findings]
    onset = expected.onset if expected.fault else steps + 1
    early = [(finding.symptom, reached) for finding, reached in acting if finding.step < onset]
    notes = sum(reached == "note" for _, reached in early)
    first = f"{findings[0].symptom}@{findings[0].step}" if findings else ""
    base = {
        "kind": expected.kind, "fault": expected.fault, "held_out": expected.held_out, "steps": steps, "notes": notes,
        "first": first, "pages": len({finding.symptom for finding, reached in acting if reached in PAGES}),
        "false_pages": len({symptom for symptom, reached in early if reached in PAGES}),
        "acts": len({finding.symptom for finding, reached in acting if reached != "note"}),
        "false_acts": len({symptom for symptom, reached in early if reached != "note"}),
    }  # fmt: skip
    if not expected.fault:
        return Score(**base)
    until = steps if expected.whole else onset + (WITHIN_SLOW if expected.slow else WITHIN)
    hits = [
        (finding.step, reached)
        for finding, reached in acting
        if onset <= finding.step <= until and finding.symptom in expected.acceptable
    ]
    after = [finding for finding in findings if finding.step >= onset]
    together = [finding for finding in after if finding.step <= after[0].step + TOGETHER]
    diagnosis = diagnose(together)
    cause = (diagnosis is not None and diagnosis.cause in expected.causes) if expected.causes else None
    return Score(
        **base, hit=bool(hits), acted=any(reached != "note" for _, reached in hits),
        paged=any(reached in PAGES for _, reached in hits), delay=hits[0][0] - onset if hits else None,
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


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Wilson (1927); (0, 1) of nothing."""
    if of == 0:
        return 0.0, 1.0
    z, p = 1.959964, hits / of
    middle, half = p + z * z / (2 * of), z * sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(0.0, (middle - half) / (1 + z * z / of)), min(1.0, (middle + half) / (1 + z * z / of))


def poisson_upper(count: int) -> float:
    """The 97.5 % upper limit of a Poisson mean after `count` events, by bisection."""
    low, high = float(count), count + 20.0 + 6.0 * sqrt(count + 1.0)
    for _ in range(60):
        mean = 0.5 * (low + high)
        term = total = exp(-mean)
        for event in range(1, count + 1):
            term *= mean / event
            total += term
        low, high = (mean, high) if total > 0.025 else (low, mean)
    return high


Figure = float | int | list[float] | None


@dataclass(kw_only=True)
class Table:
    """Scores put together."""

    scores: list[Score] = field(default_factory=list)

    def summary(self) -> dict[str, Figure]:
        """The figures of one part of the data; shares with their 95 % intervals."""
        faults = [score for score in self.scores if score.fault]
        looks = [score for score in self.scores if not score.fault]
        delays = [float(score.delay) for score in faults if score.delay is not None]
        steps = sum(score.steps for score in looks)
        pages = sum(score.pages for score in self.scores)
        false_pages = sum(score.false_pages for score in self.scores)
        counted = sum(score.false_pages for score in looks)
        figures: dict[str, Figure] = {"faults": len(faults), "lookalikes": len(looks)}
        for name, told in (
            ("recall", [score.hit for score in faults]),
            ("right first finding", [score.right for score in faults]),
            ("right cause", [bool(score.cause) for score in faults if score.cause is not None]),
            ("recall above a note", [score.acted for score in faults]),
            ("recall by a page", [score.paged for score in faults]),
        ):
            figures[name] = share(told)
            figures[f"{name}, interval"] = [round(end, 3) for end in wilson(sum(told), len(told))] if told else None
        return figures | {
            "delay median": percentile(delays, 0.5), "delay p90": percentile(delays, 0.9),
            "precision of pages": 1 - false_pages / pages if pages else None,
            "false pages before onset": sum(score.false_pages for score in faults),
            "false pages": counted,
            "false pages per 100k lookalike steps": counted * 1e5 / steps if steps else None,
            "false pages per 100k lookalike steps, at most": poisson_upper(counted) * 1e5 / steps if steps else None,
            "false acts per 100k lookalike steps": sum(score.false_acts for score in looks) * 1e5 / steps if steps else None,
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

"""Judging whether a run that was interrupted goes on as if it had not been.

A script that restores everything gives the very numbers of the uninterrupted run. One that does not restore the order
of its data gives others, and is as good: its deviations have no direction. How large they are is seen by resuming from
the same checkpoint with other seeds. Where another seed changes nothing, the order was restored, and any deviation is
something that the checkpoint left out. Else the mean deviation over several interruptions is held against theirs by
Student's t, with as many degrees of freedom as there were extra seeds.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from secondshift.policies.proofs.hints import hints
from secondshift.policies.proofs.lastwords import last_words
from secondshift.policies.proofs.series import (
    ROUNDING,
    deviation,
    equal,
    exact_metrics,
    learned,
    points,
    shown,
    span,
    stride,
)
from secondshift.records.metricnames import of_script
from secondshift.records.proofs import Examination, Finding, Probe, Resumption

EARLY = 0.34  # share of the steps after a resume in which an optimiser without its memory shows most
CHANCE = 0.003  # of a false alarm in each of the windows
WINDOWS = (0.0, EARLY, 1.0)  # shares of the steps after a resume; 0: the first alone
ROUGHLY = 3.0  # the same without extra seeds, in spreads between whole runs of different seeds, which are wider
JUMP = 8.0  # mean of the first deviations, in what a curve changes from one step to the next beside its trend
NOTHING = 0.02  # of the spread between seeds: a smaller deviation is no harm, whatever its cause
_RATE = re.compile(r"^(?:.*[_/.])?(?:lr|learning_rate|lr-\w+|learning-rate)(?:[_/.].*)?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviation:
    """How a resumed run differs from the uninterrupted one of the same seed, over the steps after the resume."""

    step: int  # the first that the resumed run logged
    anchor: int  # the last step of the uninterrupted run before that
    exact: bool
    gaps: tuple[float, ...] = ()  # resumed minus uninterrupted, by step
    spreads: tuple[float, ...] = ()  # between seeds, of what a run gains from the resume to that step
    others: tuple[tuple[float, ...], ...] = ()  # the gaps of runs that were resumed with other seeds
    reach: float = 0.0  # range of the uninterrupted curve

    def scale(self) -> float:
        """One spread between seeds, over all steps."""
        return math.sqrt(math.fsum(s * s for s in self.spreads) / len(self.spreads)) if self.spreads else 0.0

    def groups(self, share: float) -> list[float]:
        """The mean deviation over the first `share` of the steps after the resume: as it was, then with each other seed."""
        count = max(1, math.ceil(share * len(self.gaps)))
        return [math.fsum(gaps[:count]) / count for gaps in (self.gaps, *self.others)] if self.gaps else [0.0]

    def lasting(self) -> float:
        """The mean deviation over the last steps."""
        part = self.gaps[-max(1, math.ceil(EARLY * len(self.gaps))) :]
        return math.fsum(part) / len(part) if part else 0.0

    def ordered(self) -> bool:
        """Say whether another seed made no difference after the resume: the order of the data was restored."""
        return bool(self.others) and all(gaps == self.gaps for gaps in self.others)


def resume_findings(exam: Examination) -> Iterator[Finding]:
    """Say whether checkpoints can be trusted: the first thing that is wrong, or what was proved."""
    if exam.study.tier == "opaque" or not exam.resumptions:
        return
    yield from _pauses(exam)
    for resumption in exam.resumptions:
        if broken := _broken(exam, resumption):
            yield broken
            return
    rate = _rate_restarts(exam)
    if rate is not None:
        yield rate
        return
    found = [d for d in (_deviation(exam, resumption) for resumption in exam.resumptions) if d is not None]
    if not found:
        yield _late(exam, exam.resumptions[0])
        return
    yield _verdict(exam, found)


def _pauses(exam: Examination) -> Iterator[Finding]:
    asked = [r for r in exam.resumptions if r.how == "pause"]
    if asked and exam.study.tier == "cooperative":
        grace = shown(exam.study.launch.grace_s)
        if all(r.left for r in asked):
            yield Finding(code="pause_leaves", level="proved", values={"seconds": grace})
        else:
            yield Finding(code="pause_ignored", level="note", values={"grace_s": grace})


def _broken(exam: Examination, resumption: Resumption) -> Finding | None:
    """What is plainly wrong with one resumption: nothing saved, no start, begun again, steps left out."""
    cut, later = resumption.cut, resumption.later
    if not cut.saved and resumption.checkpoint_step is None:
        return _nothing_saved(exam, resumption)
    if later.ended and later.code not in (0, None):
        values = {"code": str(later.code), "words": last_words(later.words)}
        return Finding(code="resume_fails", level="fault", breaks="resume", values=values)
    reference = _reference(exam, resumption)
    if reference is None:
        return None
    metric = exam.study.objective.metric
    whole, before, after = (sorted(points(probe, metric)) for probe in (reference, cut, later))
    if not whole or not before or not after:
        return None
    usual = stride(whole)
    if after[0] <= whole[0] and before[-1] - whole[0] >= 2 * usual:
        values = {"step": str(before[-1]), "first": str(after[0])}
        return Finding(code="resume_restarts", level="fault", breaks="resume", values=values)
    if after[0] - before[-1] > 2.5 * usual:
        values = {"from_step": str(before[-1]), "to_step": str(after[0])}
        return Finding(code="resume_skips", level="fault", breaks="resume", values=values)
    return None


def _nothing_saved(exam: Examination, resumption: Resumption) -> Finding:
    if exam.study.tier == "cooperative":
        return Finding(code="checkpoint_none", level="note", breaks="resume")
    whole = [probe for probe in exam.runs if probe.ended and probe.code == 0]
    if whole and not any(probe.saved for probe in whole):
        said = exam.study.resume_flag or exam.study.resume_env or "{checkpoint_dir}"
        return Finding(code="checkpoint_ignored", level="fault", breaks="resume", values={"folder": said})
    return _late(exam, resumption)


def _late(exam: Examination, resumption: Resumption) -> Finding:
    values = {"steps": str(exam.steps), "seconds": f"{resumption.cut.took_s:.0f}"}
    return Finding(code="checkpoint_late", level="note", breaks="resume", values=values)


def _reference(exam: Examination, resumption: Resumption) -> Probe | None:
    return next((probe for probe in exam.runs if probe.seed == resumption.later.seed), None)


def _rate_restarts(exam: Examination) -> Finding | None:
    """A logged learning rate is a rule of the step alone: after a resume it must be that of the uninterrupted run."""
    for resumption in exam.resumptions:
        reference = _reference(exam, resumption)
        for metric in reference.curves if reference else ():
            if reference is None or not _RATE.match(metric):
                continue
            whole, after = points(reference, metric), points(resumption.later, metric)
            shared = sorted(whole.keys() & after.keys())
            reach = max((abs(v) for v in whole.values() if math.isfinite(v)), default=0.0)
            wrong = [step for step in shared if abs(whole[step] - after[step]) > 1e-3 * reach]
            if len(wrong) * 2 > len(shared):
                values = {
                    "step": str(wrong[0]), "gap": shown(abs(after[wrong[0]] - whole[wrong[0]])), "noise": "0", "metric": metric,
                }  # fmt: skip
                return Finding(code="resume_restarts_schedule", level="fault", breaks="resume", values=values)
    return None


def _deviation(exam: Examination, resumption: Resumption) -> Deviation | None:
    """Measure how one resumed run differs; None where it logged nothing that the uninterrupted one has."""
    reference, metric = _reference(exam, resumption), exam.study.objective.metric
    if reference is None:
        return None
    whole, after = points(reference, metric), points(resumption.later, metric)
    shared = sorted(whole.keys() & after.keys())
    if not shared:
        return None
    begun = min(min(c.steps) for name, c in resumption.later.curves.items() if c.steps and of_script(name))
    anchor = max((step for step in whole if step < begun), default=min(whole))
    trusted = exact_metrics(exam.runs[0], exam.runs[1]) if len(exam.runs) > 1 else learned(reference)
    exact = all(_agree(reference, resumption.later, name) for name in {*trusted, metric})
    gaps = _gaps(whole, after, shared) or ()
    others = [_gaps(whole, points(probe, metric), shared) for probe in resumption.reseeded]
    return Deviation(
        step=begun, anchor=anchor, exact=exact, gaps=gaps, others=tuple(other for other in others if other),
        spreads=tuple(_spread(exam, anchor, step) for step in shared), reach=span(whole.values()),
    )  # fmt: skip


def _gaps(whole: Mapping[int, float], after: Mapping[int, float], shared: Sequence[int]) -> tuple[float, ...] | None:
    """Resumed minus uninterrupted, by step; None for a run that did not go on from the same place."""
    if any(step not in after for step in shared) or min(after) != shared[0]:
        return None
    gaps = (0.0 if equal(after[step], whole[step]) else after[step] - whole[step] for step in shared)
    return tuple(gap if math.isfinite(gap) else math.inf for gap in gaps)


def _agree(one: Probe, other: Probe, metric: str) -> bool:
    mine, theirs = points(one, metric), points(other, metric)
    return all(equal(mine[step], theirs[step]) for step in mine.keys() & theirs.keys())


def _spread(exam: Examination, anchor: int, step: int) -> float:
    """The standard deviation over runs of what each gained from the anchor to a step."""
    curves: Sequence[Mapping[int, float]] = [points(probe, exam.study.objective.metric) for probe in exam.runs]
    return deviation([curve[step] - curve[anchor] for curve in curves if step in curve and anchor in curve])


def _verdict(exam: Examination, found: list[Deviation]) -> Finding:
    """Proved, or something that the checkpoint left out."""
    step = str(found[0].step)
    if all(d.exact for d in found):
        return Finding(code="resume_exact", level="proved", values={"step": step})
    floor = max(max(d.reach for d in found) * ROUNDING, 1e-300)
    seeds = max(math.sqrt(math.fsum(d.scale() ** 2 for d in found) / len(found)), floor)
    ordered = all(d.ordered() for d in found) and exact_metrics(exam.runs[0], exam.runs[1])
    tests = [*(_test(found, seeds, floor, share) for share in WINDOWS), _jump(exam, found, floor)]
    if exam.study.objective.metric not in exact_metrics(exam.runs[0], exam.runs[1]):
        # Two runs of one seed had parted before the interruption already: their distance is in every deviation.
        tests = [(gap, max(error, ROUGHLY * seeds * math.sqrt(2 / len(found)))) for gap, error in tests]
    gap, error = max(tests, key=lambda test: abs(test[0]) / test[1])
    values = {"step": step, "gap": shown(abs(gap)), "noise": shown(seeds), "metric": exam.study.objective.metric}
    largest = max(abs(part) for d in found for part in d.gaps)
    wrong = largest > max(NOTHING * seeds, floor) if ordered else abs(gap) > error
    if not wrong:
        return Finding(code="resume_within_noise", level="proved", values=values)
    return Finding(code=_cause(exam, found), level="fault", breaks="resume", values=values)


def _test(found: list[Deviation], seeds: float, floor: float, share: float) -> tuple[float, float]:
    """The mean deviation over all resumptions, and how large it may be by chance."""
    groups = [d.groups(share) for d in found]
    gap = math.fsum(math.fsum(group) / len(group) for group in groups) / len(groups)
    free = sum(len(group) - 1 for group in groups)
    if not free:
        return gap, ROUGHLY * seeds * math.sqrt(2 / len(groups))
    variance = math.fsum(deviation(group) ** 2 * (len(group) - 1) for group in groups) / free
    # The uninterrupted run has an order of its own, and each group the mean of several.
    error = math.sqrt(variance * math.fsum(1 + 1 / len(group) for group in groups)) / len(groups)
    return gap, max(float(stdtrit(free, 1 - CHANCE / 2)) * error, floor)


def _jump(exam: Examination, found: list[Deviation], floor: float) -> tuple[float, float]:
    """The mean deviation at the first step after a resume, and what one step may do by chance.

    A step beside its trend is measured by second differences of the uninterrupted curves, which are wider than that.
    """
    squares: list[float] = []
    for probe in exam.runs:
        later = [value for step, value in points(probe, exam.study.objective.metric).items() if step >= found[0].anchor]
        bends = [a - 2 * b + c for a, b, c in zip(later, later[1:], later[2:], strict=False)]
        squares += [bend**2 / 2 for bend in bends if math.isfinite(bend)]
    first = [part for d in found for part in d.groups(0.0)]
    rough = math.sqrt(math.fsum(squares) / len(squares)) if squares else math.inf
    return math.fsum(first) / len(first), max(JUMP * rough * math.sqrt(2 / len(found)), floor)


def _cause(exam: Examination, found: list[Deviation]) -> str:
    """Name what was probably left out: what the source does not save and load again, else what the deviation looks like."""
    seen = hints(exam.source)
    if seen.optimises and seen.restores_optimiser is False:
        return "resume_forgets_optimiser"
    if seen.schedules and seen.restores_schedule is False and not _rate_logged(exam):
        return "resume_restarts_schedule"
    early = math.fsum(abs(d.groups(EARLY)[0]) for d in found)
    late = math.fsum(abs(d.lasting()) for d in found)
    fades = late < 0.5 * early
    return "resume_forgets_optimiser" if fades and seen.restores_optimiser is None else "resume_differs"


def _rate_logged(exam: Examination) -> bool:
    """Say whether the script logs its learning rate, which then was right after each resume: see `_rate_restarts`."""
    return any(_RATE.match(metric) for resumption in exam.resumptions for metric in resumption.later.curves)

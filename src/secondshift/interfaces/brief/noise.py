"""The noise floor: how far results lie apart that differ in nothing but the seed."""

import math
from collections.abc import Iterable, Sequence

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.objectives import names
from secondshift.records.fingerprints import groups as alike
from secondshift.records.nights import Statement
from secondshift.records.pastruns import Imported
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Trial

LATE = 0.9  # of the horizon; a spread measured from there on is compared with what trials came to
WITHIN = 2.0  # times the spread; a smaller difference is what a change of seed alone does


def repeated(state: State, done: Sequence[Trial]) -> list[list[Trial]]:
    """Trials of one candidate with different seeds that ran in one environment, where at least two did; one per seed."""
    found: dict[tuple[str, int], dict[int, Trial]] = {}
    for place, here in enumerate(alike(done, state.fingerprints)):
        for trial in here:
            found.setdefault((trial.candidate, place), {}).setdefault(trial.seed, trial)
    return [list(group.values()) for group in found.values() if len(group) > 1]


def repeated_before(past: Sequence[Imported], objective: Objective) -> list[list[Imported]]:
    """Complete imported runs of one source that differ in nothing known but the seed, where at least two do."""
    found: dict[tuple[str, str], dict[int, Imported]] = {}
    for run in past:
        if run.seed_known and run.trial.status == "complete" and run.trial.objective(objective) is not None:
            found.setdefault((run.source, run.trial.candidate), {}).setdefault(run.trial.seed, run)
    return [list(group.values()) for group in found.values() if len(group) > 1]


def spread(groups: Sequence[Sequence[float]]) -> float:
    """The pooled standard deviation within groups of at least two values each, in the metric's own unit."""
    squares = free = 0.0
    for values in groups:
        mean = math.fsum(values) / len(values)
        squares += math.fsum((value - mean) ** 2 for value in values)
        free += len(values) - 1
    return math.sqrt(squares / free)


def noise(
    night: Trace, state: State, done: Sequence[Trial], past: Sequence[Imported], gain: float | None
) -> Iterable[Statement]:
    """The spread between seeds, or that nobody knows it.

    done: complete trials with a finite result. past: imported runs of the present revision, whose spread is told apart
    from the study's own. gain: over the defaults, in one environment; None if there is none.
    """
    if state.study is None:
        return
    objective = state.study.objective
    groups = repeated(state, done)
    before = repeated_before(past, objective)
    yield from _past_noise(before, objective, None if groups else gain)
    if not groups:
        yield from _unrepeated(night, state.study, done, gain, known=bool(before))
        return
    used = [trial for group in groups for trial in group]
    facts = tuple(s for t in used for s in night.trials[t.id].result(objective.at))
    floor = spread([[t.objective(objective) or 0.0 for t in group] for group in groups])
    values = {
        "metric": objective.metric,
        "spread": floor,
        "n": len(used),
        "candidates": len(groups),
        "trials": names(used),
    }
    yield Statement(key="found.noise", values=values, facts=facts)
    if gain is not None and abs(gain) < WITHIN * floor:
        yield Statement(key="found.within_noise", values={"gain": abs(gain), "spread": floor}, facts=facts)


def _unrepeated(
    night: Trace, study: Study, done: Sequence[Trial], gain: float | None, *, known: bool
) -> Iterable[Statement]:
    """The spread that the doctor measured, where no trial of the study was repeated; else that nobody knows it.

    known: something else was said of it already.
    """
    measured, metric = study.seed_noise, study.objective.metric
    if not measured.seeds:
        if done and not known:
            facts = tuple(s for t in done[:1] for s in night.trials[t.id].result(study.objective.at))
            yield Statement(key="found.noise_unknown", values={"metric": metric}, facts=facts)
        return
    facts = (night.study,) if night.study else ()
    values = {"metric": metric, "spread": measured.spread, "seeds": measured.seeds, "step": measured.step}
    yield Statement(key="found.noise_doctor", values=values, facts=facts)
    late = measured.step + 1 >= LATE * study.horizon_steps  # the spread of an earlier step says little of the end
    if late and gain is not None and abs(gain) < WITHIN * measured.spread:
        yield Statement(key="found.within_noise", values={"gain": abs(gain), "spread": measured.spread}, facts=facts)


def _past_noise(groups: Sequence[Sequence[Imported]], objective: Objective, gain: float | None) -> Iterable[Statement]:
    if not groups:
        return
    used = [run for group in groups for run in group]
    floor = spread([[r.trial.objective(objective) or 0.0 for r in group] for group in groups])
    facts = tuple(sorted(run.seq for run in used))
    values = {
        "metric": objective.metric,
        "spread": floor,
        "n": len(used),
        "candidates": len(groups),
        "trials": names([run.trial for run in used]),
    }
    yield Statement(key="found.noise_past", values=values, facts=facts)
    if gain is not None and abs(gain) < WITHIN * floor:
        yield Statement(key="found.within_noise_past", values={"gain": abs(gain), "spread": floor}, facts=facts)

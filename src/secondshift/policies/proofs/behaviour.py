"""Judging what uninterrupted runs show: the metric, the seed, the parameters, the files."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise

from secondshift.policies.proofs.lastwords import last_words
from secondshift.policies.proofs.series import ROUNDING, deviation, distance, exact_metrics, points, same, shown, span
from secondshift.records.metricnames import of_script
from secondshift.records.proofs import Examination, Finding, Probe

_TRAINING = re.compile(r"(?:^|[_/.\s-])(?:train|training|trn|tr)(?:$|[_/.\s-])|^train")
_HELD_OUT = re.compile(
    r"(?:^|[_/.\s-])(?:val|valid|validation|eval|evaluation|test|dev|holdout|heldout)", re.IGNORECASE
)
# Stores that several runs share by design, and what is written anew without harm.
_SHARED_BY_DESIGN = re.compile(r"(?:^|/)(?:mlflow\.db.*|mlruns/.*|wandb/.*|\.cache/.*|[^/]*\.pyc|nohup\.out)$")
FAR = 3.0  # times the spread of one seed; a smaller effect may be that spread
FINE = 1e-4  # of a curve's range: a spread so small is the arithmetic's own, and any true effect is larger


def metric_findings(exam: Examination) -> Iterator[Finding]:
    """Say whether the objective is found where a night would look for it, and whether it is what it should be."""
    first, metric = exam.runs[0], exam.study.objective.metric
    if first.ended and first.code not in (0, None):
        yield Finding(
            code="command_fails", level="fault", breaks="all",
            values={"code": str(first.code), "words": last_words(first.words)},
        )  # fmt: skip
    found = points(first, metric)
    if not found:
        yield from _missing(exam, first, metric)
        return
    source = next((name for name, counts in first.seen.items() if metric in counts), exam.study.metrics.source)
    yield Finding(
        code="metric_found", level="proved", values={"metric": metric, "source": source, "points": str(len(found))}
    )
    if len(found) == 1:
        yield Finding(code="metric_single", level="note", values={"metric": metric})
    yield from _of_training(first, metric)


def _missing(exam: Examination, first: Probe, metric: str) -> Iterator[Finding]:
    asked = exam.study.metrics.source
    for source, counts in first.seen.items():
        if metric in counts and source != asked:
            values = {"metric": metric, "asked": asked, "found_in": source}
            yield Finding(code="metric_elsewhere", level="fault", breaks="all", values=values)
            return
    names = {name: source for source, counts in first.seen.items() for name in counts if of_script(name)}
    near = get_close_matches(metric, names, n=3, cutoff=0.4) or sorted(names)[:6]
    listed = ", ".join(f"{name} ({names[name]})" for name in near)
    yield Finding(
        code="metric_absent", level="fault", breaks="all", values={"metric": metric, "nearest": listed, "source": asked}
    )


def _of_training(first: Probe, metric: str) -> Iterator[Finding]:
    others = [name for name in first.curves if name != metric]
    if _TRAINING.search(metric.lower()):
        better = [name for name in others if _HELD_OUT.search(name)]
        tail = metric.rsplit("_", 1)[-1].lower()
        best = next((name for name in better if name.lower().endswith(tail)), better[0] if better else "")
        yield Finding(code="metric_of_training", level="fault", values={"metric": metric, "other": best})
        return
    mine = points(first, metric)
    for name in others:
        theirs = points(first, name)
        shared = mine.keys() & theirs.keys()
        if not (_TRAINING.search(name.lower()) or name.lower() == "loss") or len(shared) < 3:
            continue
        apart = distance({step: mine[step] for step in shared}, theirs)
        if span(mine.values()) > 0 and apart <= ROUNDING * span(mine.values()):
            yield Finding(code="metric_equals_training", level="fault", values={"metric": metric, "twin": name})
            return


def seed_findings(exam: Examination) -> Iterator[Finding]:
    """Say whether a seed repeats a run, and whether another seed gives another one."""
    if len(exam.runs) < 3:
        return
    first, again, *others = exam.runs
    metric = exam.study.objective.metric
    exact = exact_metrics(first, again)
    mine = points(first, metric)
    within = distance(mine, points(again, metric))
    between = max(distance(mine, points(other, metric)) for other in others)
    seeds = ", ".join(dict.fromkeys(str(probe.seed) for probe in exam.runs))
    if metric in exact:
        yield Finding(code="repeats_exactly", level="proved")
        if all(same(first, other, exact) for other in others):
            yield Finding(code="seed_ignored", level="fault", values={"seeds": seeds})
            return
        yield Finding(code="seed_matters", level="proved", values={"spread": shown(_spread(exam))})
        return
    yield Finding(code="repeats_roughly", level="note", values={"spread": shown(within)})
    if between > FAR * within:
        yield Finding(code="seed_matters", level="proved", values={"spread": shown(_spread(exam))})
    elif within <= FINE * span(mine.values()):
        yield Finding(code="seed_ignored", level="fault", values={"seeds": seeds})
    else:
        yield Finding(code="seed_unsure", level="note", values={"seeds": seeds})


def _spread(exam: Examination) -> float:
    return seed_noise(exam)[0] or 0.0


def seed_noise(exam: Examination) -> tuple[float | None, int, int]:
    """The standard deviation of the objective over seeds at the last step that all reached; that step; how many seeds."""
    by_seed = {probe.seed: points(probe, exam.study.objective.metric) for probe in reversed(exam.runs)}
    shared = set.intersection(*(set(values) for values in by_seed.values())) if by_seed else set()
    if len(by_seed) < 2 or not shared:
        return None, 0, 0
    last = max(shared)
    return deviation([values[last] for values in by_seed.values()]), last, len(by_seed)


def parameter_findings(exam: Examination) -> Iterator[Finding]:
    """Say of each parameter that was changed whether anything else came of it, with any of the values tried."""
    if not exam.runs or not exam.varied:
        return
    first = exam.runs[0]
    again = exam.runs[1] if len(exam.runs) > 1 else first
    tries: dict[str, list[Finding | None]] = {}
    for probe in exam.varied:
        tries.setdefault(probe.changed, []).append(_parameter(exam, first, again, probe))
    arrived = [name for name, found in tries.items() if None in found]
    yield from (found[0] for name, found in tries.items() if name not in arrived and found[0])
    if arrived:
        yield Finding(code="param_arrives", level="proved", values={"names": ", ".join(arrived)})


def unheard(exam: Examination) -> set[str]:
    """The parameters that changed nothing with the values tried so far."""
    silent = ("param_absent", "param_no_effect")
    return {found.values["name"] for found in parameter_findings(exam) if found.code in silent}


def _parameter(exam: Examination, first: Probe, again: Probe, probe: Probe) -> Finding | None:
    """What is to be said of one changed parameter; None if it made a difference."""
    metric, name = exam.study.objective.metric, probe.changed
    exact = exact_metrics(first, again)
    if probe.ended and probe.code not in (0, None) and not points(probe, metric):
        return None  # it made such a difference that the script broke
    mine, theirs = points(first, metric), points(probe, metric)
    if metric in exact:
        if not same(first, probe, exact) or mine.keys() - theirs.keys():
            return None
    else:
        noise = distance(mine, points(again, metric))
        if distance(mine, theirs) > FAR * noise:
            return None
        if noise > FINE * span(mine.values()) and not _reached(probe):
            return Finding(code="param_unsure", level="note", values={"name": name})
    values = {
        "name": name, "first": str(first.params.get(name, first.resolved.get(name, "—"))),
        "second": str(probe.params.get(name, "")),
        "steps": str(len(mine)),
    }  # fmt: skip
    if _reached(probe):
        return Finding(code="param_no_effect", level="note", values=values)
    return Finding(code="param_absent", level="fault", values=values)


def _reached(probe: Probe) -> bool:
    """Say whether the changed value was seen in the script: as it resolved it, or among what it printed."""
    wanted = probe.params.get(probe.changed)
    return probe.echoed or (probe.changed in probe.resolved and probe.resolved[probe.changed] == wanted)


def file_findings(exam: Examination) -> Iterator[Finding]:
    """Say which files of the working folder more than one run wrote."""
    writers: dict[str, list[str]] = {}
    for probe in (*exam.runs, *exam.varied):
        for path in probe.wrote:
            if not _SHARED_BY_DESIGN.search(path):
                writers.setdefault(path, []).append(_label(probe))
    shared = {path: names for path, names in writers.items() if len(names) > 1}
    if shared:
        path = min(shared, key=lambda path: (-len(shared[path]), path))
        more = f" (+{len(shared) - 1})" if len(shared) > 1 else ""
        runs = ", ".join(list(dict.fromkeys(shared[path]))[:4])
        yield Finding(code="shared_file", level="fault", values={"path": f"{path}{more}", "runs": runs})


def _label(probe: Probe) -> str:
    """What tells a run from others, in no language: its seed, or the parameter that was changed."""
    return f"{probe.changed}={probe.params.get(probe.changed)}" if probe.changed else f"seed={probe.seed}"


def length_findings(exam: Examination) -> Iterator[Finding]:
    """Say when a run that ended by itself was not as long as the study says."""
    first, horizon = exam.runs[0], exam.study.horizon_steps
    steps = sorted(points(first, exam.study.objective.metric))
    if not first.ended or first.code != 0 or len(steps) < 2:
        return
    gap = max(b - a for a, b in pairwise(steps))
    if not horizon - gap <= steps[-1] < horizon + max(gap, 1):  # in batches of steps, the last one may go beyond it
        yield Finding(code="horizon_differs", level="note", values={"horizon": str(horizon), "last": str(steps[-1])})

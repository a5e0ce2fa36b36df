"""Comparing curves of runs that should agree, or should not."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from secondshift.records.metricnames import of_script
from secondshift.records.proofs import Curve, Probe

ROUNDING = 1e-6  # of a curve's range: smaller differences are the arithmetic's own
# What differs between any two runs and says nothing of what was learned.
_CLOCK = re.compile(
    r"(?:^|[_/.\s-])(?:time|secs?|seconds?|ms|elapsed|eta|fps|speed|throughput|rss|mem|memory|gpu|cpu|wall|timestamp|runtime)"
    r"(?:$|[_/.\s-])|(?:per_s(?:ec)?|/s|_s|_ms|_mb|_gb)$|samples_per|tokens_per|steps_per"
)


def points(probe: Probe, metric: str) -> dict[int, float]:
    """The values of a metric by step; empty if it was never logged."""
    curve = probe.curves.get(metric, Curve())
    return dict(zip(curve.steps, curve.values, strict=True))


def learned(probe: Probe) -> list[str]:
    """The metrics that tell of the training: neither clocks nor what the SDK keeps for itself."""
    return [name for name in probe.curves if of_script(name) and not _CLOCK.search(name.lower())]


def equal(one: float, other: float) -> bool:
    """Say whether two values are the same; NaN equals NaN here."""
    return one == other or (math.isnan(one) and math.isnan(other))


def same(one: Probe, other: Probe, metrics: Iterable[str]) -> bool:
    """Say whether two runs gave the very same values wherever both logged, and both logged something."""
    shared = 0
    for metric in metrics:
        mine, theirs = points(one, metric), points(other, metric)
        steps = mine.keys() & theirs.keys()
        shared += len(steps)
        if not all(equal(mine[step], theirs[step]) for step in steps):
            return False
    return shared > 0


def exact_metrics(first: Probe, again: Probe) -> list[str]:
    """The metrics that a second run with the same seed repeated to the last digit."""
    return [name for name in learned(first) if same(first, again, [name])]


def stride(steps: Sequence[int]) -> int:
    """The usual distance between two steps; 1 if there are too few."""
    gaps = sorted(b - a for a, b in pairwise(steps))
    return gaps[len(gaps) // 2] if gaps else 1


def span(values: Iterable[float]) -> float:
    """How far finite values lie apart at most; 0 for fewer than two."""
    finite = [value for value in values if math.isfinite(value)]
    return max(finite) - min(finite) if finite else 0.0


def distance(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """Root mean square difference over the steps that both have; inf where one diverged and the other did not."""
    squares: list[float] = []
    for step in one.keys() & other.keys():
        a, b = one[step], other[step]
        if math.isfinite(a) and math.isfinite(b):
            squares.append((a - b) ** 2)
        elif not equal(a, b):
            return math.inf
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation of finite values; 0 for fewer than two."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return 0.0
    mean = math.fsum(finite) / len(finite)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in finite) / (len(finite) - 1))


def shown(value: float) -> str:
    """A number as a sentence shows it."""
    return f"{value:.3g}"

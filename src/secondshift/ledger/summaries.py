"""What many points of one metric come to in a few numbers, and which points count."""

import math
from collections.abc import Iterable

from secondshift.records.metricnames import of_machine
from secondshift.records.studies import Study
from secondshift.records.trials import Summary


def merge(a: Summary | None, b: Summary) -> Summary:
    """Add the summary of later points to that of earlier ones; at equal steps the later point is the last."""
    if a is None or a.points == 0:
        return b
    later = b.last_step >= a.last_step
    return Summary(
        points=a.points + b.points,
        non_finite=a.non_finite + b.non_finite,
        first_step=min(a.first_step, b.first_step),
        last_step=b.last_step if later else a.last_step,
        last=b.last if later else a.last,
        low=min(a.low, b.low),
        low_step=b.low_step if b.low < a.low else a.low_step,
        high=max(a.high, b.high),
        high_step=b.high_step if b.high > a.high else a.high_step,
    )


def summarise(steps: Iterable[int], values: Iterable[float]) -> Summary:
    """Summarise points in the order in which they were logged."""
    points = non_finite = 0
    first, last_step, last = 0, -1, math.nan
    low, low_step, high, high_step = math.inf, -1, -math.inf, -1
    for step, value in zip(steps, values, strict=True):
        first = step if points == 0 else min(first, step)
        points += 1
        if step >= last_step:
            last_step, last = step, value
        if not math.isfinite(value):
            non_finite += 1
            continue
        if value < low:
            low, low_step = value, step
        if value > high:
            high, high_step = value, step
    return Summary(
        points=points, non_finite=non_finite, first_step=first, last_step=last_step, last=last,
        low=low, low_step=low_step, high=high, high_step=high_step,
    )  # fmt: skip


def counts_steps(study: Study | None, metric: str) -> bool:
    """Say whether a metric's steps are the trial's: what a script merely prints may count in batches of its own."""
    of_trial = study is None or study.tier_offered() == "cooperative" or metric == study.objective.metric
    return of_trial and not of_machine(metric)  # of steps nothing is known where the machine is measured

"""Guards: what must also hold of a run, such as `peak_mem_gb <= 22`, and how a run stands with them.

What counts is the worst that a run has shown so far, so a guard that is broken stays broken.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from secondshift.records.studies import Objective
from secondshift.records.trials import Summary, Trial

Sign = Literal["<=", "<", ">=", ">"]
Word = Literal["ok", "broken", "unknown"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GUARD = re.compile(rf"(?P<metric>[^<>=!\s](?:[^<>=!]*[^<>=!\s])?)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>{_NUMBER})")
_HOLDS: Mapping[Sign, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """A limit that a metric keeps to in every run that may win."""

    metric: str  # as the script logs it, or a measurement of ours such as sys/gpu_mb
    sign: Sign
    limit: float
    text: str  # as it was written

    def from_above(self) -> bool:
        """Say whether large values break it."""
        return self.sign in ("<=", "<")

    def holds(self, value: float) -> bool:
        """Say whether a value keeps to it; NaN never does."""
        return _HOLDS[self.sign](value, self.limit)

    def worst(self, summary: Summary | None) -> float | None:
        """The worst finite value of a metric so far; None if there is none."""
        if summary is None:
            return None
        value = summary.high if self.from_above() else summary.low
        return value if math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """A guard that a run has broken."""

    guard: Guard
    value: float  # the worst that the run has shown

    def over(self) -> float:
        """By how much, in the metric's own unit."""
        return abs(self.value - self.guard.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a run stands with the guards of its study."""

    broken: tuple[Breach, ...] = ()
    unknown: tuple[Guard, ...] = ()  # never logged, or not always a finite number: nobody knows whether these hold

    def word(self) -> Word:
        """One word for all guards: what is broken outweighs what is not known."""
        return "broken" if self.broken else "unknown" if self.unknown else "ok"


def guard_of(text: str) -> Guard | None:
    """Read a guard: a metric, one of <= < >= >, and a finite number; None where it is none."""
    found = _GUARD.fullmatch(text.strip())
    if found is None or not math.isfinite(limit := float(found["limit"])):
        return None
    return Guard(metric=found["metric"], sign=cast("Sign", found["sign"]), limit=limit, text=" ".join(text.split()))


def guards_of(objective: Objective) -> tuple[Guard, ...]:
    """The guards of a study; texts that are none are refused when the file is read, and passed over here."""
    return _read(objective.guards)


@lru_cache(maxsize=64)
def _read(texts: tuple[str, ...]) -> tuple[Guard, ...]:
    return tuple(dict.fromkeys(guard for guard in map(guard_of, texts) if guard is not None))


def standing(objective: Objective, trial: Trial) -> Standing:
    """Hold a run against the guards of its study, by the worst it has shown so far."""
    broken: list[Breach] = []
    unknown: list[Guard] = []
    for guard in guards_of(objective):
        summary = trial.metrics.get(guard.metric)
        value = guard.worst(summary)
        if value is not None and not guard.holds(value):
            broken.append(Breach(guard=guard, value=value))
        elif value is None or summary is None or summary.non_finite:
            unknown.append(guard)
    return Standing(broken=tuple(broken), unknown=tuple(unknown))


def breaks(objective: Objective, trial: Trial) -> bool:
    """Say whether a run breaks a guard, so that it can be neither best nor promoted.

    The same as `standing(...).broken`, for those who ask it of ten thousand trials in each tick.
    """
    if not objective.guards:
        return False
    for guard in guards_of(objective):
        value = guard.worst(trial.metrics.get(guard.metric))
        if value is not None and not guard.holds(value):
            return True
    return False

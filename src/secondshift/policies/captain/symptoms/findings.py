"""What a symptom looks like once it is seen: a finding, with the numbers a person can check."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Symptom = Literal[
    "non_finite", "spike", "step_up", "slow_divergence", "plateau", "not_learning",
    "overfitting", "evaluation_shift",
    "gradient_explosion", "gradient_vanishing", "overflow_skipping",
    "frozen_metrics", "no_update",
    "dead_loader", "unshuffled_loader", "slow_loader", "slow_steps",
    "memory_leak", "silence", "crash_loop",
]  # fmt: skip
SYMPTOMS: tuple[str, ...] = get_args(Symptom)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One symptom in one stream. The same episode is found again, at doubling lengths, while it lasts."""

    symptom: Symptom
    stream: str  # the column it was seen in
    step: int  # where it was known
    since: int  # first suspicious step: roll back to before it
    lasted: int  # points that it has lasted, 1 at first sight
    confidence: float  # 0 to 1
    evidence: Mapping[str, float]  # what was compared with what, in the stream's own unit


def doubled(lasted: int, first: int) -> bool:
    """Whether a symptom that is first told after `first` points is told again after `lasted`: at first, 2*first, 4*first, ..."""
    share, rest = divmod(lasted, first)
    return rest == 0 and share > 0 and share & (share - 1) == 0


def confidence_of(excess: float, limit: float, *, least: float = 0.5) -> float:
    """`least` at the limit, rising towards 0.98 as the excess grows past it."""
    if limit <= 0 or excess <= limit:
        return least
    return round(min(0.98, 1.0 - (1.0 - least) * limit / excess), 3)

"""Who has the watch, and when: a rota of records/studies.py worked out."""

from dataclasses import dataclass
from typing import Literal

Why = Literal["turn", "swap", "hand-over", "stands in", "nobody is free"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """A stretch of time with one person on call: from `begins` to just before `ends`, UTC seconds."""

    begins: float
    ends: float
    person: str
    why: Why = "turn"
    instead_of: str = ""  # whose turn it would have been

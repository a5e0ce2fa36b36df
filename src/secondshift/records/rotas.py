"""Who stands behind the captain, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Literal

Why = Literal["turn", "swap", "stands in", "nobody is free"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Days:
    """Whole days, both ends included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        """Say whether a day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """The hours of every day in which a person sleeps, on the person's own clock; they may pass midnight."""

    begins: time
    ends: time


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who can be on call."""

    name: str
    zone: str = "UTC"  # IANA name, such as "Asia/Seoul"; days and hours of this person are counted in it
    quiet: Quiet | None = None
    away: tuple[Days, ...] = ()  # time off and public holidays, by the person's own calendar
    channels: tuple[str, ...] = ()  # as in [notify]


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Somebody takes over days of the rota; a later swap wins over an earlier one."""

    days: Days  # of the rota: each lasts from one handover to the next
    who: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rota:
    """Turns of equal length that come round for ever."""

    people: Mapping[str, Person] = field(default_factory=dict)
    order: tuple[str, ...] = ()  # names of `people`, in the order of their turns
    starts: date = date(2024, 1, 1)  # the first day of the first turn; before it the order is counted backwards
    days: int = 7  # length of a turn
    handover: time = time(9, 0)  # when one day of the rota ends and the next begins, in `zone`
    zone: str = "UTC"
    swaps: tuple[Swap, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """A stretch of time with one person on call: from `begins` to just before `ends`, UTC seconds."""

    begins: float
    ends: float
    person: str
    why: Why = "turn"
    instead_of: str = ""  # whose turn it would have been

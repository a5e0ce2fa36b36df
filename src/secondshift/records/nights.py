"""The night itself: shifts, charges and briefs."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """Budget reserved before an attempt starts, settled when it ends."""

    id: str  # of the attempt, or of the call of an agent
    reserved_device_s: float = 0.0
    settled_device_s: float | None = None  # None: still open
    note: str = ""
    reserved_usd: float = 0.0  # of a call: its price is its own, whatever the device time costs


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """A bounded stretch of work that ends with a brief."""

    id: str
    started_at: float  # UTC seconds of the study clock
    deadline_at: float | None = None  # UTC seconds; None: until the budget or the search ends
    slots: int = 1
    may: tuple[str, ...] = ()
    boot_id: str = ""
    anchor_boot_s: float = 0.0  # seconds since boot at `started_at`: the study clock is counted from here
    ended_at: float | None = None
    reason: str = ""  # why it ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One sentence of a brief, and the facts it rests on."""

    key: str  # of the message catalogue
    values: Mapping[str, str | int | float] = field(default_factory=dict)
    facts: tuple[int, ...] = ()  # sequence numbers in the ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A titled run of statements."""

    key: str
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What a person reads in the morning; every sentence resolves to recorded facts."""

    study: str
    shift: str
    written_at: float
    sections: tuple[Section, ...] = ()

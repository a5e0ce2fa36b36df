"""Facts about a study, its shifts and the engine that works on it. In the list of events.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from secondshift.records.nights import Shift
from secondshift.records.studies import Study, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOpened:
    """A study, or a new revision of it (objective, horizon, space, command or evaluator changed), begins."""

    study: Study


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyAmended:
    """Budgets, captain, on call, policies or launch settings were edited; the revision stays."""

    study: Study
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTaken:
    """An engine took the lease; every later fact carries its token."""

    token: int
    holder: str  # "<host>:<pid>"
    how: str  # first, released, expired, dead
    boot_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftStarted:
    """A bounded stretch of work begins."""

    shift: Shift


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftAnchored:
    """The study clock was tied to a new boot of the machine, or a jump of the wall clock was seen and not followed."""

    boot_id: str
    anchor_boot_s: float  # seconds since boot that stand for the shift's start
    jump_s: float = 0.0  # wall clock minus study clock


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftEnded:
    """The shift is over: nothing of it runs any more."""

    shift: str
    reason: str
    digest: str = ""  # of all facts before this one, chained


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestReceived:
    """A person or an interface asked for something through the spool."""

    id: str
    verb: str  # stop, idea, ...
    who: str
    args: Mapping[str, Value] = field(default_factory=dict)
    asked_at: float = 0.0  # UTC seconds, by the asker's clock


@dataclass(frozen=True, kw_only=True, slots=True)
class TickDecided:
    """The decisions that follow were made at `now_s` on all facts before this one."""

    tick: int
    now_s: float
    stage: str  # decide
    policy: str  # policy version, for replay
    digest: str  # of all facts before this one, chained
    free_devices: tuple[str, ...] = ()
    decisions: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoRemembered:
    """A policy's memory."""

    policy: str
    memo: str
    fit: str = ""  # the decision that ordered a fit, of which this came: it was made from all facts before that decision


@dataclass(frozen=True, kw_only=True, slots=True)
class BriefWritten:
    """A brief of a shift lies in the study's private folder."""

    shift: str
    files: tuple[str, ...]
    digest: str = ""  # of all facts before this one, chained


@dataclass(frozen=True, kw_only=True, slots=True)
class BriefSent:
    """A brief was handed to one channel, or could not be; it is not tried again."""

    shift: str
    channel: str  # as in the study file; without secrets
    outcome: str  # sent or failed
    detail: str = ""  # what the receiver answered, or what went wrong; secrets masked

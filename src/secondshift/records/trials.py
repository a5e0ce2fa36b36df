"""What runs: candidates, trials, attempts, and what they leave behind."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from secondshift.records.inheritances import NOTHING, Inheritance
from secondshift.records.studies import Objective, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What could run: parameters and a code version. There is no seed in it."""

    id: str
    params: Mapping[str, Value] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    idea: str = ""
    by: str = ""  # the searcher or person it came from
    code: str = ""  # code version; empty: the study's working tree
    revision: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One metric of one trial in a few numbers; the points themselves are in the ledger's series."""

    points: int = 0  # finite and non-finite
    non_finite: int = 0
    first_step: int = 0
    last_step: int = -1
    last: float = math.nan
    low: float = math.inf  # smallest finite value
    low_step: int = -1
    high: float = -math.inf  # largest finite value
    high_step: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Milestone:
    """The objective of a trial when it had done `step` steps; what successive halving compares."""

    step: int
    value: float


OWN = "changed-"  # begins the digest of a checkpoint of the script's own; the time (ns) of its last change follows


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A verified, resumable state of a trial."""

    trial: str
    step: int  # number of steps done
    folder: str  # relative to the study's private folder
    bytes: int = 0
    digest: str = ""  # sha256 over the manifest; a script's own checkpoint has none, see OWN
    attempt: str = ""
    objective: float | None = None  # its newest value when this was saved; None: there was none, or it was no number

    def own(self) -> bool:
        """Say whether the script keeps it by itself: then its step is an estimate, and a newer one replaces it."""
        return self.digest.startswith(OWN)


def best_saved(checkpoints: Iterable[Checkpoint], objective: Objective) -> Checkpoint | None:
    """The one that was saved at the best objective, the earliest of equals; None where that is known of none."""
    judged = [(objective.loss(one.objective), one.step, one) for one in checkpoints if one.objective is not None]
    return min(judged, key=lambda one: one[:2])[2] if judged else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directives:
    """What the captain asks a cooperating script to do otherwise from its next start on; the defaults ask for nothing."""

    skip: tuple[tuple[int, int], ...] = ()  # ranges of steps to leave out: first, and the one after the last
    lr_scale: float = 1.0  # factor on every learning rate
    fresh_loader: int = 0  # how often the loader was asked to be started afresh; part of its seed


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A part of a model, as the script's own library names it."""

    name: str  # "blocks.0.qkv"
    kind: str = ""  # class of it; empty: several parts, summed up
    parameters: int = 0  # numbers in it
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # by parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class Exit:
    """How an attempt ended, as its supervisor saw it."""

    code: int | None = None  # None: ended by a signal or never seen to end
    signal: int | None = None
    cause: Literal["self", "pause", "stop", "kill", "grant", "lost", "refused"] = (
        "self"  # who ended it; lost: supervisor or host died
    )
    elapsed_s: float = 0.0  # from spawn to the end of the whole group, monotonic
    leftovers: int = 0  # processes found alive after the main one had gone, and ended
    message: str = ""  # last lines of the output, or what could not be done
    signs: tuple[str, ...] = ()  # of what went wrong, in all of the output (records/crashsigns.py); only of a failure
    unread_bytes: int = 0  # of the output, not looked at for signs


# running: it uses a CPU or GPU, sensibly or in circles; blocked: it waits; disk: for the disk; stopped: by a signal.
Health = Literal["", "running", "blocked", "disk", "stopped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One process execution of a trial."""

    id: str  # "<trial>.a<number>"
    trial: str
    number: int  # from 1
    status: Literal["ordered", "running", "ended"] = "ordered"
    token: int = 0  # the fencing token it was ordered under
    devices: tuple[str, ...] = ()
    from_step: int = 0
    until_step: int = 0
    grant_s: float = 0.0  # device time it may use per device; extended by later charges
    ordered_at: float = 0.0  # UTC seconds
    started_at: float = 0.0
    supervisor: int = 0  # pid
    pid: int = 0
    asked: Literal["", "pause", "stop"] = ""  # what was asked of it
    asked_now: bool = False  # without grace
    asked_by: str = ""  # decision id
    alone: bool = False  # its checkpoint folder is its own: it began at step 0, and nothing it saves is used
    directives: Directives = field(default_factory=Directives)  # what the script was asked to do otherwise
    back_to: int = -1  # checkpoints of more steps are not trusted
    closed: bool = False  # the script closed its run cleanly
    stopping: bool = False  # it closed because it was asked to, or had reached `until_step`
    offsets: Mapping[str, int] = field(default_factory=dict)  # fragment name -> bytes ingested
    last_log_at: float = 0.0  # of the script's own points
    longest_gap_s: float = 0.0  # between two arrivals of such points so far
    beat_s: float = 0.0  # the newest of them by the script's own clock: seconds since its process began; 0: not told
    beat_gap_s: float = 0.0  # longest time between two, by that clock
    quiet_since: float = 0.0  # UTC seconds; above 0: it is quiet for longer than that, and nobody has acted on it yet
    quiet_allowed_s: float = 0.0
    health: Health = ""  # as its supervisor last saw it; empty: not looked at
    waits_on: str = ""  # of a blocked one, when it was first seen so: lock, sleep, child, events, input, ...
    health_since: float = 0.0  # UTC seconds
    rests: bool = False  # the newest sample of its processes shows neither a CPU nor a GPU at work, whatever its health was
    exit: Exit | None = None


TrialStatus = Literal["queued", "running", "paused", "complete", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One candidate with one seed. Its metrics are a curve over steps; steps count from 0."""

    id: str
    candidate: str
    seed: int
    revision: int = 1
    pair: int = -1  # number of the fresh seed that it confirms with, from 0; -1: it searches, and confirms nothing
    status: TrialStatus = "queued"
    reason: str = ""  # why it has this status, for people
    assisted: bool = False
    overran: bool = False  # an attempt went on far past the time that was granted to it
    attempts: int = 0
    steps_done: int = 0  # of the newest verified checkpoint, or all when complete
    logged_step: int = -1  # highest step seen in the stream
    until_step: int = 0  # it may run to here
    milestones: tuple[Milestone, ...] = ()
    interruptions: int = 0  # in a row, without progress
    best_steps: int = 0  # progress at the last interruption
    device_s: float = 0.0  # settled
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)  # as the script resolved them
    dropped: int = 0  # points the script could not write
    held: str = ""  # the incident that keeps it from being resumed until a person answers
    rests: bool = False  # it failed for a reason that may pass, and waits before it is tried again
    fingerprints: tuple[str, ...] = ()  # digests of the environments it ran in; what they stand for: State.fingerprints
    inherits: Inheritance = NOTHING  # what it began from, if not from the first step
    # asked: the captain asked it to end, its best being its result; stopped: and it did; undone: a person took that back
    early: Literal["", "asked", "stopped", "undone"] = ""

    def open(self) -> bool:
        """Say whether the trial may still run."""
        return self.status in ("queued", "running", "paused")

    def stopped(self) -> bool:
        """Say whether it was stopped before its end, and may be let go on."""
        return self.status == "stopped" or (self.status == "complete" and self.early == "stopped")

    def inherited(self) -> bool:
        """Say whether it began from another trial's checkpoint."""
        return bool(self.inherits.trial)

    def awaits_inheritance(self) -> bool:
        """Say whether the checkpoint that it begins from is still to be copied to it."""
        return bool(self.inherits.trial) and not self.attempts and not self.steps_done

    def unaided(self) -> bool:
        """Say whether it came to where it is by its own parameters alone; one that did not is compared with no other."""
        return not self.assisted and not self.inherits.trial

    def waits(self) -> bool:
        """Say whether it is paused where its scheduler wanted it to: it asks nothing of anybody."""
        return self.status == "paused" and 0 < self.until_step <= max(self.steps_done, self.logged_step + 1)

    def mark(self) -> str:
        """Name what keeps it from being compared with others, as it is shown beside its result; empty if nothing does."""
        return "assisted" if self.assisted else "inherited" if self.inherits.trial else ""

    def objective(self, objective: Objective) -> float | None:
        """Return the objective's value so far, in the metric's own unit; None if it was never logged."""
        summary = self.metrics.get(objective.metric)
        if summary is None or summary.points == 0:
            return None
        if objective.at == "final" or summary.low_step < 0:
            return summary.last
        return summary.low if objective.goal == "min" else summary.high

"""What a script was seen to do when it was tried, and what that proves (`secondshift doctor`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from secondshift.records.studies import Study, Value

Tier = Literal["opaque", "resumable", "cooperative"]
Level = Literal["proved", "note", "fault"]
Part = Literal["first", "again", "seed", "changed", "cut", "resumed", "reseeded"]  # of a run in an examination


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One metric of one run; of a step that was logged more than once, the last value."""

    steps: tuple[int, ...] = ()  # rising
    values: tuple[float, ...] = ()  # as many


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One process run of the command, tried outside any night; it costs no budget and enters no ledger."""

    name: str  # "first", "again", "seed 1", "lr = 0.1", "seed 1, resumed"; for programs, people are told the part
    seed: int
    params: Mapping[str, Value] = field(default_factory=dict)
    part: Part = "seed"
    changed: str = ""  # the parameter that differs from the first run's, if one does
    curves: Mapping[str, Curve] = field(default_factory=dict)  # read where [metrics] says, as a night would
    seen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # source -> metric -> points, read everywhere
    resolved: Mapping[str, Value] = field(default_factory=dict)  # parameters as a cooperative script resolved them
    echoed: bool = False  # the changed value stands in what the script printed
    uses_sdk: bool = False
    ended: bool = False  # by itself; else it was ended by us
    code: int | None = None  # exit code, if it ended by itself
    took_s: float = 0.0
    first_point_s: float = 0.0  # from its start to its first point
    eval_s: float | None = None  # what a step with a value of the objective takes longer than one without
    wrote: tuple[str, ...] = ()  # files below the working folder that it made or changed, relative to that
    saved: tuple[str, ...] = ()  # files in its checkpoint folder at its end, relative to that
    words: str = ""  # the last lines it printed


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumption:
    """A run that was interrupted in the middle, and the one that went on from what it had saved."""

    how: Literal["kill", "pause"]
    cut: Probe
    later: Probe
    reseeded: tuple[Probe, ...] = ()  # went on from copies of the same checkpoint, with other seeds
    left: bool = True  # a paused one left within its grace; a killed one always does
    checkpoint_step: int | None = (
        None  # of the newest verified checkpoint (cooperative); None: the script keeps its own
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """All that was tried. Every run but those that were cut ended by itself or was ended at the step `steps`."""

    study: Study  # with the tier as the file names it
    runs: tuple[Probe, ...]  # baseline, uninterrupted: the first, the same seed again, then other seeds
    varied: tuple[Probe, ...] = ()  # the seed of the first, one parameter changed in each
    resumptions: tuple[Resumption, ...] = ()
    steps: int = 0  # how many steps of a run are compared
    slots: int = 1  # trials that a night on this host runs at once
    hurried: bool = False  # there was no time left to interrupt and resume a run
    source: str = ""  # of the script, where it is one Python file; hints only


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was proved, noticed, or is wrong. `code` and `values` make its sentence (catalogue: doctor.<code>)."""

    code: str
    level: Level
    values: Mapping[str, str] = field(default_factory=dict)
    breaks: Literal["", "resume", "all"] = ""  # "resume": checkpoints are not used; "all": no night can use the script


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What a script was proved to do."""

    named: Tier  # as the study file names it
    tier: Tier  # as proved; what is not proved is not used
    usable: bool = True  # False: not even the opaque tier works (no metric, or the command fails)
    findings: tuple[Finding, ...] = ()
    noise: float | None = None  # standard deviation of the objective over seeds at step `noise_step`, its own unit
    noise_step: int = 0
    noise_seeds: int = 0
    step_s: float | None = None  # seconds a step
    start_s: float = 0.0  # from the start to the first point
    eval_s: float | None = None  # seconds an evaluation
    trial_s: float | None = None  # seconds a full trial, extrapolated to the horizon
    trials_a_night: int | None = None  # full trials in eight hours on this host

    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.level == "fault")

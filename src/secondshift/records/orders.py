"""What the loop and an executor say to each other: orders out, signs and chunks back."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from secondshift.records.studies import MetricsFrom, Value
from secondshift.records.trials import Directives, Exit


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Everything an executor needs to run one attempt; written to the attempt's folder before anything starts."""

    attempt: str
    trial: str
    number: int  # of the attempt, from 1
    token: int  # fencing token of the engine that ordered it
    command: tuple[str, ...]  # arguments; never a shell line
    cwd: str  # absolute: where the command runs
    folder: str  # absolute: the attempt's own folder (output, fragments, tmp, exit)
    checkpoints: str  # absolute: the trial's checkpoint folder, shared by its attempts
    seed: int = 0
    params: Mapping[str, Value] = field(default_factory=dict)
    horizon_steps: int = 0
    from_step: int = 0  # steps done in the newest verified checkpoint, 0 for a fresh start
    until_step: int = 0  # checkpoint and leave after this many steps; horizon_steps: run to the end
    devices: tuple[str, ...] = ()
    grant_s: float = 600.0  # the supervisor ends the attempt when it has run so long; a larger grant may follow
    grace_s: float = 10.0
    output_cap_mb: float = 1024.0
    eval_every_steps: int = 1
    checkpoint_every_s: float = 60.0
    keep_checkpoints: int = 2  # newest ones kept
    keep_older: int = 0  # older ones kept beside them; both come from the study's Launch
    objective: str = ""  # the metric that says how good a checkpoint is; empty: none does
    keep_best: str = ""  # "min" or "max": the one with the best objective is kept besides; empty: it is not
    directives: Directives = field(default_factory=Directives)
    threads: int = 1
    sample_every_s: float = 5.0  # between two looks of the supervisor at memory, CPU, disk and devices; 0: none
    env: Mapping[str, str] = field(default_factory=dict)
    metrics: MetricsFrom = field(default_factory=MetricsFrom)  # where its numbers are read
    writable: tuple[str, ...] = ()  # the only paths that it may write below, where there are some: see `confinement`
    sandbox: tuple[str, ...] = ()  # words before the command that make a sandbox for it; empty: `confinement` alone
    files: Mapping[str, str] = field(default_factory=dict)  # path in `folder` -> text, written before anything starts


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """What an executor saw of an attempt: it started, or it ended."""

    attempt: str
    kind: Literal["started", "ended"]
    supervisor: int = 0  # pid
    pid: int = 0
    fingerprint: Mapping[str, str] = field(default_factory=dict)  # host, python, platform, code digest, ...
    exit: Exit | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Points of one metric of one attempt, in the order in which they were logged; late and repeated steps included."""

    trial: str
    attempt: str
    metric: str
    steps: array  # 'q', steps from 0
    values: array  # 'd', as many


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Something other than a point that a script's stream says."""

    kind: Literal[
        "hello", "params", "announced", "applied", "saved", "unsaved", "restored", "rejected", "pruned", "dropped",
        "closed", "damaged", "health", "look", "described",
    ]  # fmt: skip
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """What one fragment held between two offsets."""

    attempt: str
    fragment: str  # file name in the attempt's folder
    start: int  # byte offset
    end: int  # byte offset; the next collect starts here
    batches: tuple[Batch, ...] = ()
    notes: tuple[Note, ...] = ()

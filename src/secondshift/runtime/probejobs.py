"""What is to be tried, how it stands while it runs, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from secondshift.records.proofs import Part, Probe
from secondshift.records.studies import Study, Value
from secondshift.records.trials import Exit

Leave = Literal["", "kill", "pause"]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How a run stands at one look."""

    elapsed_s: float  # since its start
    reached: int  # highest step with a value of the objective; -1: none yet
    points: int  # values of the objective
    saved: bool  # something whole lies in its checkpoint folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One run to try."""

    name: str
    seed: int
    trial: str  # runs of one trial share a checkpoint folder
    leave: Callable[[View], Leave]  # asked at each look: whether it shall end now, and how
    part: Part = "seed"
    number: int = 1  # of the attempt
    params: Mapping[str, Value] = field(default_factory=dict)
    changed: str = ""  # the parameter that differs from the first run's
    from_step: int = 0
    until: int | None = None  # the last step that is kept; None: all
    save_every_s: float | None = None  # asked of a cooperative script, instead of the study's interval
    footprint: bool = False  # say which files of the working folder it changed
    tense: bool = False  # it is to be caught at a moment: look often, and at its checkpoint folder too
    stepped: bool = False  # let it go on for milliseconds at a time: it was too fast to be caught
    look_everywhere: bool = False  # list the metrics of all sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What came of a job."""

    job: Job
    probe: Probe
    exit: Exit
    saved_at: int = 0  # steps that had been logged when its checkpoint folder had changed last
    after_s: float = 0.0  # from the request to leave to its end


class Trying(Protocol):
    """Where jobs are tried; see `probing.Bench`."""

    study: Study
    folder: Path

    def try_all(self, jobs: Sequence[Job], *, done: Callable[[Probe], None]) -> list[Tried]:
        """Run jobs, and give what came of each, in their order."""
        ...

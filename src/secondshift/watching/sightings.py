"""What is asked of a watch and what it sees: plain values, for whoever shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from secondshift.policies.captain.columns import NAMED, Goal, Guess

__all__ = ["NAMED", "Asked", "Report", "RunSeen", "Sighting", "newest"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a person said about the runs."""

    told: Mapping[str, str] = field(default_factory=dict)  # stream, step, event or run -> column
    goal: Goal | None = None
    quiet_s: float = 0.0  # without growth, after which a run is silent; 0: by its own rhythm


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One finding in one run, for whoever shows it."""

    run: str
    column: str  # as the run's owner calls it
    stream: str  # as the captain does
    step: int
    since: int
    lasted: int
    symptom: str
    diagnosis: str
    action: str
    confidence: float
    evidence: Mapping[str, float | str]

    @property
    def place(self) -> str:
        """The run and the column in one name."""
        return f"{self.run}:{self.column}"


@dataclass(kw_only=True, slots=True)
class RunSeen:
    """What is known of one run, for whoever shows it."""

    run: str
    about: str  # csv, jsonl, tensorboard, ...
    guessed: Guess = field(default_factory=Guess)
    names: tuple[str, ...] = ()  # of all its columns
    rows: int = 0
    points: int = 0  # numbers in columns that are watched
    lost: int = 0  # lines, rows or bytes that could not be used
    step: int = -1
    own_steps: bool = False  # the format itself says the steps
    tails: dict[str, list[float]] = field(default_factory=dict)  # stream -> its last points
    sightings: list[Sighting] = field(default_factory=list)
    state: str = "read"  # read, growing, still, silent, ended


@dataclass(kw_only=True, slots=True)
class Report:
    """What one look came to."""

    runs: list[RunSeen] = field(default_factory=list)  # those with a column that is known
    skipped: dict[str, str] = field(default_factory=dict)  # name -> why nothing is watched there
    unreadable: list[str] = field(default_factory=list)


def newest(sightings: Iterable[Sighting], kept: int) -> list[Sighting]:
    """The last findings, each episode once with its newest state."""
    episodes: dict[tuple[str, str, str, int], Sighting] = {}
    for sighting in sightings:
        key = (sighting.run, sighting.stream, sighting.symptom, sighting.since)
        episodes.pop(key, None)
        episodes[key] = sighting
    return list(episodes.values())[-kept:]

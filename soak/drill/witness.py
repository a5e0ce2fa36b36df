"""Reads what the training processes themselves said that they did."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

HERTZ = os.sysconf("SC_CLK_TCK")
NO_METRIC = {"is", "trial", "attempt", "pid", "ticks", "boot", "step", "at"}


@dataclass(kw_only=True)
class Life:
    """One training process, as it saw itself. Times are seconds since boot."""

    trial: str
    attempt: str
    pid: int
    ticks: int
    boot: str  # which boot of the machine
    seed: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    restored: int = 0  # step it went on from
    ended: bool = False
    points: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # step, metrics; logged before they were noted

    @property
    def lived_s(self) -> float:
        """Seconds from the start of the process to its last sign of life."""
        return self.last_at - self.ticks / HERTZ


@dataclass(frozen=True, kw_only=True)
class Testimony:
    """All that the witness says."""

    lives: tuple[Life, ...]
    overlaps: tuple[str, ...]  # attempts that began while another process of their trial lived


def read_witness(folder: Path) -> Testimony:
    """Read the witness file of a stage; a line that a kill tore is left out."""
    lives: dict[tuple[str, int, int], Life] = {}
    overlaps: list[str] = []
    for line in _lines(folder / "witness.jsonl"):
        key = (line["attempt"], line["pid"], line["ticks"])
        life = lives.get(key)
        if life is None:
            who = {name: line[name] for name in ("trial", "attempt", "pid", "ticks", "boot")}
            life = lives[key] = Life(**who, first_at=line["at"])
        life.last_at = line["at"]
        match line["is"]:
            case "overlap":
                overlaps.append(life.attempt)
            case "begin":
                life.seed = line["seed"]
            case "restored":
                life.restored = line["step"]
            case "step":
                life.points.append((line["step"], {name: value for name, value in line.items() if name not in NO_METRIC}))
            case "end":
                life.ended = True
    return Testimony(lives=tuple(lives.values()), overlaps=tuple(overlaps + _crossings(list(lives.values()))))


def _crossings(lives: list[Life]) -> list[str]:
    """Pairs of processes of one trial whose signs of life cross in time: the lock's answer, found a second way."""
    found = []
    by_trial: dict[tuple[str, str], list[Life]] = {}  # clocks of two boots cannot be compared
    for life in lives:
        by_trial.setdefault((life.trial, life.boot), []).append(life)
    for mine in by_trial.values():
        mine.sort(key=lambda life: life.first_at)
        for earlier, later in pairwise(mine):
            if later.first_at < earlier.last_at:
                found.append(f"{earlier.attempt} (pid {earlier.pid}) and {later.attempt} (pid {later.pid})")
    return found


def _lines(path: Path) -> Iterator[dict]:
    try:
        raw = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for text in raw:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line

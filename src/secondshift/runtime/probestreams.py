"""What one tried run said, gathered while it runs: its curves, when its points came, and what it told of itself."""

import re
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from secondshift.records.metricnames import of_machine
from secondshift.records.orders import Chunk
from secondshift.records.proofs import Curve
from secondshift.records.studies import Value
from secondshift.tracking import wire

WORD_BYTES = 1 << 20  # of what a script printed that are searched for a value
SURE = 3  # gaps of each kind that are needed before a length is believed
COARSE_S = 0.05  # arrival times are no better than this


@dataclass(kw_only=True, slots=True)
class Said:
    """All that was read of a run so far."""

    objective: str
    values: dict[str, dict[int, float]] = field(default_factory=dict)  # metric -> step -> last value
    came: dict[int, float] = field(default_factory=dict)  # step -> seconds from the start until it was read
    wall: dict[int, float] = field(default_factory=dict)  # step -> the same, as the script itself measured it
    params: dict[str, Value] = field(default_factory=dict)  # as a cooperative script resolved them
    uses_sdk: bool = False
    saves: int = 0  # checkpoints of which a cooperative script said that they are whole
    first_s: float | None = None  # from its start to its first point

    def take(self, chunks: Iterable[Chunk], at_s: float) -> None:
        """Take in what was just read, `at_s` seconds after the run's start."""
        for chunk in chunks:
            for batch in chunk.batches:
                if batch.metric == wire.WALL:
                    self.wall.update(zip(batch.steps, batch.values, strict=True))
                    continue
                if of_machine(batch.metric):
                    continue
                self.values.setdefault(batch.metric, {}).update(zip(batch.steps, batch.values, strict=True))
                self.came.update(dict.fromkeys(batch.steps, at_s))
                if self.first_s is None and len(batch.steps):
                    self.first_s = at_s
            for note in chunk.notes:
                self.uses_sdk = self.uses_sdk or note.kind == "hello"
                self.saves += note.kind == "saved"
                if note.kind == "params":
                    self.params.update(note.values)

    def points(self) -> int:
        """How many steps have a value of the objective."""
        return len(self.values.get(self.objective, ()))

    def reached(self) -> int:
        """The highest step with a value of the objective; -1 before the first."""
        return max(self.values.get(self.objective, ()), default=-1)

    def logged(self) -> int:
        """The highest step with any value; -1 before the first."""
        return max(self.came, default=-1)

    def first_point_s(self) -> float:
        """Seconds from the start to the first point, by the script's own clock where it has one; 0 if there is none."""
        return min(self.wall.values(), default=self.first_s or 0.0)

    def curves(self, last: int | None) -> Mapping[str, Curve]:
        """The curves up to a step; None: all of them."""
        whole = {
            metric: Curve(steps=tuple(sorted(values)), values=tuple(values[step] for step in sorted(values)))
            for metric, values in self.values.items()
            if values
        }
        return whole if last is None else up_to(whole, last)

    def eval_s(self) -> float | None:
        """What a step with a value of the objective takes longer than one without; None where that cannot be seen."""
        times, finest = (self.wall, 0.0) if self.wall else (self.came, COARSE_S)
        steps, judged = sorted(times), self.values.get(self.objective, {})
        gaps = [(a, b, times[b] - times[a]) for a, b in pairwise(steps)]
        plain = [took / (b - a) for a, b, took in gaps if b not in judged]
        longer = [(b - a, took) for a, b, took in gaps if b in judged]
        if min(len(plain), len(longer)) < SURE:
            return None
        step_s = statistics.median(plain)
        more = statistics.median([took - distance * step_s for distance, took in longer])
        return max(0.0, more) if more > finest or not finest else None


def up_to(curves: Mapping[str, Curve], last: int) -> Mapping[str, Curve]:
    """The curves without what came behind a step."""
    cut = {metric: bisect_right(curve.steps, last) for metric, curve in curves.items()}
    return {
        metric: Curve(steps=curve.steps[: cut[metric]], values=curve.values[: cut[metric]])
        for metric, curve in curves.items()
        if cut[metric]
    }


def printed_words(output: Path) -> frozenset[str]:
    """The words of what a script printed, at most of its first MB."""
    try:
        with open(output, "rb") as file:
            text = file.read(WORD_BYTES).decode("utf-8", "replace")
    except OSError:
        return frozenset()
    return frozenset(word.strip(".") for word in re.findall(r"[\w.+-]+", text))


def stands_in(value: Value, words: frozenset[str], others: frozenset[str]) -> bool:
    """Say whether a value is among the words of one run, and not among those of another that had not been given it."""
    return any(_is(value, word) for word in words) and not any(_is(value, word) for word in others)


def _is(value: Value, word: str) -> bool:
    if isinstance(value, bool | str):
        return word.lower() == str(value).lower()
    try:
        return float(word) == value
    except ValueError:
        return False

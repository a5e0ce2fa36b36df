"""Points on their way from a reader to the ledger: one column of steps and one of values for each metric."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from secondshift.records.orders import Batch, Note

MAX_NAMES = 1000  # different metrics of one file; a script that prints a new name at each step must not fill the memory
MAX_NAME = 200  # characters
MAX_STEP = 2**63 - 1


@dataclass(slots=True)
class Columns:
    """What one reading found: points by metric in the order in which they stand there, and what had to be left out."""

    columns: dict[str, tuple[array, array]] = field(default_factory=dict)
    points: int = 0
    left_out: dict[str, int] = field(default_factory=dict)  # reason -> points
    damaged: dict[str, int] = field(default_factory=dict)  # reason -> bytes, or lines

    def add(self, name: str, step: int, value: float) -> None:
        """Take in one point; a step that no ledger could hold is left out and counted."""
        if not 0 <= step <= MAX_STEP:
            self.leave_out("a step was negative or above 2**63")
            return
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = (array("q"), array("d"))
        column[0].append(step)
        column[1].append(value)
        self.points += 1

    def extend(self, name: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Take in many points of one metric, as `add` takes in one."""
        if not steps:
            return
        if not (min(steps) >= 0 and max(steps) <= MAX_STEP):
            for step, value in zip(steps, values, strict=True):
                self.add(name, step, value)
            return
        column = self.columns.setdefault(name, (array("q"), array("d")))
        column[0].extend(array("q", steps))
        column[1].extend(array("d", values))
        self.points += len(steps)

    def leave_out(self, reason: str, points: int = 1) -> None:
        """Count points that were there and could not be used."""
        self.left_out[reason] = self.left_out.get(reason, 0) + points

    def damage(self, reason: str, count: int) -> None:
        """Count what could not be read."""
        self.damaged[reason] = self.damaged.get(reason, 0) + count

    def batches(self, trial: str, attempt: str) -> tuple[Batch, ...]:
        """Return one batch per metric."""
        return tuple(
            Batch(trial=trial, attempt=attempt, metric=name, steps=steps, values=values)
            for name, (steps, values) in self.columns.items()
        )

    def notes(self) -> tuple[Note, ...]:
        """Return what was left out, and what was damaged, in words."""
        lost = [Note(kind="dropped", values={"points": n, "reason": why}) for why, n in self.left_out.items()]
        torn = [Note(kind="damaged", values={"bytes": n, "reason": f"{n} {why}"}) for why, n in self.damaged.items()]
        return (*lost, *torn)

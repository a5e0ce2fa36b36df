"""What an empty cell and a NaN mean in a table: nothing was logged, or what was logged is no number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from secondshift.runtime.watched.cells import Cell

TOGETHER = 8  # rows in which a column must have stood beside the loss to be known as its companion
_EMPTY = ("", None)


@dataclass(slots=True)
class Gaps:
    """What is remembered of one table's habits."""

    beside: dict[str, int] = field(default_factory=dict)  # column -> rows in which it stood beside the loss
    alone: set[str] = field(default_factory=set)  # columns that stood in a row without the loss
    evaluations: int = 0
    not_numbers: int = 0  # in the column of evaluations, beside a finite loss

    def fill(self, losses: list[float | None], others: Mapping[str, Sequence[Cell]]) -> None:
        """Put NaN where the loss of a row was one and its cell is empty, as some writers do it.

        That is so in a row that holds nothing else, and in one that holds only what has always stood beside a loss. A row
        of an evaluation holds something else, and so it is left as it is.
        """
        if None not in losses:
            for name, column in others.items():
                held = len(column) - column.count("") - column.count(None)
                self.beside[name] = self.beside.get(name, 0) + held
            return
        for row, loss in enumerate(losses):
            held = [name for name, column in others.items() if column[row] not in _EMPTY]
            if loss is not None:
                for name in held:
                    self.beside[name] = self.beside.get(name, 0) + 1
            elif all(self.beside.get(name, 0) >= TOGETHER and name not in self.alone for name in held):
                losses[row] = math.nan
            else:
                self.alone.update(held)

    def drop(self, values: list[float | None], losses: Sequence[float | None]) -> None:
        """Take out each NaN between evaluations, beside a finite loss, once there are more of them than evaluations."""
        rows = [row for row, value in enumerate(values) if value is not None and value != value
                and (loss := losses[row]) is not None and math.isfinite(loss)]  # fmt: skip
        self.evaluations += len(values) - values.count(None) - len(rows)
        self.not_numbers += len(rows)
        if self.not_numbers > self.evaluations:
            for row in rows:
                values[row] = None

"""Puts metrics that were logged one by one together into rows by their step."""

from array import array
from collections.abc import Mapping

from secondshift.runtime.watched.cells import Cells

Columns = Mapping[str, tuple[array, array]]


class Joiner:
    """The rows of one run. The newest row waits until a later step comes, because a metric of it may still be on its way."""

    def __init__(self, run: str = "") -> None:
        self.run = run
        self._last: dict[str, tuple[int, int]] = {}  # metric -> how often its steps went back, and its newest step
        self._waiting: dict[tuple[int, int], dict[str, float]] = {}
        self._given = (0, -1)  # newest row that was given

    def add(self, columns: Columns) -> None:
        """Take in new points. Steps that go back are a run that was resumed."""
        waiting = self._waiting
        for name, (steps, values) in columns.items():
            turn, last = self._last.get(name, (self._given[0], -1))
            for step, value in zip(steps, values, strict=True):
                if step < last:
                    turn += 1
                last = step
                key = (turn, step)
                if key < self._given:
                    key = self._given  # late: it belongs to a row that was given, and must not look like a restart
                row = waiting.get(key)
                if row is None:
                    row = waiting[key] = {}
                row[name] = value
            self._last[name] = (turn, last)

    def take(self, *, ended: bool) -> Cells | None:
        """Give the rows that are whole; with `ended` all of them."""
        keys = sorted(self._waiting)
        if not ended and keys:
            del keys[-1]
        if not keys:
            return None
        rows = [self._waiting.pop(key) for key in keys]
        self._given = keys[-1]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
        return Cells(count=len(rows), columns=columns, steps=[step for _, step in keys], run=self.run)

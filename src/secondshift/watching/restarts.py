"""Where the rows of a run begin anew: a script that was started again from nothing, under the same name."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import isfinite
from statistics import median

KEPT = 5  # losses of the begin, and newest ones, that a loss is compared with


@dataclass(slots=True)
class Restarts:
    """What is remembered of the begin and of the newest rows of a run.

    Steps that go back to the first one are no proof: many scripts count them anew in each epoch. So the loss has to be back, too:
    nearer to where it began than to where it stood.
    """

    first: int | None = None  # step of the first row
    step: int = -1
    back: bool = False  # the steps have gone back to the first one, and no loss was seen since
    opening: list[float] = field(default_factory=list)
    newest: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def places(self, rows: Sequence[Mapping[str, float | None]]) -> list[int]:
        """The rows at which the run begins anew."""
        steps = [int(row["step"] or 0) for row in rows]
        if self.back or any(after < before for before, after in pairwise((self.step, *steps))):
            return [place for place, (step, row) in enumerate(zip(steps, rows, strict=True)) if self._take(step, row)]
        if steps:
            self.first = steps[0] if self.first is None else self.first
            self.step = steps[-1]
        self.opening += islice(_losses(rows), KEPT - len(self.opening))
        self.newest.extend(reversed(list(islice(_losses(reversed(rows)), KEPT))))
        return []

    def _take(self, step: int, row: Mapping[str, float | None]) -> bool:
        """Take one row; say whether the run begins anew with it."""
        self.first = step if self.first is None else self.first
        if step < self.step:
            self.back = step <= self.first
        self.step = step
        loss = next(_losses((row,)), None)
        if loss is None:
            return False
        anew = self.back and bool(self.newest) and self._begins(loss)
        self.back = False
        if anew:
            self.opening.clear()
            self.newest.clear()
        self.opening += [loss] if len(self.opening) < KEPT else []
        self.newest.append(loss)
        return anew

    def _begins(self, loss: float) -> bool:
        return abs(loss - median(self.opening)) < abs(loss - median(self.newest))


def _losses(rows: Iterable[Mapping[str, float | None]]) -> Iterator[float]:
    return (loss for row in rows if (loss := row.get("loss")) is not None and isfinite(loss))

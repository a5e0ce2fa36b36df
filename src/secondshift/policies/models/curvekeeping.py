"""The objective of every trial, step by step, kept for the deciders that ask for it.

It is a cache that the recorded points rebuild: the same points give the same curves, in the engine, in the next engine
after a crash, and in a replay. Of each stretch of the horizon the newest point counts.
"""

from collections.abc import Iterable, Mapping

from secondshift.records.curves import PLACES, Curve
from secondshift.records.orders import Batch
from secondshift.records.studies import Study


class Curvekeeper:
    """Follows the objective of all trials: `take` all points that are recorded; `curves` gives what they came to."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, tuple[int, float]]] = {}  # trial -> stretch of the horizon -> step, value
        self._made: dict[str, Curve] = {}  # those that have not changed since they were made
        self._asked = ("", 0)  # metric and horizon

    def take(self, study: Study | None, batches: Iterable[Batch]) -> None:
        """Follow points in the order in which they were recorded. A new objective or horizon begins with nothing."""
        if study is None:
            return
        asked = (study.objective.metric, study.horizon_steps)
        if asked != self._asked:
            self._kept, self._made, self._asked = {}, {}, asked
        for batch in batches:
            if batch.metric == study.objective.metric and len(batch.steps):
                self._made.pop(batch.trial, None)
                self._points(self._kept.setdefault(batch.trial, {}), study.horizon_steps, batch)

    def curves(self) -> Mapping[str, Curve]:
        """The curve of each trial that ever logged the objective."""
        for trial, kept in self._kept.items():
            if trial not in self._made:
                found = sorted(kept.values())
                self._made[trial] = Curve(steps=tuple(step for step, _ in found), values=tuple(v for _, v in found))
        return dict(self._made)

    def _points(self, kept: dict[int, tuple[int, float]], horizon: int, batch: Batch) -> None:
        for step, value in zip(batch.steps, batch.values, strict=True):
            place = step * PLACES // horizon if horizon > PLACES else step
            known = kept.get(place)
            if known is None or known[0] <= step + 1:
                kept[place] = (step + 1, value)

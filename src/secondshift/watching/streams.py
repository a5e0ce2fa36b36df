"""One foreign run: its columns guessed, its rows followed, what was found told with the names that its owner knows."""

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from secondshift.policies.captain.batches import Batches
from secondshift.policies.captain.columns import HASHED, Guess, counts_epochs, guess
from secondshift.policies.captain.foreign import Told, finish, hush, see, tracked_end, watched
from secondshift.runtime.watched.cells import Cells, End, numbers_of, split
from secondshift.watching.gaps import Gaps
from secondshift.watching.restarts import Restarts
from secondshift.watching.sightings import Asked, RunSeen, Sighting

Row = dict[str, float | None]
TAIL = 160  # points that are kept to be drawn
MOST_COLUMNS = 2000
ANNOUNCE = "announce"


class RunWatch:
    """Follows one run."""

    def __init__(self, run: str, about: str, asked: Asked) -> None:
        self.seen = RunSeen(run=run, about=about)
        self._asked = asked
        self._watched = watched()
        self._begun = False
        self._tails: dict[str, deque[float]] = {}
        self._counted = 0  # rows; the next step where rows are counted
        self._counting = False  # the run's own steps are of no use
        self._gaps = Gaps()
        self._restarts = Restarts()
        self._batches = Batches()
        self.ended = False  # its tracker says so; silence never does

    def take(self, cells: Cells) -> list[Sighting]:
        """Follow new rows; give what was found in them."""
        seen = self.seen
        seen.lost += cells.lost
        self.ended = cells.end is not None or (self.ended and not cells.count)  # a run that goes on was resumed
        return self._rows(cells) + self._end(cells.end)

    def _end(self, end: End | None) -> list[Sighting]:
        if end is None:
            return []
        return self.over() + self.tell(tracked_end(end.status, code=end.code, head=end.head, tail=end.tail, step=self.seen.step))

    def _rows(self, cells: Cells) -> list[Sighting]:
        seen = self.seen
        if not cells.count:
            return []
        self._learn_names(cells)
        seen.rows += cells.count
        guessed = seen.guessed
        steps = self._steps(cells, guessed)
        if not guessed.streams:
            return []
        if not self._begun:
            self._watched, self._begun = watched(guessed.goal), True
        columns = self._numbers(cells, guessed) | self._new_batches(cells, guessed, steps)
        self._tidy(cells, guessed, columns)
        for stream, values in columns.items():
            kept = [value for value in values[-TAIL:] if value is not None]
            self._tails.setdefault(stream, deque(maxlen=TAIL)).extend(kept)
            seen.points += len(values) - values.count(None)
        names = ("step", *columns)
        rows: list[Row] = [dict(zip(names, row, strict=True)) for row in zip(steps, *columns.values(), strict=True)]
        if None in columns.get("loss", ()):
            for row in rows:  # what is NaN among the empty ones was said; the others are rows of something else
                if row["loss"] is None:
                    del row["loss"]
        told = self._judged(rows, self._announced(cells, guessed, steps))
        seen.step = steps[-1]
        return self._sighted(told)

    def _judged(self, rows: list[Row], announced: list[int]) -> list[Told]:
        """Judge rows; those of a script that was started again from nothing are held to nothing that stood before them."""
        places = self._restarts.places(rows)
        self._watched, told = see(self._watched, rows[: places[0]] if places else rows, announced)
        for begin, end in pairwise((*places, len(rows))):
            self._watched, found = see(watched(self.seen.guessed.goal), rows[begin:end], announced)
            told += found
        return told

    def stand_still(self, *, now_s: float, last_growth_s: float, longest_gap_s: float) -> list[Sighting]:
        """Judge that nothing came; give a finding if that is longer than is normal."""
        self._watched, told = hush(
            self._watched, now_s=now_s, last_growth_s=last_growth_s, longest_gap_s=longest_gap_s, step=self.seen.step
        )
        return self._sighted(told)

    def over(self) -> list[Sighting]:
        """The run has ended: judge where it stands."""
        return self._sighted(finish(self._watched))

    def tell(self, told: Sequence[Told]) -> list[Sighting]:
        """Take over what was found elsewhere, as in how a command ended."""
        return self._sighted(told)

    def finish(self) -> RunSeen:
        """What is known of the run by now."""
        self.seen.tails = {stream: list(tail) for stream, tail in self._tails.items()}
        return self.seen

    def _learn_names(self, cells: Cells) -> None:
        seen = self.seen
        if not all(name in seen.names for name in cells.columns) and len(seen.names) < MOST_COLUMNS:
            seen.names = tuple(dict.fromkeys((*seen.names, *cells.columns)))
            seen.guessed = guess(seen.names, told=self._asked.told, goal=self._asked.goal, kept=seen.guessed)

    def _steps(self, cells: Cells, guessed: Guess) -> list[int]:
        """The step of each row: its own, that of the row before where it names none, or its number."""
        own: Sequence[float | None] = ()
        if not self._counting:
            if cells.steps is not None and "step" not in self._asked.told:
                self.seen.own_steps = True
                return cells.steps
            own = numbers_of(cells.columns.get(guessed.step, ()))
        if own and any(value is not None and value % 1 for value in own if value is None or math.isfinite(value)):
            self._counting = True
        if own and counts_epochs(guessed) and self._repeats(cells, guessed, own):
            self._counting = True
        if not own or self._counting:
            steps = list(range(self._counted, self._counted + cells.count))
            self._counted += cells.count
            return steps
        self._counted += cells.count
        try:
            return list(map(int, own))  # type: ignore[arg-type]  # what is no number raises
        except (TypeError, ValueError, OverflowError):
            steps, last = [], max(self.seen.step, 0)
            for value in own:
                last = int(value) if value is not None and math.isfinite(value) else last
                steps.append(last)
            return steps

    def _repeats(self, cells: Cells, guessed: Guess, own: Sequence[float | None]) -> bool:
        """Whether two values of training in a row stand at one epoch."""
        losses = cells.columns.get(guessed.streams.get("loss", ""), ())
        at = [epoch for epoch, cell in zip(own, losses, strict=False) if cell not in (None, "")]
        return any(before == after for before, after in pairwise(at))

    def _numbers(self, cells: Cells, guessed: Guess) -> dict[str, list[float | None]]:
        columns = {}
        for stream, name in guessed.streams.items():
            if name in cells.columns and stream != HASHED:
                values = numbers_of(cells.columns[name])
                if (times := guessed.factors.get(stream, 1.0)) != 1.0:
                    values = [None if value is None else value * times for value in values]
                columns[stream] = values
        return columns

    def _new_batches(self, cells: Cells, guessed: Guess, steps: Sequence[int]) -> dict[str, list[float | None]]:
        """Which batches were new, where a column tells a hash of each and none how many samples were. Going back repeats none."""
        hashes = cells.columns.get(guessed.streams.get(HASHED, ""), ())
        if not hashes or "distinct" in guessed.streams:
            return {}
        last, found = self.seen.step, []
        for step, cell in zip(steps, hashes, strict=True):
            if step < last:
                self._batches.forget()
            last = step
            found.append(None if cell in ("", None) else self._batches.distinct(str(cell)))
        return {"distinct": found}

    def _tidy(self, cells: Cells, guessed: Guess, columns: dict[str, list[float | None]]) -> None:
        """Say what an empty cell and a NaN mean in a table."""
        losses = columns.get("loss")
        if losses is None or cells.steps is not None:
            return
        named = {guessed.step, guessed.run, guessed.streams["loss"]}
        beside = {name: column for name, column in cells.columns.items()
                  if name not in named and not counts_epochs(Guess(step=name))}  # fmt: skip
        self._gaps.fill(losses, beside)
        values = columns.get("val_loss")
        if values is not None:
            self._gaps.drop(values, losses)

    def _announced(self, cells: Cells, guessed: Guess, steps: list[int]) -> list[int]:
        if cells.announced:
            return cells.announced
        events = cells.columns.get(guessed.event, ()) if guessed.event else ()
        return [step for step, cell in zip(steps, events, strict=False)
                if isinstance(cell, str) and cell.strip().lower().startswith(ANNOUNCE)]  # fmt: skip

    def _sighted(self, told: Sequence[Told]) -> list[Sighting]:
        streams = self.seen.guessed.streams
        streams = {"distinct": streams[HASHED], **streams} if HASHED in streams else streams
        found = [
            Sighting(
                run=self.seen.run, column=streams.get(one.stream, one.stream), stream=one.stream, step=one.step, since=one.since,
                lasted=one.lasted, symptom=one.symptom, diagnosis=one.diagnosis, action=one.action,
                confidence=one.confidence, evidence=one.evidence,
            )
            for one in told
        ]  # fmt: skip
        self.seen.sightings += found
        return found


def parts(cells: Cells, asked: Asked) -> list[Cells]:
    """The runs of one table apart, if a column names them."""
    column = guess(list(cells.columns), told=asked.told).run
    return split(cells, column) if column else [cells]

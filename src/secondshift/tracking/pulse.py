"""How fast this process steps and how much memory it holds: sampled at most once a second, as a log call passes by."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from secondshift.tracking import wire
from secondshift.tracking.process import rss_mb

EVERY_S = 1.0


class Pulse:
    """Means over the new steps since the last sample. The first logged step only begins the first of them."""

    __slots__ = ("_at", "_done", "_timed", "_waited_s", "away_s", "due_at")

    def __init__(self) -> None:
        self._timed = False  # whether the script lets its loader be timed
        self.restart()

    def restart(self) -> None:
        """Begin anew: in a forked child, or when the steps jump."""
        self.due_at = 0.0  # monotonic; nothing has to be asked before
        self._at = 0.0  # monotonic time and steps done at the last sample
        self._done = -1
        self._waited_s = 0.0
        self.away_s = 0.0  # spent on checkpoints since then, which is not the steps' time

    def sample(self, now: float, done: int) -> dict[str, object]:
        """Return the metrics of the steps since the last sample; nothing at the first call. `done`: steps done by now."""
        steps, elapsed_s = done - self._done, now - self._at - self.away_s
        waited_s, known = self._waited_s, self._done >= 0
        self._at, self._done, self._waited_s, self.away_s = now, done, 0.0, 0.0
        self.due_at = now + EVERY_S
        if not known or steps <= 0:
            return {}
        found: dict[str, object] = {wire.STEP_S: max(0.0, elapsed_s) / steps}
        if self._timed:
            found[wire.DATA_S] = waited_s / steps
        if (held := rss_mb()) is not None:
            found[wire.RSS_MB] = held
        return found

    def timed(self, batches: Iterable) -> Iterator:
        """Hand on what an iterable gives; count how long each took to come."""
        self._timed = True
        asked_at = time.monotonic()
        for batch in batches:
            self._waited_s += time.monotonic() - asked_at
            yield batch
            asked_at = time.monotonic()

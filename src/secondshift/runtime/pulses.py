"""Listens for the pulse of running scripts between two readings of their points: a silence is seen long before it is believed."""

from dataclasses import dataclass

from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.trials import Attempt
from secondshift.runtime.executors.protocol import Executor, Listening

LISTEN_S = 0.2  # between two times of listening
LEAST_S = 1.0  # so short a silence is nothing: a busy machine makes it
GAPS = 3.5  # of the longest so far; found within five, with what listening and reading take
KNOWN = 5  # times that a script was heard before its silence means anything


@dataclass(slots=True)
class _Pulse:
    """What was last heard of one attempt."""

    written: int
    since: float  # when it was heard, by the study clock
    beats: int = 0


class Pulses:
    """Remembers when each attempt's streams last grew. Losing that only makes the next silence count from now."""

    def __init__(self) -> None:
        self.collected: dict[str, float] = {}  # attempt -> when its points were last read
        self._of: dict[str, _Pulse] = {}
        self._listened = float("-inf")

    def listen(self, state: State, executor: Executor, now: float) -> list[facts.AttemptQuiet]:
        """Say which attempts are newly quiet. What they logged is read first, so that their rhythm is known to the last.

        An attempt whose points do not tell their time is not judged. Takes one out of `collected` to have it read at once.
        """
        if not isinstance(executor, Listening) or 0.0 <= now - self._listened < LISTEN_S:
            return []
        self._listened = now
        self._of = {attempt: pulse for attempt, pulse in self._of.items() if attempt in state.attempts}
        told: list[facts.AttemptQuiet] = []
        for attempt in state.attempts.values():
            if attempt.status != "running" or attempt.asked or attempt.closed or attempt.beat_s <= 0.0:
                continue
            sizes = executor.written(attempt.id)
            quiet_s, allowed_s = self._heard(attempt, sum(sizes.values()), now), max(LEAST_S, GAPS * attempt.beat_gap_s)
            if quiet_s <= allowed_s or attempt.quiet_since > 0.0:
                continue
            if any(size > attempt.offsets.get(name, 0) for name, size in sizes.items()):
                self.collected.pop(attempt.id, None)
            else:
                told.append(facts.AttemptQuiet(attempt=attempt.id, quiet_s=round(quiet_s, 3), allowed_s=round(allowed_s, 3)))
        return told

    def _heard(self, attempt: Attempt, written: int, now: float) -> float:
        """Return for how long nothing was written; 0 while too little is known of the script."""
        pulse = self._of.setdefault(attempt.id, _Pulse(written, now))
        if written != pulse.written:
            pulse.written, pulse.since, pulse.beats = written, now, pulse.beats + 1
        return now - pulse.since if pulse.beats >= KNOWN else 0.0

"""Follows runs while they grow: looks again and again, and says what is new and what stands still."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.policies.captain.foreign import ended
from secondshift.policies.captain.symptoms.beats import GAPS
from secondshift.records.crashsigns import signs_in
from secondshift.runtime.watched.cells import Source
from secondshift.runtime.watched.commands import Command
from secondshift.runtime.watched.finding import find_sources
from secondshift.runtime.watched.outputs import Log, Output
from secondshift.watching.sightings import Asked, RunSeen, Sighting
from secondshift.watching.streams import RunWatch, parts

SEARCH_S = 5.0  # between two searches for new files
FRESH_S = 120.0  # a file that changed so lately lives, though nobody has seen it grow yet
UNKNOWN_QUIET_S = 600.0  # without growth, until the rhythm of a run is known
KNOWN = 3  # gaps that make a rhythm


@dataclass(slots=True)
class Growth:
    """How a run grows."""

    last_s: float  # on the monotonic clock
    longest_s: float = 0.0
    gaps: int = 0
    lives: bool = False  # it was seen to grow, or changed just before
    silent: bool = False

    def grew(self, now_s: float) -> None:
        """Something new came. A silence that ended is no measure of what is normal."""
        if self.lives and not self.silent:
            self.longest_s = max(self.longest_s, now_s - self.last_s)
            self.gaps += 1
        self.last_s, self.lives, self.silent = now_s, True, False

    def normal_s(self, quiet_s: float) -> float:
        """The longest gap that is normal."""
        if quiet_s > 0.0:
            return quiet_s / GAPS
        return self.longest_s if self.gaps >= KNOWN else max(self.longest_s, UNKNOWN_QUIET_S / GAPS)


class Live:
    """The runs under some paths, as they grow. Silent is not finished: no run is ever said to be."""

    def __init__(self, paths: Sequence[Path], asked: Asked, *, missing_ok: bool = False) -> None:
        self.runs: dict[str, RunWatch] = {}
        self.unreadable: list[str] = []
        self._paths, self._asked, self._missing_ok = paths, asked, missing_ok
        self._sources: dict[str, Source] = {}
        self._growth: dict[str, Growth] = {}
        self._searched_s = float("-inf")

    def tick(self, now_s: float) -> list[Sighting]:
        """Look once at everything; give what was found. now_s: on the monotonic clock."""
        fresh = self._search(now_s)
        found: list[Sighting] = []
        for source in list(self._sources.values()):
            found += self._look(source, now_s, first=source.name in fresh)
        for name, growth in self._growth.items():
            found += self._silence(name, growth, now_s)
        return found

    def seen(self) -> list[RunSeen]:
        """What is known of each run."""
        for name, run in self.runs.items():
            growth = self._growth[name]
            seen = "silent" if growth.silent else "growing" if growth.lives else "still"
            run.seen.state = "ended" if run.ended else seen
        return [run.finish() for run in self.runs.values()]

    def _search(self, now_s: float) -> set[str]:
        if now_s - self._searched_s < SEARCH_S:
            return set()
        first, self._searched_s = self._searched_s == float("-inf"), now_s
        try:
            found = find_sources(self._paths, known=frozenset(self._sources), missing_ok=self._missing_ok or not first, log=Log)
        except SecondshiftError:
            if first:
                raise
            return set()  # a folder that went away, or may not be read for now: what is known of it stays
        self.unreadable = found.unreadable
        self._sources.update((source.name, source) for source in found.sources)
        return {source.name for source in found.sources}

    def _look(self, source: Source, now_s: float, *, first: bool) -> list[Sighting]:
        found: list[Sighting] = []
        grown: set[str] = set()
        for cells in source.poll(ended=False):
            for part in parts(cells, self._asked):
                name = f"{source.name}#{part.run}" if part.run else source.name
                if name not in self.runs:
                    self.runs[name] = RunWatch(name, source.about, self._asked)
                    lives = not first or time.time() - source.newest() < FRESH_S
                    self._growth[name] = Growth(last_s=now_s, lives=lives)
                elif part.count:
                    grown.add(name)
                found += self.runs[name].take(part)
        for name in grown if not first else ():
            self._growth[name].grew(now_s)
        return found

    def _silence(self, name: str, growth: Growth, now_s: float) -> list[Sighting]:
        run = self.runs[name]
        if not growth.lives or growth.silent or run.ended:
            return []
        if not run.seen.guessed.streams:
            return []
        normal = growth.normal_s(self._asked.quiet_s)
        found = run.stand_still(now_s=now_s, last_growth_s=growth.last_s, longest_gap_s=normal)
        growth.silent = bool(found)
        return found


class Beside:
    """The captain beside a command: what it prints is passed on unchanged, and read."""

    def __init__(self, words: Sequence[str], asked: Asked) -> None:
        self.command = Command(words)
        self.output = Output(Path(words[0]).name)
        self.run = RunWatch("output", "output", asked)
        self._asked = asked
        self._signs: set[str] = set()
        self._growth = Growth(last_s=time.monotonic(), lives=True)

    def tick(self, wait_s: float) -> list[Sighting]:
        """Pass on and read what was printed within `wait_s`; when the command is over, tell how it ended."""
        for stream, data in self.command.pump(wait_s):
            self.output.feed(stream, data)
        over = self.command.over
        found: list[Sighting] = []
        rows = self.output.poll(ended=over)
        for cells in rows:
            found += self.run.take(cells)
        lines = self.output.take_lines()
        self._signs |= signs_in(lines)
        if over:
            return found + self._ended()
        now = time.monotonic()
        if lines or rows:
            self._growth.grew(now)
        elif self._growth.lives and not self._growth.silent:
            normal = self._growth.normal_s(self._asked.quiet_s)
            silent = self.run.stand_still(now_s=now, last_growth_s=self._growth.last_s, longest_gap_s=normal)
            self._growth.silent = bool(silent)
            found += silent
        return found

    def _ended(self) -> list[Sighting]:
        output = self.output
        return self.run.over() + self.run.tell(
            ended(
                output.words.head, list(output.words.tail), code=self.command.code or 0, step=self.run.seen.step, signs=self._signs
            )
        )

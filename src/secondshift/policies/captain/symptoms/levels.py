"""The level of a noisy stream, learned in blocks of eight points and never learned while it is suspicious.

The spread of single points and of block medians are both measured on the stream itself, so every limit scales and
shifts with it. Methods: medians and absolute deviations (Hampel, "The influence curve and its role in robust
estimation", 1974); a limit from the largest clean excess follows the idea of the peaks-over-threshold method.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

BLOCK = 8  # points
KEPT = 12  # clean block medians that are remembered
NEWEST = 4  # of these, the ones that say where the level is; the older ones say what it may be
LEARNING = 4  # blocks that are learned from before anything is judged
POINT_LIMIT = 9.0  # single points, in units of noise
TAIL_LIMIT = 1.8  # ... or that many times the largest clean excess so far
TAIL_FADES = 0.99  # of that largest excess, each block
BLOCK_LIMIT = 4.5  # block medians, in units of their own spread
BLOCK_NOISE = 0.45  # spread of the median of eight points, in units of their noise
SPAN_FLOOR = 0.002  # least noise, as a share of the range of clean medians
SPAN_LIMIT = 0.02  # least shift that counts, the same


def middle(values: list[float]) -> float:
    """The median; the lower and the upper one are averaged."""
    ordered = sorted(values)
    half = len(ordered) >> 1
    return ordered[half] if len(ordered) & 1 else 0.5 * (ordered[half - 1] + ordered[half])


@dataclass(slots=True)
class Level:
    """Constant-size memory of a stream whose larger values are worse."""

    least_shift: float = 0.0  # smallest shift of a block that counts, in the stream's unit
    least_point: float = 0.0  # the same for a single point
    learning: int = LEARNING  # blocks before anything is judged
    drops: bool = False  # whether a drop is suspicious too; else it is learned at once
    block: list[float] = field(default_factory=list)
    begun: int = 0  # step of the block's first point
    blocks: int = 0  # closed
    medians: list[float] = field(default_factory=list)  # clean, oldest first
    noises: list[float] = field(default_factory=list)
    lowest: float = float("inf")  # of clean medians
    highest: float = float("-inf")
    tail: float = 0.0  # largest clean excess of a point, in units of noise
    noise: float = 0.0
    wander: float = 0.0  # typical change from one clean median to the next
    level: float = 0.0  # median of the last clean medians
    ceiling: float = float("inf")  # a block above it is suspicious
    floor: float = float("-inf")  # a block below it has dropped
    limit: float = float("inf")  # a point above it is suspicious
    raised: int = 0  # suspicious blocks in a row
    dropped: int = 0  # blocks in a row below the floor
    since: int = 0  # first suspicious step
    last: float = 0.0  # newest block median, clean or not

    def copy(self) -> Self:
        """An independent copy: what was followed from it does not change this one."""
        made = type(self).__new__(type(self))
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(made, name, value[:] if isinstance(value, list) else value)
        return made

    def forget(self) -> None:
        """A change was announced: learn the level anew, keep what is known of spread."""
        self.block, self.medians, self.noises = [], [], []
        self.blocks, self.raised, self.dropped = 0, 0, 0
        self.ceiling, self.floor, self.limit = float("inf"), float("-inf"), float("inf")
        self.lowest, self.highest = float("inf"), float("-inf")

    def push(self, step: int, value: float) -> bool:
        """Take one finite value; true when it closed a block."""
        block = self.block
        if not block:
            self.begun = step
        block.append(value)
        if len(block) < BLOCK:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Judge the full block by what was known before it, then learn from it if it is clean."""
        block, self.block = self.block, []
        self.blocks += 1
        median = self.last = middle(block)
        if self.blocks > self.learning and median > (self.ceiling if self.raised == 0 else self._way_back()):
            self.since = self.since if self.raised else self.begun
            self.raised, self.dropped = self.raised + 1, 0
            return
        if self.drops and self.blocks > self.learning and median < self.floor and self.dropped < KEPT:
            self.since = self.since if self.dropped else self.begun
            self.raised, self.dropped = 0, self.dropped + 1
            return
        self.raised = self.dropped = 0
        self._learn(block, median)

    def _way_back(self) -> float:
        return 0.5 * (self.ceiling + self.level)

    def _learn(self, block: list[float], median: float) -> None:
        spread = sum([abs(value - median) for value in block]) / BLOCK * 1.25
        medians, noises = self.medians, self.noises
        medians.append(median)
        noises.append(spread)
        if len(medians) > KEPT:
            del medians[0], noises[0]
        self.lowest, self.highest = min(self.lowest, median), max(self.highest, median)
        span = self.highest - self.lowest
        self.noise = max(middle(noises), SPAN_FLOOR * span)
        self.wander = middle([abs(b - a) for a, b in pairwise(medians)]) if len(medians) > 1 else 0.0
        self.level = middle(medians[-NEWEST:])
        if self.noise > 0.0 and self.blocks > 2:
            self.tail = max(self.tail * TAIL_FADES, (max(block) - self.level) / self.noise)
        shift = max(BLOCK_LIMIT * max(BLOCK_NOISE * self.noise, self.wander), SPAN_LIMIT * span, self.least_shift)
        older = medians[:-NEWEST] or medians  # so that a ramp over a few blocks is not learned on its way
        self.ceiling = max(older) + shift
        self.floor = min(medians) - shift  # a gradual decline is no drop
        if self.blocks >= self.learning:
            self.limit = self.level + max(self.noise * max(POINT_LIMIT, TAIL_LIMIT * self.tail), self.least_point)

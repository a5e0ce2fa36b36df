"""Where a run stands when it ends: against the best it had, on a coarse curve of constant size.

Single points say too little at the end of a run, and blocks of a short one are few. So the whole curve is kept in at
most 32 bins, whose width doubles whenever they are full, and the median of the last five points is what is judged.
"""

from dataclasses import dataclass, field
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, confidence_of
from secondshift.policies.captain.symptoms.levels import middle

POINTS = 4  # in a bin of the first width
BINS = 32  # kept at most; halved when full
KNOWN = 6  # bins before anything is judged
BACK = 8  # points in a row below the limit that make a rise go away
RECENT = 5  # points whose median says where the run stands
SHARE = 0.15  # of what was gained that must be lost again
NOISE = 8.0  # ... and in units of noise
CALM = 0.2  # the share of bins that are calmer than what is taken for the noise: what is wrong is often wild as well
SPREAD = 0.89  # noise of a point, from the mean change from one to the next
TIMES = 2  # a rise must last longer than that many times the longest that went away by itself


@dataclass(slots=True)
class Ending:
    """Constant-size memory of a whole curve whose smaller values are better."""

    bins: list[tuple[float, float]] = field(default_factory=list)  # level and mean change from point to point
    width: int = 1  # medians of four points in a bin
    four: list[float] = field(default_factory=list)
    parts: int = 0  # of the bin that is being filled
    part: tuple[float, float] = (0.0, 0.0)  # their sums
    recent: list[float] = field(default_factory=list)
    start: float = 0.0  # median of the first four points
    best: float = float("inf")
    best_step: int = 0
    limit: float = float("inf")  # a run that stands above it has lost what it had
    high: int = 0  # points above it, of a rise that has not gone away
    since: int = 0
    low: int = 0  # points in a row below it since
    longest: int = 0  # the longest rise that went away by itself

    def copy(self) -> Self:
        """An independent copy."""
        made = type(self)(*[getattr(self, name) for name in self.__slots__])
        made.bins, made.four, made.recent = self.bins[:], self.four[:], self.recent[:]
        return made

    def push(self, step: int, value: float) -> None:
        """Take one finite value."""
        change = abs(value - self.recent[-1]) if self.recent else 0.0
        self.recent = [*self.recent[1 - RECENT :], value]
        self.four.append(value)
        self.part = (self.part[0], self.part[1] + change)
        if middle(self.recent) > self.limit:
            self.since = self.since if self.high else step
            self.high, self.low = self.high + 1, 0
        elif self.high:
            self.low += 1
            if self.low == BACK:
                self.longest, self.high, self.low = max(self.longest, self.high), 0, 0
        if len(self.four) == POINTS:
            self._close(step)

    def _close(self, step: int) -> None:
        level, self.four = middle(self.four), []
        if not self.bins and not self.parts:
            self.start = level
        self.parts, self.part = self.parts + 1, (self.part[0] + level, self.part[1])
        if self.parts < self.width:
            return
        self.bins.append((self.part[0] / self.parts, self.part[1] / (self.parts * POINTS)))
        self.parts, self.part = 0, (0.0, 0.0)
        if self.bins[-1][0] < self.best:
            self.best, self.best_step = self.bins[-1][0], step
        if len(self.bins) >= KNOWN:
            noise = SPREAD * sorted([change for _, change in self.bins])[int(CALM * len(self.bins))]
            self.limit = self.best + max(SHARE * (self.start - self.best), NOISE * noise)
        if len(self.bins) == BINS:
            pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
            self.bins = [(0.5 * (a + b), 0.5 * (c + d)) for (a, c), (b, d) in pairs]
            self.width *= 2

    def finish(self, step: int, sign: float, name: str) -> list[Finding]:
        """The run is over: say if it stands above the best it had, longer than it ever came back from."""
        if self.low or self.high <= TIMES * self.longest:
            return []
        now = middle(self.recent)
        seen = {"level": sign * now, "best": sign * self.best, "best_step": float(self.best_step),
                "limit": sign * self.limit, "longest_before": float(self.longest), "ended": 1.0}  # fmt: skip
        confidence = confidence_of(now - self.best, self.limit - self.best, least=0.7)
        return [Finding(symptom="slow_divergence", stream=name, step=step, since=self.since, lasted=self.high,
                        confidence=confidence, evidence=seen)]  # fmt: skip

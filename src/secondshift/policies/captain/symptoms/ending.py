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
WIDE = 4  # medians of four points whose mean says the same of a longer stretch, which needs less
WIDE_NOISE = 4.0  # units of noise there
MOST, LITTLE = 0.8, 1.5  # ... or that share of what was gained, and so many, where more than so many were gained
FAR = 0.5  # share of its start by which a run that ends above it is lost, however wild it is
COMING = 0.8  # share of a rise, of what it was as many points before, below which it is coming back as the run ends


@dataclass(slots=True)
class Rise:
    """One rise above a limit, and the longest that went away by itself; in points."""

    limit: float = float("inf")
    high: int = 0  # above it, of a rise that has not gone away
    since: int = 0
    low: int = 0  # in a row below it since
    longest: int = 0  # of those that went away

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self.limit, self.high, self.since, self.low, self.longest)

    def push(self, step: int, level: float, points: int) -> None:
        """Take a level that stands for so many new points."""
        if level > self.limit:
            self.since = self.since if self.high else step
            self.high, self.low = self.high + points, 0
        elif self.high:
            self.low += points
            if self.low >= BACK:
                self.longest, self.high, self.low = max(self.longest, self.high), 0, 0

    def stands(self) -> bool:
        """Whether it lasts, and lasts longer than any that went away."""
        return self.low == 0 and self.high > TIMES * self.longest


@dataclass(slots=True)
class Ending:
    """Constant-size memory of a whole curve whose smaller values are better."""

    bins: list[tuple[float, float]] = field(default_factory=list)  # level and mean change from point to point
    width: int = 1  # medians of four points in a bin
    four: list[float] = field(default_factory=list)
    fours: list[float] = field(default_factory=list)  # medians of four points, the newest eight
    parts: int = 0  # of the bin that is being filled
    part: tuple[float, float] = (0.0, 0.0)  # their sums
    recent: list[float] = field(default_factory=list)
    start: float = 0.0  # median of the first four points
    best: float = float("inf")
    best_step: int = 0
    best_wide: float = float("inf")  # of the longer stretches
    noise: float = 0.0  # of a point
    changed: bool = False  # it begins at a planned change, and not where the run began
    near: Rise = field(default_factory=Rise)
    wide: Rise = field(default_factory=Rise)

    def copy(self) -> Self:
        """An independent copy."""
        made = type(self)(*[getattr(self, name) for name in self.__slots__])
        made.bins, made.four, made.fours, made.recent = self.bins[:], self.four[:], self.fours[:], self.recent[:]
        made.near, made.wide = self.near.copy(), self.wide.copy()
        return made

    def push(self, step: int, value: float) -> None:
        """Take one finite value."""
        recent, near = self.recent, self.near
        if recent:
            self.part = (self.part[0], self.part[1] + abs(value - recent[-1]))
        recent.append(value)
        if len(recent) > RECENT:
            del recent[0]
        self.four.append(value)
        if near.high or max(recent) > near.limit:  # else it would change nothing, and each point costs a sort
            near.push(step, middle(recent), 1)
        if len(self.four) == POINTS:
            level, self.four = middle(self.four), []
            self.fours = [*self.fours[1 - 2 * WIDE :], level]
            self._close(step, level)
            self._stretch(step)

    def _stretch(self, step: int) -> None:
        """Hold the newest long stretch against the best of them; in units of the noise that is known by now."""
        if len(self.bins) < KNOWN:
            return
        now = _mean(self.fours[-WIDE:])
        self.wide.push(step, now, POINTS)
        self.best_wide = min(self.best_wide, now)
        gained, noise = max(0.0, self.start - self.best_wide), self.noise
        least = max(SHARE * gained, WIDE_NOISE * noise)
        if gained > LITTLE * noise:
            least = min(least, max(MOST * gained, LITTLE * noise))
        self.wide.limit = min(self.best_wide + least, self._far())

    def _far(self) -> float:
        return float("inf") if self.changed else self.start + FAR * abs(self.start)

    def _close(self, step: int, level: float) -> None:
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
            self.noise = SPREAD * sorted([change for _, change in self.bins])[int(CALM * len(self.bins))]
            self.near.limit = self.best + max(SHARE * (self.start - self.best), NOISE * self.noise)
        if len(self.bins) == BINS:
            pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
            self.bins = [(0.5 * (a + b), 0.5 * (c + d)) for (a, c), (b, d) in pairs]
            self.width *= 2

    def finish(self, step: int, sign: float, name: str) -> list[Finding]:
        """The run is over: say if it stands above the best it had, longer than it ever came back from."""
        if self.near.stands():
            return [self._tell(step, sign, name, self.near, middle(self.recent), self.best)]
        if self.wide.stands() and self.wide.high > POINTS and not self._coming_back():
            return [self._tell(step, sign, name, self.wide, _mean(self.fours[-WIDE:]), self.best_wide)]
        return []

    def _coming_back(self) -> bool:
        now, before = _mean(self.fours[-WIDE:]), _mean(self.fours[:-WIDE])
        return now - self.best_wide < COMING * (before - self.best_wide) and now <= self._far()

    def _tell(self, step: int, sign: float, name: str, rise: Rise, now: float, best: float) -> Finding:
        seen = {"level": sign * now, "best": sign * best, "best_step": float(self.best_step),
                "limit": sign * rise.limit, "longest_before": float(rise.longest), "ended": 1.0}  # fmt: skip
        confidence = confidence_of(now - best, rise.limit - best, least=0.7)
        return Finding(symptom="slow_divergence", stream=name, step=step, since=rise.since, lasted=rise.high,
                       confidence=confidence, evidence=seen)  # fmt: skip


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

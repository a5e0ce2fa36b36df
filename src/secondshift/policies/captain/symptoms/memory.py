"""A memory leak: use that passes its highest value block after block, steadily, with the time that is left."""

from dataclasses import dataclass, field
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, doubled
from secondshift.policies.captain.symptoms.levels import BLOCK, middle

SETTLED = 20  # blocks in which a program may still grow to its size
RISES = 5  # new heights in a row
GROWTH = 0.006  # least growth over them, as a share of the use
STEADY = 0.8  # the later half grows at least so fast as this share of the earlier half
WIDE = 8  # blocks in one of the wide averages that show a slow leak


@dataclass(slots=True)
class Climb:
    """How one series of averages passes its own highest value."""

    highest: float = 0.0
    rises: int = 0  # new heights in a row
    since: int = 0
    recent: list[float] = field(default_factory=list)  # the last RISES + 1 averages

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self.highest, self.rises, self.since, self.recent[:])

    def push(self, value: float, begun: int) -> bool:
        """Take one average; whether this is a steady climb now."""
        self.recent.append(value)
        if len(self.recent) > RISES + 1:
            del self.recent[0]
        if value > self.highest:
            self.rises += 1
            self.since = begun if self.rises == 1 else self.since
            self.highest = value
        else:
            self.rises = 0
        if self.rises < RISES or len(self.recent) <= RISES:
            return False
        half = RISES // 2
        first, last = self.recent[half] - self.recent[0], self.recent[-1] - self.recent[-1 - half]
        return last >= STEADY * first and self.recent[-1] - self.recent[0] >= GROWTH * self.recent[0]


@dataclass(slots=True)
class Memory:
    """Constant-size memory of memory use, in MB."""

    limit_mb: float = 0.0  # what may be used; 0 = not known
    stream: str = "rss_mb"
    block: list[float] = field(default_factory=list)
    begun: int = 0
    blocks: int = 0
    fast: Climb = field(default_factory=Climb)
    slow: Climb = field(default_factory=Climb)
    wide: list[float] = field(default_factory=list)
    wide_begun: int = 0
    told: int = 0  # blocks of the present climb

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self.limit_mb, self.stream, self.block[:], self.begun, self.blocks, self.fast.copy(), self.slow.copy(),
                          self.wide[:], self.wide_begun, self.told)  # fmt: skip

    def push(self, step: int, used_mb: float) -> list[Finding]:
        """Take the memory that is used at one step."""
        if not self.block:
            self.begun = step
        self.block.append(used_mb)
        if len(self.block) < BLOCK:
            return []
        value, self.block = middle(self.block), []
        self.blocks += 1
        if not self.wide:
            self.wide_begun = self.begun
        self.wide.append(value)
        climbs = self.fast.push(value, self.begun)
        climb = self.fast
        if len(self.wide) == WIDE:
            if self.slow.push(middle(self.wide), self.wide_begun) and not climbs:
                climbs, climb = True, self.slow
            self.wide = []
        if self.blocks <= SETTLED or not climbs:
            self.told = 0 if self.fast.rises == 0 and self.slow.rises == 0 else self.told
            return []
        self.told += 1
        return self._tell(step, climb) if doubled(self.told, 1) else []

    def _tell(self, step: int, climb: Climb) -> list[Finding]:
        width = BLOCK if climb is self.fast else BLOCK * WIDE
        per_step = (climb.recent[-1] - climb.recent[0]) / (RISES * width)
        seen = {"used_mb": climb.recent[-1], "mb_per_step": per_step}
        if self.limit_mb > 0.0:
            seen |= {
                "limit_mb": self.limit_mb,
                "steps_to_limit": max(0.0, (self.limit_mb - climb.recent[-1]) / per_step),
            }
        confidence = 0.7 if self.told == 1 else 0.9
        return [Finding(symptom="memory_leak", stream=self.stream, step=step, since=climb.since, lasted=climb.rises * width,
                        confidence=confidence, evidence=seen)]  # fmt: skip

"""A sign in the labels of the batches: their entropy falls to almost nothing, as in a shard of one class or data in order."""

from dataclasses import dataclass
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, doubled

KNOWN = 24  # batches that say what is usual
NEWEST = 64  # batches over which that is averaged
LITTLE = 0.2  # share of the usual entropy below which a batch is of hardly more than one class
APART = 4.0  # usual deviations that it must lie below the usual besides: rare classes are missing from many batches
IN_A_ROW = 12  # such batches that are told


@dataclass(slots=True)
class Labels:
    """Constant-size memory of the entropy of the labels of a batch, in any unit."""

    usual: float = 0.0
    spread: float = 0.0
    batches: int = 0  # learned from
    low: int = 0  # in a row
    since: int = 0
    longest: int = 0  # that ended by itself

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(*[getattr(self, name) for name in self.__slots__])

    def announce(self) -> None:
        """A change is planned from here on: other data may be meant."""
        self.usual = self.spread = 0.0
        self.batches = self.low = self.longest = 0

    def push(self, step: int, entropy: float) -> list[Finding]:
        """Take the entropy of one batch; what is none is passed over."""
        if not 0.0 <= entropy < float("inf"):
            return []
        if self.batches < KNOWN or entropy >= LITTLE * self.usual or self.usual - entropy < APART * self.spread:
            self._learn(entropy)
            return []
        self.low += 1
        if self.low == 1:
            self.since = step
        if self.low <= 3 * self.longest or not doubled(self.low, IN_A_ROW):
            return []
        seen = {"label_entropy": entropy, "usual_entropy": self.usual, "batches": float(self.low),
                "longest_before": float(self.longest)}  # fmt: skip
        return [Finding(symptom="one_class", stream="label_entropy", step=step, since=self.since, lasted=self.low,
                        confidence=0.9 if self.longest == 0 else 0.7, evidence=seen)]  # fmt: skip

    def _learn(self, entropy: float) -> None:
        self.longest, self.low = max(self.longest, self.low), 0
        self.batches += 1
        weight = min(self.batches, NEWEST)
        if self.batches > 1:
            self.spread += (abs(entropy - self.usual) - self.spread) / weight
        self.usual += (entropy - self.usual) / weight

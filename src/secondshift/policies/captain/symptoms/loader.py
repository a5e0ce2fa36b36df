"""Signs in the batches: the same ones again (dead loader), or each epoch in the same order (unshuffled loader)."""

from dataclasses import dataclass
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, doubled

REPEATED = 12  # batches in a row that were seen before
QUIET = 0.35  # share of the earlier change from step to step below which it is one batch, not one order


@dataclass(slots=True)
class Loader:
    """Constant-size memory of how often batches repeat."""

    repeated: int = 0  # in a row
    since: int = 0
    longest: int = 0  # that ended by itself
    previous: float = 0.0  # loss of the step before
    change: float = 0.0  # usual change of the loss from step to step, while batches are new
    change_now: float = 0.0  # the same while they repeat
    steps: int = 0

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(*[getattr(self, name) for name in self.__slots__])

    def push(self, step: int, distinct: float, loss: float) -> list[Finding]:
        """Take how many new samples a batch had (0: this batch was seen before) and its loss."""
        change = abs(loss - self.previous)
        change = change if change - change == 0.0 else 0.0
        self.previous = loss
        self.steps += 1
        if distinct > 0:
            self.change += (change - self.change) / min(self.steps, 32)
            self.longest, self.repeated = max(self.longest, self.repeated), 0
            return []
        self.repeated += 1
        if self.repeated == 1:
            self.since, self.change_now = step, 0.0
        else:
            self.change_now += (change - self.change_now) / min(self.repeated - 1, 8)
        if self.repeated <= 3 * self.longest or not doubled(self.repeated, REPEATED):
            return []
        one = self.change_now < QUIET * self.change
        seen = {"batches": float(self.repeated), "longest_before": float(self.longest),
                "change_of_loss": self.change_now, "change_before": self.change}  # fmt: skip
        return [Finding(symptom="dead_loader" if one else "unshuffled_loader", stream="distinct", step=step, since=self.since,
                        lasted=self.repeated, confidence=0.9 if self.longest == 0 else 0.7, evidence=seen)]  # fmt: skip

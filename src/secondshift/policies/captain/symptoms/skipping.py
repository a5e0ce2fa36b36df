"""Steps that a script says it skipped, as a loss scale does when gradients overflow: counted at each row, or in all so far."""

from dataclasses import dataclass
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.gradients import SEARCHED, SKIPPED

MOST = 0.5  # share of the steps since the row before that must have been skipped for an episode to go on
UNPROVED = 0.6  # confidence while no row has shown that the count is one of each row, and not of all so far


@dataclass(slots=True)
class Skipping:
    """Constant-size memory of one count of skipped steps."""

    stream: str = "skipped"
    each: bool = True  # the count is of the row; else of all so far
    proved: bool = False  # it went down, as no count of all so far does
    value: float = -1.0  # of the row before; below zero: none
    step: int = -1
    in_a_row: float = 0.0  # steps of this episode
    since: int = 0
    due: float = SKIPPED  # steps from which the episode is told, and told again
    longest: float = 0.0  # episode that ended by itself
    taken: bool = False  # some step was not skipped

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(*[getattr(self, name) for name in self.__slots__])

    def restart(self) -> None:
        """Another process goes on: its count may begin anew."""
        self.value, self.step = -1.0, -1

    def push(self, step: int, value: float) -> list[Finding]:
        """Take the count of one row; what is no count is passed over."""
        if not 0.0 <= value < float("inf"):
            return []
        count = self._new(value)
        passed = max(1, step - self.step) if self.step >= 0 else 1
        self.value, self.step = value, step
        if count < MOST * passed:
            self.longest = max(self.longest, self.in_a_row)
            self.in_a_row, self.taken = 0.0, True
            return []
        if not self.in_a_row:
            self.since = step
            self.due = self._needed()
        self.in_a_row += count
        if self.in_a_row < self.due:
            return []
        while self.due <= self.in_a_row:
            self.due *= 2.0
        confidence = 0.95 if self.in_a_row >= 2.0 * self._needed() else 0.5
        confidence = UNPROVED if self.each and not self.proved and confidence > UNPROVED else confidence
        seen = {"steps_in_a_row": self.in_a_row, "longest_before": self.longest}
        return [Finding(symptom="overflow_skipping", stream=self.stream, step=step, since=self.since,
                        lasted=int(self.in_a_row), confidence=confidence, evidence=seen)]  # fmt: skip

    def _needed(self) -> float:
        """Skipped steps that are told: more while a loss scale is still searched, and more than ended by themselves."""
        return max(SKIPPED if self.taken else SEARCHED, self.longest + 1.0)

    def _new(self, value: float) -> float:
        """How many steps were skipped since the row before."""
        if self.value < 0.0:
            return value if self.each and value <= 1.0 else 0.0
        if value < self.value:
            self.each = self.proved = True
        elif self.each and not self.proved and value > max(1.0, self.value):
            self.each = False  # it rises on and on
        return value if self.each else value - self.value

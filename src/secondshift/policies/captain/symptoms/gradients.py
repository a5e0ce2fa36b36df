"""Signs in the gradient norm: explosion, vanishing, and steps that are skipped because of overflow."""

from dataclasses import dataclass, field
from math import exp, log
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, Symptom, confidence_of, doubled
from secondshift.policies.captain.symptoms.levels import BLOCK, Level

SKIPPED = 4  # overflowed steps in a row that are told; a loss scale that searches skips one or two
SEARCHED = 16  # the same before any step was taken: a loss scale is searched from high above
SINGLE = log(6.0)  # least rise of one norm that counts
BEYOND = log(12.0)  # above the largest clean excess so far, where that is less: norms of single batches spread widely
LASTING = log(2.0)  # least rise or drop of a block that counts
GONE = log(100.0)  # a drop that is told though the loss falls, which explains a smaller one
LEARNING = 10  # blocks; norms move by orders of magnitude when a run begins
RAISED_BLOCKS, DROPPED_BLOCKS = 2, 2


@dataclass(slots=True)
class Gradients:
    """Constant-size memory of a gradient norm, in logarithms."""

    level: Level = field(
        default_factory=lambda: Level(least_shift=LASTING, least_point=SINGLE, learning=LEARNING, drops=True)
    )
    overflowed: int = 0  # in a row
    overflowed_since: int = 0
    longest_clean: int = 0  # longest row of overflows that ended by itself
    above: int = 0
    above_since: int = 0

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self.level.copy(), self.overflowed, self.overflowed_since, self.longest_clean, self.above,
                          self.above_since)  # fmt: skip

    def announce(self) -> None:
        """A change is planned from here on."""
        self.level.forget()
        self.above = 0

    def push(self, step: int, norm: float, *, loss_finite: bool, loss_fell: bool, begun: bool = True) -> list[Finding]:
        """Take one norm.

        `loss_fell`: the loss went down lately, which explains smaller norms and excuses larger ones. `begun`: the run
        has learned something, or has had the time; large norms before that say nothing.
        """
        if norm - norm != 0.0:
            return self._overflow(step) if loss_finite else []
        self.longest_clean = max(self.longest_clean, self.overflowed)
        self.overflowed = 0
        if norm <= 0.0:
            return []
        value, level = log(norm), self.level
        found = []
        limit = min(level.limit, level.level + level.tail * level.noise + BEYOND)
        if begun and value > limit and not level.raised:
            self.above += 1
            self.above_since = step if self.above == 1 else self.above_since
            if self.above in (1, 3):
                confidence = confidence_of(value - level.level, limit - level.level, least=0.4 + 0.1 * self.above)
                found = [self._tell("gradient_explosion", step, self.above_since, self.above, confidence, norm)]
        if level.push(step, value):
            found = found + self._block(step, loss_fell, begun)
        return found

    def _overflow(self, step: int) -> list[Finding]:
        self.overflowed += 1
        if self.overflowed == 1:
            self.overflowed_since = step
        needed = SKIPPED if self.level.blocks or self.level.block else SEARCHED
        if self.overflowed <= self.longest_clean or not doubled(self.overflowed, needed):
            return []
        confidence = 0.5 if self.overflowed == needed else 0.95
        seen = {"steps_in_a_row": float(self.overflowed), "longest_before": float(self.longest_clean)}
        return [
            Finding(symptom="overflow_skipping", stream="grad_norm", step=step, since=self.overflowed_since,
                    lasted=self.overflowed, confidence=confidence, evidence=seen)
        ]  # fmt: skip

    def _block(self, step: int, loss_fell: bool, begun: bool) -> list[Finding]:
        level = self.level
        if level.raised and begun and doubled(level.raised, RAISED_BLOCKS):
            confidence = confidence_of(level.last - level.level, level.ceiling - level.level, least=0.6)
            confidence = min(confidence, 0.5) if loss_fell else confidence
            since = min(level.since, self.above_since) if self.above else level.since
            return [self._tell("gradient_explosion", step, since, level.raised * BLOCK, confidence, exp(level.last))]
        gone = level.level - level.last > GONE
        if level.dropped and doubled(level.dropped, DROPPED_BLOCKS) and (gone or not loss_fell):
            confidence = confidence_of(level.level - level.last, level.level - level.floor, least=0.6)
            confidence = min(confidence, 0.6) if loss_fell else confidence  # training goes on all the same
            return [
                self._tell("gradient_vanishing", step, level.since, level.dropped * BLOCK, confidence, exp(level.last))
            ]
        if not level.raised and not level.dropped:
            self.above = 0
        return []

    def _tell(self, symptom: Symptom, step: int, since: int, lasted: int, confidence: float, norm: float) -> Finding:
        seen = {"norm": norm, "before": exp(self.level.level)}
        return Finding(
            symptom=symptom,
            stream="grad_norm",
            step=step,
            since=since,
            lasted=lasted,
            confidence=confidence,
            evidence=seen,
        )

"""Signs in the times of steps and of loading: slow steps (a straggler, a throttled device) and a slow loader."""

from dataclasses import dataclass, field
from math import exp, log
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, confidence_of, doubled
from secondshift.policies.captain.symptoms.levels import BLOCK, Level

SLOWER = log(1.25)  # least lasting rise of the step time
LOADING = log(1.5)  # least lasting rise of the loading time
STEP_BLOCKS, DATA_BLOCKS = 6, 3
SHARE = 0.1  # of a step that more loading must cost
STARTED = 3  # blocks: the first steps of a process are slower, and say little
EXPLAINED = 0.5  # share of a rise of the step time that loading explains


@dataclass(slots=True)
class Timing:
    """Constant-size memory of step and loading times, in logarithms."""

    steps: Level = field(default_factory=lambda: Level(least_shift=SLOWER))
    data: Level = field(default_factory=lambda: Level(least_shift=LOADING))

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self.steps.copy(), self.data.copy())

    def announce(self) -> None:
        """A change is planned from here on."""
        self.steps.forget()
        self.data.forget()

    def step_s(self) -> float:
        """What a step takes now (s), since the last announced change; 0.0 where that is not known yet."""
        return exp(self.steps.last) if self.steps.blocks >= STARTED else 0.0

    def push(self, step: int, step_s: float | None, data_s: float | None) -> list[Finding]:
        """Take the time of one step and, where it is known, the part of it that was loading."""
        found = []
        if data_s is not None and data_s > 0.0 and self.data.push(step, log(data_s)):
            found = self._loading(step)
        if step_s is not None and step_s > 0.0 and self.steps.push(step, log(step_s)):
            found = found + self._slow(step)
        return found

    def _more_loading(self) -> float:
        return exp(self.data.last) - exp(self.data.level) if self.data.raised else 0.0

    def _loading(self, step: int) -> list[Finding]:
        data, usual = self.data, exp(self.steps.level)
        more = self._more_loading()
        if not doubled(data.raised, DATA_BLOCKS) or more < SHARE * usual:
            return []
        seen = {"data_time_s": exp(data.last), "before_s": exp(data.level), "step_time_before_s": usual}
        confidence = confidence_of(data.last - data.level, data.ceiling - data.level, least=0.6)
        return [Finding(symptom="slow_loader", stream="data_time", step=step, since=data.since, lasted=data.raised * BLOCK,
                        confidence=confidence, evidence=seen)]  # fmt: skip

    def _slow(self, step: int) -> list[Finding]:
        steps = self.steps
        if not doubled(steps.raised, STEP_BLOCKS):
            return []
        now, before = exp(steps.last), exp(steps.level)
        if self._more_loading() > EXPLAINED * (now - before):
            return []
        confidence = confidence_of(steps.last - steps.level, steps.ceiling - steps.level, least=0.6)
        seen = {"step_time_s": now, "before_s": before, "times": now / before}
        return [Finding(symptom="slow_steps", stream="step_time", step=step, since=steps.since, lasted=steps.raised * BLOCK,
                        confidence=confidence, evidence=seen)]  # fmt: skip

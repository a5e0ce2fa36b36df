"""Gives each point its step: the one that its line names, or one that is counted."""

from dataclasses import dataclass, field

from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.numbers import IGNORED, StepFinder


@dataclass(slots=True)
class Steps:
    """What must be known of the lines so far to give the next point its step. A function of the bytes before it."""

    first: int = 0  # the step at which counting begins: what a resumed attempt has behind it
    named: int = -1  # the step that the stream named last
    last: dict[str, int] = field(default_factory=dict)  # metric -> its newest step
    counted: set[str] = field(default_factory=set)  # metrics whose steps were fractions once: counted for good

    def copy(self) -> "Steps":
        """Return one that goes its own way."""
        return Steps(first=self.first, named=self.named, last=dict(self.last), counted=set(self.counted))

    def record(
        self, items: list[tuple[str, float]], step: int | None, fraction: bool, finder: StepFinder, into: Columns
    ) -> None:
        """Put the values of one line into `into`; those that name a step are no metrics.

        A value without a step of its own belongs to the step named last, or comes one after its metric's newest.
        """
        if step is not None:
            self.named = max(step, -1)
        for name, value in items:
            if finder.is_step(name) or name in IGNORED or name.endswith(".py"):
                continue
            name = name[:MAX_NAME]
            newest = self.last.get(name)
            if newest is None and len(self.last) >= MAX_NAMES:
                into.leave_out(f"more than {MAX_NAMES} different names of metrics")
                continue
            if fraction:
                self.counted.add(name)
            if step is not None and name not in self.counted:
                at = step
            else:
                after = self.first if newest is None else newest + 1
                named = self.named >= 0 and name not in self.counted
                at = max(self.named, 0 if newest is None else after) if named else after
            self.last[name] = at
            into.add(name, at, value)

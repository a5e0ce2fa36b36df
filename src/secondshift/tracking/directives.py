"""What the captain asks this attempt to do otherwise. Using a directive is how a script says that it follows it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import inf


class Directives:
    """The directives of an order; the fields mean what `secondshift.records.trials.Directives` says.

    `tell(directive=..., value=..., step=...)` is called once for each one that the script used: for a range of steps to
    skip at the first of them that is asked about, for the others when they are first read.
    """

    __slots__ = ("_fresh_loader", "_lr_scale", "_skip", "_told", "tell")

    def __init__(self, values: dict) -> None:
        """Take the `directives` of an order.json. Raises ValueError or TypeError for what they cannot mean."""
        self.tell: Callable[..., object] = _nobody
        self._told: set[tuple[str, str]] = set()
        self._skip = tuple(sorted({_range(pair) for pair in values.get("skip", ())}))
        self._lr_scale = float(values.get("lr_scale", 1.0))
        if not 0.0 < self._lr_scale < inf:
            raise ValueError(f"lr_scale was {self._lr_scale}, expected a positive number; it multiplies learning rates")
        self._fresh_loader = operator.index(values.get("fresh_loader", 0))

    def skips(self, step: int) -> bool:
        """Say whether `step` is to be left out."""
        if not self._skip:
            return False
        step = operator.index(step)
        found = [pair for pair in self._skip if pair[0] <= step < pair[1]]
        for first, end in found:
            self._say("skip", f"{first}:{end}", step)
        return bool(found)

    def lr_scale(self, step: int) -> float:
        """Return the factor for learning rates. `step`: steps done by now."""
        if self._lr_scale != 1.0:
            self._say("lr_scale", repr(self._lr_scale), step)
        return self._lr_scale

    def fresh_loader(self, step: int) -> int:
        """Return how often the loader was asked to be started afresh. `step`: steps done by now."""
        if self._fresh_loader:
            self._say("fresh_loader", str(self._fresh_loader), step)
        return self._fresh_loader

    def _say(self, directive: str, value: str, step: int) -> None:
        if (directive, value) not in self._told:
            self._told.add((directive, value))
            self.tell(directive=directive, value=value, step=step)


def _nobody(**_: object) -> None:
    """Hear nothing: outside a study nobody waits for an answer."""


def _range(pair: object) -> tuple[int, int]:
    first, end = map(operator.index, pair)  # type: ignore[call-overload]  # what is no pair of numbers raises
    if not 0 <= first < end:
        raise ValueError(f"a range of steps to skip was [{first}, {end}), expected 0 <= first < end")
    return first, end

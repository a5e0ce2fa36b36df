"""What a trial's objective was, step by step: given by the engine to deciders that ask for it."""

from dataclasses import dataclass

PLACES = 200  # stretches of the horizon; of each the newest point is kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """The objective of one trial, in its own unit; NaN and infinities included."""

    steps: tuple[int, ...] = ()  # done when the value was logged, from 1, ascending; at most PLACES of them
    values: tuple[float, ...] = ()  # as many

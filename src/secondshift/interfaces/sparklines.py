"""A curve in one line of text, for terminals. Apart from the plots of the brief, which load far more."""

import math
from collections.abc import Sequence


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """A curve in one line of block characters, for terminals; a gap where a value is not finite."""
    if not len(values):
        return ""
    picked = [values[i * len(values) // min(width, len(values))] for i in range(min(width, len(values)))]
    finite = [v for v in picked if math.isfinite(v)]
    if not finite:
        return "·" * len(picked)
    return blocks(picked, min(finite), max(finite))


def blocks(values: Sequence[float | None], low: float, high: float) -> str:
    """Values between two levels as block characters; a dot where one is not finite, a blank where there is none."""
    heights = "▁▂▃▄▅▆▇█"
    scale = (len(heights) - 1) / (high - low) if high > low else 0.0

    def block(value: float | None) -> str:
        if value is None:
            return " "
        return heights[round((value - low) * scale)] if math.isfinite(value) else "·"

    return "".join(map(block, values))

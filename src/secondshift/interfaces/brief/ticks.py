"""Where the marks of an axis lie."""

import math


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two values, about so many."""
    raw = (high - low) / max(1, about)
    if not math.isfinite(raw) or raw <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    found = [round(i * step, 12) + 0.0 for i in range(first, first + about * 3) if i * step <= high + step * 1e-9]
    return found or [low]

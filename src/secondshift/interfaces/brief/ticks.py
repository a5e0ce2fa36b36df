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


def spans(low: float, high: float) -> list[float]:
    """Round lengths of time in seconds between two values, about four: of 25 hours 6, 12, 18 and 24 hours, not 10,000 s."""
    unit = next((unit for unit in (86400.0, 3600.0, 60.0) if high - low >= 2 * unit), 1.0)
    if unit == 86400.0 or unit == 1.0:
        return [v * unit for v in ticks(low / unit, high / unit, 3 if unit == 1.0 else 4)]
    steps = (1, 2, 3, 6, 12, 24, 48) if unit == 3600.0 else (1, 2, 5, 10, 15, 20, 30, 60)
    step = unit * next(s for s in steps if s * unit * 4 >= high - low)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, first + 8) if i * step <= high * (1 + 1e-9)]

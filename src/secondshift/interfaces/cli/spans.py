"""Lengths of time and days as people type them: 90s, 30m, 2h, 1h30m, 2026-12-24."""

import re
from datetime import date

from secondshift.errors import SecondshiftError

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")


def seconds(text: str) -> float:
    """Turn "2h", "1h30m", "90s" or "7200s" into seconds. Raises SecondshiftError for anything else, and for nothing."""
    given = text.strip().lower()
    parts = _PART.findall(given)
    if not parts or _PART.sub("", given).strip():
        raise SecondshiftError(f"--for was given {text!r}. Expected a length of time such as 2h, 90m or 1h30m.")
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if total <= 0:
        raise SecondshiftError(
            f"--for was given {text!r}, which is no time at all. Expected more than zero, such as 2h."
        )
    return total


def day(text: str, option: str) -> date:
    """Turn "2026-12-24" into a day. Raises SecondshiftError for anything else."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise SecondshiftError(f"{option} was given {text!r}. Expected a day such as 2026-12-24.") from None

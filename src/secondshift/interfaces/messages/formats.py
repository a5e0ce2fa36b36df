"""How numbers, durations and moments are written in each language."""

import math
from datetime import UTC, datetime, tzinfo

from secondshift.interfaces.plain import one_line

LANGUAGES = ("en", "ko")
_UNITS = {"en": (" d", " h", " min", " s"), "ko": ("일", "시간", "분", "초")}


def number(value: float) -> str:
    """A number with four meaningful digits; whole numbers in full."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}".replace("-", "−")


def duration(seconds: float, lang: str = "en") -> str:
    """A length of time in its two largest units, such as "2 h 10 min"."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 0:
        return "−" + duration(-seconds, lang)
    d, h, m, s = _UNITS[lang]
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + s
    whole = round(seconds)
    if whole < 3600:
        parts = ((whole // 60, m), (whole % 60, s))
    elif whole < 86400 * 2:
        parts = ((whole // 3600, h), (whole % 3600 // 60, m))
    else:
        parts = ((whole // 86400, d), (whole % 86400 // 3600, h))
    return " ".join(f"{n}{unit}" for n, unit in parts if n)


def moment(at: float, lang: str = "en", zone: tzinfo | None = None, *, date: bool = True) -> str:
    """A moment (UTC seconds) on the reader's clock; `zone` None means the zone of this machine."""
    try:
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "?"
    clock = local.strftime("%H:%M:%S")
    if not date:
        return clock
    day = f"{local.month}월 {local.day}일" if lang == "ko" else f"{local.day} {local.strftime('%b')}"
    return f"{day} {clock}"


def zone_name(at: float, zone: tzinfo | None = None) -> str:
    """The reader's zone at that moment, such as "KST (UTC+09:00)"."""
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    offset = local.strftime("%z")
    named, shift = local.tzname() or "", f"UTC{offset[:3]}:{offset[3:5]}"
    return shift if not named or named.startswith("UTC") else f"{named} ({shift})"


def value(name: str, given: str | int | float, lang: str, zone: tzinfo | None = None) -> str:
    """Write a value as its name says: `_s` durations, `_at` moments, `_usd` money, `_share` parts of one."""
    if isinstance(given, str):
        return one_line(given, limit=400)
    if name.endswith("_s"):
        return duration(given, lang)
    if name.endswith("_at"):
        return moment(given, lang, zone)
    if name.endswith("_usd"):
        return f"${given:,.2f}"
    if name.endswith("_share"):
        return f"{given:.0%}"
    return number(given)

"""A brief for programs: keys, values and facts beside the sentence itself."""

import math
from datetime import tzinfo
from typing import Any

from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.records.nights import Brief


def render_json(brief: Brief, lang: str = "en", zone: tzinfo | None = None) -> dict[str, Any]:
    """A brief as plain values; numbers that JSON cannot hold are the strings "NaN", "Infinity", "-Infinity"."""
    sections = [
        {
            "key": section.key,
            "title": say(section.key, lang),
            "statements": [
                {
                    "key": s.key,
                    "text": tell(s, lang, zone=zone),
                    "values": {name: plain(value) for name, value in s.values.items()},
                    "facts": sorted(set(s.facts)),
                }
                for s in section.statements
            ],
        }
        for section in brief.sections
    ]
    return {
        "study": brief.study,
        "shift": brief.shift,
        "lang": lang,
        "written_at": brief.written_at,
        "sections": sections,
    }


def plain(value: str | int | float | None) -> str | int | float | None:
    """A value that every JSON reader takes."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value

"""Reasons that were recorded in English, said in the reader's language where their form is known; see reasons.toml."""

import re
import tomllib
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

_PLACE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
Words = Callable[[str], str]  # a name -> its word


@cache
def forms() -> tuple[tuple[re.Pattern[str], str, str], ...]:
    """Each known form: how it is recognised, the English, the Korean."""
    found = tomllib.loads(Path(__file__).with_name("reasons.toml").read_text(encoding="utf-8"))["form"]
    return tuple((_pattern(form["en"]), form["en"], form["ko"]) for form in found)


@lru_cache(maxsize=4096)
def in_korean(reason: str, word: Words) -> str:
    """Say a recorded reason in Korean; one of no known form comes back as it is."""
    for pattern, _, korean in forms():
        found = pattern.fullmatch(reason)
        if found:
            values = found.groupdict()
            said = _PLACE.sub(lambda place, values=values: _part(place[1], values[place[1]], word), korean)
            return said if reason.endswith(".") else said.rstrip(".")
    return reason


def _part(name: str, text: str, word: Words) -> str:
    if name.endswith("_reason"):
        return in_korean(text, word).rstrip(".")
    return _WORD.sub(lambda found: word(found[0]), text) if name.endswith("_words") else text


def _pattern(english: str) -> re.Pattern[str]:
    parts = _PLACE.split(english.rstrip("."))
    texts = [re.escape(part) if number % 2 == 0 else f"(?P<{part}>.+?)" for number, part in enumerate(parts)]
    return re.compile("".join(texts) + r"\.?", re.DOTALL)

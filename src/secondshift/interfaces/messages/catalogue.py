"""The one catalogue of sentences: `say(key, lang, **values)`."""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import tzinfo
from functools import cache
from pathlib import Path

from secondshift.interfaces.messages.formats import LANGUAGES, value
from secondshift.interfaces.messages.recorded import in_korean
from secondshift.records.nights import Statement

# {name} is a value; {name|trial|trials} is a word that follows the value's number.
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
RECORDED = ("reason", "finding", "action", "outcome")  # values that stand in the ledger in English; see recorded.py
PLACE = re.compile(r"\{(\w+)(?:\|([^|{}]*)\|([^|{}]*))?\}")


@cache
def sentences(lang: str) -> Mapping[str, str]:
    """All sentences of one language by their dotted keys. Raises KeyError for a language that is not spoken here."""
    if lang not in LANGUAGES:
        raise KeyError(
            f"There is no catalogue for the language {lang!r}; there is one for each of {', '.join(LANGUAGES)}."
        )
    tree = tomllib.loads(Path(__file__).with_name(f"{lang}.toml").read_text(encoding="utf-8"))
    return {f"{table}.{key}": text for table, lines in tree.items() for key, text in lines.items()}


def _korean_word(name: str) -> str:
    return sentences("ko").get(f"word.{name}", name)


def say(
    key: str,
    lang: str = "en",
    *,
    quote: Callable[[str], str] | None = None,
    zone: tzinfo | None = None,
    **values: str | int | float,
) -> str:
    """Say a sentence of the catalogue in a language; see `filled`."""
    return filled(key, values, lang, quote=quote, zone=zone)


def tell(
    statement: Statement, lang: str = "en", *, quote: Callable[[str], str] | None = None, zone: tzinfo | None = None
) -> str:
    """Say a statement of a brief or a story; see `filled`."""
    return filled(statement.key, statement.values, lang, quote=quote, zone=zone)


def filled(
    key: str,
    values: Mapping[str, str | int | float],
    lang: str,
    *,
    quote: Callable[[str], str] | None = None,
    zone: tzinfo | None = None,
) -> str:
    """Fill values into a sentence.

    `quote` escapes what was filled in (never the sentence itself); `zone` is the reader's, None for this machine's.
    Raises KeyError if there is no such sentence, or if a value it needs was not given.
    """

    def fill(place: re.Match[str]) -> str:
        name, one, many = place.groups()
        if name not in values:
            raise KeyError(f"The sentence {key!r} ({lang}) needs a value named {name!r}; given: {sorted(values)}.")
        if one is not None:
            return one if values[name] == 1 else many
        text = value(name, values[name], lang, zone)
        if name.endswith("_word"):
            text = sentences(lang).get(f"word.{text}", text)
        elif name.endswith("_words"):
            text = _NAME.sub(lambda found: sentences(lang).get(f"word.{found[0]}", found[0]), text)
        elif name in RECORDED and lang == "ko":
            text = in_korean(text, _korean_word)
        if place.string[place.end() : place.end() + 1] == ".":
            text = text.rstrip(".")  # a recorded reason may end its own sentence
        return quote(text) if quote else text

    return PLACE.sub(fill, sentences(lang)[key])

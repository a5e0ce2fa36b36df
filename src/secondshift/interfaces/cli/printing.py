"""How a verb speaks: one JSON document on standard output for programs, rich text for people."""

import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from secondshift.interfaces.messages.catalogue import tell
from secondshift.records.nights import Statement

WIDE = 400  # columns where there is no terminal


def console() -> Console:
    """The terminal. Nothing printed through it is taken for markup or highlighted by guess.

    Into a pipe or a file a sentence stays on one line, so that grep finds it.
    """
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def indented(text: Text) -> Padding:
    """A sentence set in by two, its later lines too."""
    return Padding(text, (0, 0, 0, 2), expand=False)


def document(value: Any) -> None:
    """Print one JSON document; numbers that JSON cannot hold become "NaN", "Infinity", "-Infinity"."""
    sys.stdout.write(lined(value) + "\n")
    sys.stdout.flush()


def lined(value: Any) -> str:
    """A JSON document as one line."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def line(statement: Statement, lang: str, *, cite: bool = True) -> Text:
    """A statement as text for the terminal, its facts set back."""
    text = Text(tell(statement, lang))
    if cite and statement.facts:
        text.append(f" [{cited(statement.facts)}]", style="dim")
    return text


def cited(facts: tuple[int, ...]) -> str:
    """The facts of a statement, a run of many as its first and last: e7, or e7…e31."""
    return f"e{facts[0]}" if len(facts) == 1 else f"e{facts[0]}…e{facts[-1]}"


def spoken(statements: list[Statement], lang: str) -> list[dict[str, Any]]:
    """Statements for a JSON document."""
    return [{"key": s.key, "text": tell(s, lang), "values": dict(s.values), "facts": list(s.facts)} for s in statements]

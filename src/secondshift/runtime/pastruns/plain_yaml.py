"""Reads the plain YAML that trackers write beside a run: nested mappings of single values, and nothing else of YAML."""

import json
import re
from pathlib import Path

from secondshift.records.studies import Value

MOST_BYTES = 1 << 20
_LINE = re.compile(r"(?P<indent> *)(?P<key>'[^']*'|\"[^\"]*\"|[^\s#'\"\-][^:#]*?) *:(?: +(?P<value>.*))?$")
_NULLS = frozenset(("", "null", "~", "Null", "NULL"))


def read_yaml(path: Path) -> dict[str, Value]:
    """Return the single values of a file, nested names joined by dots. Lists and what is no plain YAML are left out.

    Empty if the file cannot be read. Never raises on what it holds.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    found: dict[str, Value] = {}
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        indent, key = len(match["indent"]), match["key"].strip().strip("'\"")
        while parents and parents[-1][0] >= indent:
            parents.pop()
        value = _value((match["value"] or "").strip())
        if value is not None:
            found[".".join((*(name for _, name in parents), key))] = value
        parents.append((indent, key))
    return found


def _value(text: str) -> Value | None:
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    text = text.partition(" #")[0].rstrip()
    if text in _NULLS or text[:1] in ("&", "*", "!", "|", ">", "[", "{"):
        return None
    return plain(text)


def plain(text: str) -> Value:
    """Read a word as a truth value or a number where it is written as one, else as text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text

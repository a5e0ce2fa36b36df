"""Placeholders: filled in once in each argument of a template, never split again, never given to a shell."""

import re
from collections.abc import Iterator, Mapping

from secondshift.records.studies import Study, Value

PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}|[{}]|[^{}]+")


def words(study: Study, template: list[str], values: Mapping[str, Value]) -> list[str]:
    """Fill in arguments. `{name}` stands for a parameter, the seed, a path; `{{` and `}}` are braces.

    An argument that names a parameter which is not in `values` is left out, and so is a flag (an argument that begins
    with `-`) right before it if the argument is that placeholder alone.
    """
    inactive = {parameter.name for parameter in study.space.parameters} - values.keys()
    filled: list[str] = []
    flag_before = False  # the argument before this one is a flag that may go with it
    for word in template:
        if inactive.intersection(placeholders(word)):
            if flag_before and placeholders(word) and word == "{" + next(iter(placeholders(word))) + "}":
                filled.pop()
            flag_before = False
            continue
        filled.append("".join(_filled(word, values)))
        flag_before = word.startswith("-") and not placeholders(word) and "=" not in word
    return filled


def placeholders(word: str) -> tuple[str, ...]:
    """List the names in braces of an argument, in order."""
    return tuple(found[1] for found in PIECE.finditer(word) if found[1])


def _filled(word: str, values: Mapping[str, Value]) -> Iterator[str]:
    for piece in PIECE.finditer(word):
        if piece[1]:
            yield spelled(values[piece[1]])
        else:
            yield {"{{": "{", "}}": "}"}.get(piece.group(), piece.group())


def spelled(value: Value) -> str:
    """Write a value as an argument or a variable: true and false in small letters, a float with all its digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)

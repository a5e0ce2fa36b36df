"""Parameters as a JSON, YAML or TOML text that the usual libraries read back to the very same values."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from secondshift.records.studies import Value

Tree = dict[str, Any]  # values and further trees


def write_parameters(params: Mapping[str, Value | None], file: str, *, nested: bool) -> str:
    """Give the text of a file, in the format that its name ends with; "a.b" is b in a where `nested`.

    None is null in JSON and YAML, and left out in TOML, which has no word for it. Raises ValueError where a name is a
    value and a table at once.
    """
    tree = _tree(params) if nested else dict(params)
    if file.endswith(".json"):
        return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"
    if file.endswith(".toml"):
        return "".join(f"{'.'.join(map(_quoted, path))} = {text}\n" for path, text in _lines(tree, ()))
    return _yaml(tree, 0) or "{}\n"


def clash(names: list[str]) -> tuple[str, str] | None:
    """Find a name that would be a value and a table at once in a nested file ("a" and "a.b")."""
    known = set(names)
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts)):
            if ".".join(parts[:count]) in known:
                return ".".join(parts[:count]), name
    return None


def _tree(params: Mapping[str, Value | None]) -> Tree:
    if found := clash(list(params)):
        raise ValueError(
            f"{found[0]} is a value and, by {found[1]}, a table. Rename one, or set [params] nested = false."
        )
    tree: Tree = {}
    for name, value in params.items():
        *above, last = name.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def _lines(tree: Tree, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    lines = []
    for name, value in tree.items():
        if isinstance(value, dict):
            lines += _lines(value, (*above, name))
        elif value is not None:
            lines.append(((*above, name), _toml(value)))
    return lines


def _toml(value: Value) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _yaml(tree: Tree, depth: int) -> str:
    text = ""
    for name, value in tree.items():
        text += "  " * depth + _quoted(name) + ":"
        text += "\n" + _yaml(value, depth + 1) if isinstance(value, dict) else f" {_yaml_value(value)}\n"
    return text


def _yaml_value(value: Value | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        digits, e, power = repr(value).partition("e")
        return digits + (".0" if e and "." not in digits else "") + e + power  # YAML 1.1 takes 1e-05 for a text
    return _toml(value)


def _quoted(text: str) -> str:
    """Quote a text by rules that TOML and YAML share with JSON; what cannot be printed is escaped."""
    shown = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found.group()):04x}", shown)

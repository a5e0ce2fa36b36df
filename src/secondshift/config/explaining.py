"""What the type checker found, said in words a person can act on."""

from collections.abc import Mapping
from typing import Any

from secondshift.config.mistakes import NOTHING, Given, Notebook, nearest
from secondshift.config.tables import TABLES, StudyFile, keys_of, table_at

_TYPES = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
    "date_type": "a day without quotes, such as 2026-12-24",
    "string_too_short": "a text that is not empty",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_MISSING = {
    ("command",): 'command = "python train.py --lr {lr}" above the first [table]',
    ("objective",): '[objective] with metric = "val_loss"',
    ("objective", "metric"): 'metric = "val_loss", the name as the script prints or logs it',
    ("horizon",): "[horizon] with steps = 20000, the steps of a full trial",
    ("horizon", "steps"): "steps = 20000, the steps of a full trial",
}


def explain(detail: Mapping[str, Any], notes: Notebook) -> None:  # Any: an error of pydantic
    """Note one error of the type checker as a mistake."""
    path, kind, given = tuple(detail["loc"]), detail["type"], detail.get("input")
    context = detail.get("ctx", {})
    if kind == "missing":
        notes.add(path, got=NOTHING, expected=_MISSING.get(path, "a value"))
    elif kind == "extra_forbidden":
        _unknown(path, notes)
    elif kind in _TYPES:
        notes.add(path, got=_shown(given), expected=_TYPES[kind])
    elif kind in _LIMITS:
        limit, word = _LIMITS[kind]
        notes.add(path, got=given, expected=f"{word} {context[limit]:g}")
    elif kind == "literal_error":
        expected = str(context["expected"]).replace("'", '"')
        choices = expected.replace(" or ", ", ").replace('"', "").split(", ")
        notes.add(path, got=given, expected=expected, advice=nearest(str(given), choices))
    elif kind == "value_error":
        notes.add(path, got=given, expected=str(context["error"]))
    else:
        notes.add(path, got=_shown(given), expected=detail["msg"].removeprefix("Input should be "))


def _unknown(path: tuple[str | int, ...], notes: Notebook) -> None:
    name = str(path[-1])
    known = keys_of(table_at(path))
    elsewhere = [other for other, model in TABLES.items() if name in keys_of(model)]
    if name in StudyFile.model_fields:
        advice = "It belongs above the first [table]."
    elif elsewhere and not nearest(name, known):
        advice = f"It belongs into [{elsewhere[0]}]."
    else:
        advice = nearest(name, known)
    got = Given(f"the unknown key `{name}`")
    notes.add(path, got=got, expected="one of " + ", ".join(known), advice=advice)


def _shown(given: object) -> object:
    return Given("a table") if isinstance(given, dict) else given

"""[search] and `constraints`: what was written becomes a space, and every mistake in it is explained."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from secondshift.config.commands import RESERVED
from secondshift.config.mistakes import Given, Notebook, nearest
from secondshift.policies.models.axes import describe, holds
from secondshift.policies.models.constraints import ConstraintInvalid, read_constraint
from secondshift.policies.models.spaces import region
from secondshift.records.studies import Parameter, Space, Value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LARGEST = 2**53  # beyond it a float skips whole numbers
_RANGE_KEYS = ("low", "high", "log", "step", "kind", "default", "when")
_CHOICE_KEYS = ("choices", "default", "when")
_FORMS = "a list of choices such as [128, 256], or a range such as { low = 1e-5, high = 1e-2, log = true }"


def read_space(search: Mapping[str, Any], constraints: list[str], notes: Notebook) -> Space:
    """Make the space; what is wrong is put into `notes` and left out."""
    found: dict[str, Parameter] = {}
    for name, raw in search.items():
        parameter = _parameter(name, raw, notes)
        if parameter is not None:
            found[name] = parameter
    for name, raw in search.items():
        if name in found and isinstance(raw, dict) and "when" in raw:
            when = _when(name, raw["when"], search.keys(), found, notes)
            found[name] = replace(found[name], when=when)
    _circles(found, notes)
    kept = tuple(text for number, text in enumerate(constraints) if _constraint(number, text, search, found, notes))
    space = Space(parameters=tuple(found.values()), constraints=kept)
    if not notes.found:
        _check_baseline(space, constraints, notes)
    return space


def _parameter(name: str, raw: object, notes: Notebook) -> Parameter | None:
    path = ("search", name)
    before = len(notes.found)
    if name in RESERVED:
        advice = "Every trial gets its own seed; it is never searched." if name == "seed" else "Choose another name."
        notes.add(
            path, got=Given(f"a parameter named {name}"), expected="a name that is not a placeholder", advice=advice
        )
    elif name == "constraints":
        advice = "Move it above the first [table]; below [search] it would be a parameter."
        notes.add(path, got=Given("`constraints` inside [search]"), expected="it at the top of the file", advice=advice)
    elif name == "among" and isinstance(raw, str):
        advice = "Move it above the first [table]; below [search] it would be a parameter."
        notes.add(path, got=Given("`among` inside [search]"), expected="it at the top of the file", advice=advice)
        return None
    elif not _NAME.fullmatch(name):
        expected = "a name of letters, digits, _ . and -, that begins with a letter"
        notes.add(path, got=Given(f'a parameter named "{name}"'), expected=expected)
    if isinstance(raw, list):
        raw = {"choices": raw}
    if not isinstance(raw, dict):
        advice = f"To keep it fixed, write {name} = [{raw!r}]." if isinstance(raw, int | float) else ""
        notes.add(path, got=raw, expected=_FORMS, advice=advice)
        return None
    known = _CHOICE_KEYS if "choices" in raw else _RANGE_KEYS
    for key in raw:
        if key not in known:
            expected = "one of " + ", ".join(known)
            notes.add((*path, key), got=Given(f"`{key}`"), expected=expected, advice=nearest(key, known))
    parameter = _categorical(name, raw, notes) if "choices" in raw else _range(name, raw, notes)
    if parameter is None or len(notes.found) > before:
        return None
    return _with_default(parameter, raw, notes)


def _categorical(name: str, raw: Mapping[str, Any], notes: Notebook) -> Parameter | None:
    path, choices = ("search", name, "choices"), raw["choices"]
    if not isinstance(choices, list) or not choices:
        notes.add(path, got=choices, expected="a list with at least one choice, such as [128, 256]")
        return None
    seen: list[object] = []
    for number, choice in enumerate(choices):
        if not _is_value(choice):
            notes.add((*path, number), got=choice, expected="a text, a number, true or false")
        elif any(choice == other and isinstance(choice, bool) == isinstance(other, bool) for other in seen):
            notes.add((*path, number), got=choice, expected="each choice once")
        seen.append(choice)
    return Parameter(name=name, kind="categorical", choices=tuple(choices))


def _range(name: str, raw: Mapping[str, Any], notes: Notebook) -> Parameter | None:
    path = ("search", name)
    ends: dict[str, float] = {}
    for key in ("low", "high", "step"):
        value = raw.get(key)
        if value is None and key == "step":
            continue
        if value is None:
            notes.add(path, got=Given(f"no `{key}`"), expected=_FORMS)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            notes.add((*path, key), got=value, expected="a finite number")
        else:
            ends[key] = value
    log, kind = raw.get("log", False), raw.get("kind")
    if not isinstance(log, bool):
        notes.add((*path, "log"), got=log, expected="true or false")
    if kind not in (None, "float", "int"):
        notes.add((*path, "kind"), got=kind, expected='"float" or "int"')
        return None
    if "low" not in ends or "high" not in ends:
        return None
    whole = all(isinstance(end, int) for end in ends.values())
    _check_ends(path, ends, bool(log), kind, whole, notes)
    if kind == "int" or (kind is None and whole):
        step = ends.get("step")
        return Parameter(name=name, kind="int", low=ends["low"], high=ends["high"], log=bool(log), step=step)
    step = float(ends["step"]) if "step" in ends else None
    return Parameter(
        name=name, kind="float", low=float(ends["low"]), high=float(ends["high"]), log=bool(log), step=step
    )


def _check_ends(
    path: tuple[str, str], ends: Mapping[str, float], log: bool, kind: object, whole: bool, notes: Notebook
) -> None:
    low, high, step = ends["low"], ends["high"], ends.get("step")
    if low >= high:
        advice = "Swap them." if low > high else f"To keep it fixed, write {path[1]} = [{low!r}]."
        notes.add((*path, "low"), got=Given(f"low = {low!r} and high = {high!r}"), expected="low < high", advice=advice)
    if log and low <= 0:
        advice = "Raise low, or take log away."
        notes.add((*path, "low"), got=Given(f"log = true with low = {low!r}"), expected="low > 0", advice=advice)
    if whole and max(abs(low), abs(high)) > _LARGEST:
        notes.add((*path, "high"), got=Given(f"{low!r} to {high!r}"), expected="whole numbers up to 2^53 in size")
    if kind == "int" and not whole:
        notes.add((*path, "kind"), got=Given('kind = "int" with ends that are not whole'), expected="whole numbers")
    if step is not None and (step <= 0 or step > high - low > 0):
        expected = f"more than 0 and at most high - low = {high - low:g}"
        notes.add((*path, "step"), got=Given(f"step = {step!r}"), expected=expected)


def _with_default(parameter: Parameter, raw: Mapping[str, Any], notes: Notebook) -> Parameter:
    default = raw.get("default")
    if default is None:
        return parameter
    if parameter.kind == "float" and isinstance(default, int) and not isinstance(default, bool):
        default = float(default)
    if not _is_value(default) or not holds(parameter, default):
        advice = "The baseline must be one of the candidates."
        notes.add(("search", parameter.name, "default"), got=default, expected=describe(parameter), advice=advice)
        return parameter
    return replace(parameter, default=default)


def _when(
    name: str, raw: object, names: Any, found: Mapping[str, Parameter], notes: Notebook
) -> dict[str, tuple[Value, ...]]:  # names: the keys of [search]
    path = ("search", name, "when")
    if not isinstance(raw, dict) or not raw:
        notes.add(path, got=raw, expected='parents and their values, such as { optimizer = ["sgd"] }')
        return {}
    when: dict[str, tuple[Value, ...]] = {}
    for parent, given in raw.items():
        values = tuple(given) if isinstance(given, list) else (given,)
        if parent not in names or parent == name:
            got = Given(f"`when` names {parent}" + (" itself" if parent == name else ""))
            others = [other for other in names if other != name]
            expected = "another parameter of [search]: " + (", ".join(others) or "there is none")
            notes.add((*path, parent), got=got, expected=expected, advice=nearest(parent, others))
        elif parent in found and found[parent].kind == "float":
            expected = "a parent with choices or whole numbers"
            notes.add((*path, parent), got=Given(f"`when` names {parent}, a continuous parameter"), expected=expected)
        elif parent in found:
            wrong = next((v for v in values if not _is_value(v) or not holds(found[parent], v)), None)
            if wrong is not None or not values:
                got = given if wrong is None else wrong
                notes.add((*path, parent), got=got, expected=f"{parent} to be {describe(found[parent])}")
            when[parent] = values
    return when


def _circles(found: Mapping[str, Parameter], notes: Notebook) -> None:
    """Name the parameters whose conditions lead back to themselves."""
    rest = dict(found)
    while True:
        ready = [name for name, p in rest.items() if not any(parent in rest for parent in p.when)]
        if not ready:
            break
        for name in ready:
            del rest[name]
    if rest:
        first = next(iter(rest))
        got = Given("the `when` of " + ", ".join(rest) + " go round in a circle")
        notes.add(("search", first, "when"), got=got, expected="a parent that depends on none of them")


def _constraint(
    number: int, text: str, search: Mapping[str, Any], found: Mapping[str, Parameter], notes: Notebook
) -> bool:
    path = ("constraints", number)
    try:
        constraint = read_constraint(text)
    except ConstraintInvalid as error:
        notes.add(path, got=text, expected='a condition such as "width * depth <= 4096"', advice=f"Here {error}.")
        return False
    unknown = sorted(constraint.names - search.keys())
    for name in unknown:
        expected = "parameters of [search]: " + (", ".join(search) or "there is none")
        notes.add(path, got=Given(f"`{text}`, which names {name}"), expected=expected, advice=nearest(name, search))
    return not unknown


def _check_baseline(space: Space, constraints: list[str], notes: Notebook) -> None:
    ground = region(space)
    params = ground.defaults()
    broken = ground.broken(params) if params is not None else ""
    if broken:
        shown = ", ".join(f"{name} = {value!r}" for name, value in (params or {}).items())
        advice = "The baseline must be one of the candidates: change a default, or the constraint."
        got = Given(f"defaults that break it ({shown})")
        notes.add(("constraints", constraints.index(broken)), got=got, expected=f"`{broken}`", advice=advice)


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and (isinstance(value, str) or math.isfinite(value))


def read_try_first(rows: list[dict[str, Any]], space: Space, notes: Notebook) -> tuple[Mapping[str, Value], ...]:
    """Make whole candidates of what a person wants tried first: what a row leaves out has its default.

    What is wrong is put into `notes`, and then nothing is to be used.
    """
    return tuple(_row(("policy", "try_first", number), row, space, notes) for number, row in enumerate(rows))


def _row(path: tuple[str | int, ...], row: dict[str, Any], space: Space, notes: Notebook) -> Mapping[str, Value]:
    names = {parameter.name: parameter for parameter in space.parameters}
    before = len(notes.found)
    for name, value in row.items():
        if name not in names:
            expected = "parameters of [search]: " + (", ".join(names) or "there is none")
            notes.add((*path, name), got=Given(f"`{name}`"), expected=expected, advice=nearest(name, names))
        elif not _is_value(value) or not holds(names[name], value):
            notes.add((*path, name), got=value, expected=describe(names[name]))
    if len(notes.found) > before:
        return {}
    given = {n: float(v) if names[n].kind == "float" and not isinstance(v, str) else v for n, v in row.items()}
    defaults = {p.name: p.default for p in space.parameters if p.default is not None}
    params, fault = region(space).placed({**defaults, **given})
    idle = ", ".join(sorted(given.keys() - params.keys()))
    if fault or idle:
        fault = fault or f"{idle} is not active beside the others."
        advice = "What is left out takes its default from [search]."
        notes.add(path, got=row, expected=f"a candidate of the search space, but {fault.rstrip('.')}", advice=advice)
    return params

"""Which parameters a script is tried with: a baseline, and one far change at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from secondshift.policies.models.axes import decode, encode, holds, levels
from secondshift.policies.models.spaces import Region, active, region
from secondshift.records.studies import Parameter, Study, Value

MIDDLES = (0.5, 0.25, 0.75, 0.1, 0.9)  # of every axis, until no constraint is broken
ENDS = (0.0, 1.0, 0.25, 0.75)
AWAY = 0.25  # of an axis: how far from its lower end a value may lie for the upper one to be the far one


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One parameter, far from where it was."""

    name: str
    number: int  # from 1
    params: Mapping[str, Value] = field(default_factory=dict)  # all of them


def baseline(study: Study) -> dict[str, Value]:
    """What the script is tried with: the defaults, as a night's baseline, and the middle of an axis that has none.

    A cooperative script has defaults of its own: without defaults in the study it is told nothing. A parameter on which
    others depend is set so that they take part.
    """
    ground = region(study.space)
    named = any(f"{{{parameter.name}}}" in study.command for parameter in ground.parameters)
    if study.tier == "cooperative" and not named and ground.baseline() is None:
        return {}
    found = [_filled(ground, middle) for middle in MIDDLES]
    return next((params for params in found if not ground.broken(params)), found[0])


def changes(
    study: Study, base: Mapping[str, Value], resolved: Mapping[str, Value], most: int
) -> tuple[list[Change], tuple[str, ...]]:
    """Change each parameter alone, as far as its axis allows; give also the names of those that are left out.

    resolved: what a cooperative script said it took where it was told nothing.
    """
    ground = region(study.space)
    found: list[Change] = []
    left: list[str] = []
    for parameter in ground.parameters:
        params = _changed(ground, parameter, base, resolved) if len(found) < most else None
        if params is None:
            left.append(parameter.name)
        else:
            found.append(Change(name=parameter.name, number=len(found) + 1, params=params))
    return found, tuple(left)


def elsewhere(
    study: Study, base: Mapping[str, Value], resolved: Mapping[str, Value], change: Change, number: int
) -> Change | None:
    """Give the same parameter the next far value of its axis, often the other end; None if there is none."""
    ground = region(study.space)
    (parameter,) = (known for known in ground.parameters if known.name == change.name)
    params = _changed(ground, parameter, base, resolved, (change.params[change.name],))
    return None if params is None else Change(name=change.name, number=number, params=params)


def _filled(ground: Region, middle: float) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for parameter in ground.parameters:
        if active(parameter, params):
            params[parameter.name] = _opened(ground, parameter, _first_value(parameter, middle))
    return params


def _first_value(parameter: Parameter, middle: float) -> Value:
    return decode(parameter, middle) if parameter.default is None else parameter.default


def _opened(ground: Region, parameter: Parameter, value: Value) -> Value:
    """The value, or one with which a parameter that depends on it takes part, if none does with this one."""
    wanted = [child.when[parameter.name] for child in ground.parameters if parameter.name in child.when]
    if not wanted or any(value in values for values in wanted):
        return value
    return next((choice for values in wanted for choice in values if holds(parameter, choice)), value)


def _changed(
    ground: Region, parameter: Parameter, base: Mapping[str, Value], resolved: Mapping[str, Value],
    tried: tuple[Value, ...] = (),
) -> dict[str, Value] | None:
    now = base.get(parameter.name, resolved.get(parameter.name))
    parents = {} if active(parameter, base) else _parents(ground, parameter)
    if parents is None:
        return None
    for value in (far for far in _far(parameter, now) if far not in tried):
        params = {**base, **parents, parameter.name: value}
        for child in ground.parameters:  # a value may switch others off, or on
            if child.when and not active(child, params):
                params.pop(child.name, None)
        if parameter.name in params and not ground.broken({**resolved, **params}):
            return params
    return None


def _parents(ground: Region, parameter: Parameter) -> dict[str, Value] | None:
    """Values with which a parameter takes part; None if there are none."""
    by_name = {known.name: known for known in ground.parameters}
    found: dict[str, Value] = {}
    for name, values in parameter.when.items():
        value = next((choice for choice in values if holds(by_name[name], choice)), None)
        further = _parents(ground, by_name[name])
        if value is None or further is None:
            return None
        found |= {**further, name: value}
    return found


def _far(parameter: Parameter, now: Value | None) -> Iterator[Value]:
    """Other values of an axis, the far ones first. Of two ends the lower one, where it is far enough: it costs less."""
    if parameter.kind == "categorical":
        yield from (choice for choice in reversed(parameter.choices) if choice != now)
        return
    place = encode(parameter, now) if now is not None and holds(parameter, now) else 0.5
    count = levels(parameter)
    ends = ENDS if place >= AWAY else (1.0, 0.75, 0.0)
    if count is not None and not parameter.log:
        ends = tuple(min(max(end, 0.5 / count), 1 - 0.5 / count) for end in ends)
    exact: dict[float, Value] = {0.0: float(parameter.low), 1.0: float(parameter.high)} if count is None else {}
    yield from (value for value in (exact.get(end, decode(parameter, end)) for end in ends) if value != now)

"""The search space, made ready for drawing: what is active, what is allowed, and points from and to the unit cube."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondshift.policies.models.axes import decode, describe, encode, holds
from secondshift.policies.models.constraints import Constraint, read_constraint
from secondshift.records.studies import Parameter, Space, Value

LISTED = "among"  # what a candidate breaks that is not in the list of all
INACTIVE = 0.5  # where an inactive parameter stands in the unit cube


class SpaceInvalid(ValueError):
    """The conditions between parameters of a search space form a circle or name a parameter that is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A space with its parameters in an order in which parents come before those that depend on them."""

    parameters: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...] = ()
    among: tuple[Mapping[str, Value], ...] = ()  # the only candidates there are; empty: all points of the axes

    def decode(self, point: Sequence[float]) -> dict[str, Value]:
        """Turn a point of the unit cube (a number per parameter, in order) into parameters; constraints may break."""
        params: dict[str, Value] = {}
        for parameter, u in zip(self.parameters, point, strict=True):
            if not parameter.when or active(parameter, params):
                params[parameter.name] = decode(parameter, u)
        return params

    def encode(self, params: Mapping[str, Value]) -> tuple[float, ...]:
        """Turn parameters into a point of the unit cube that `decode` turns back; ValueError outside the axes."""
        return tuple(encode(p, params[p.name]) if p.name in params else INACTIVE for p in self.parameters)

    def broken(self, params: Mapping[str, Value]) -> str:
        """Give the text of the first constraint that does not hold; empty if all do. Of a finite list, being in it is one."""
        broken = next((c.text for c in self.constraints if not c.holds(params)), "")
        return broken or (LISTED if self.among and params not in self.among else "")

    def placed(self, given: Mapping[str, Value]) -> tuple[dict[str, Value], str]:
        """Keep the values of parameters that are active among those given, and say in a sentence why they are no candidate.

        The sentence is empty if they are one.
        """
        params: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.name in given and active(parameter, params):
                params[parameter.name] = given[parameter.name]
        return params, self.fault(params)

    def fault(self, params: Mapping[str, Value]) -> str:
        """Say in a sentence why these parameters are no candidate of the space; empty if they are one."""
        known = {p.name for p in self.parameters}
        for name in params:
            if name not in known:
                return f"{name} is not a parameter of the space; expected one of {', '.join(sorted(known)) or 'none'}."
        for parameter in self.parameters:
            name = parameter.name
            if not active(parameter, params):
                if name in params:
                    return f"{name} is given, but it is only active when {_conditions(parameter)}."
            elif name not in params:
                return f"{name} is missing; expected {describe(parameter)}."
            elif not holds(parameter, params[name]):
                return f"{name} = {params[name]!r} is outside its axis; expected {describe(parameter)}."
        broken = self.broken(params)
        if broken == LISTED:
            return f"it is none of the {len(self.among)} candidates that `among` lists."
        return f"the constraint `{broken}` does not hold." if broken else ""

    def defaults(self) -> dict[str, Value] | None:
        """Give the defaults of all active parameters; None if one has none."""
        params: dict[str, Value] = {}
        for parameter in self.parameters:
            if active(parameter, params):
                if parameter.default is None:
                    return None
                params[parameter.name] = parameter.default
        return params

    def baseline(self) -> dict[str, Value] | None:
        """Give the defaults as a candidate; None if an active parameter has none, or they break a constraint."""
        params = self.defaults()
        return None if params is None or self.broken(params) else params


def region(space: Space) -> Region:
    """Make a space ready. Raises SpaceInvalid for circles and unknown parents, ConstraintInvalid for constraints."""
    return Region(
        parameters=parents_first(space.parameters),
        constraints=tuple(read_constraint(text) for text in space.constraints),
        among=space.among,
    )


def active(parameter: Parameter, params: Mapping[str, Value]) -> bool:
    """Say whether a parameter takes part, given those it depends on."""
    return all(name in params and params[name] in values for name, values in parameter.when.items())


def parents_first(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Order parameters so that each follows those its `when` names. Raises SpaceInvalid if that cannot be."""
    known = {p.name for p in parameters}
    done: dict[str, Parameter] = {}
    rest = list(parameters)
    while rest:
        ready = [p for p in rest if all(name in done for name in p.when)]
        for parameter in ready:
            done[parameter.name] = parameter
        if not ready:
            names = ", ".join(p.name for p in rest)
            unknown = sorted({name for p in rest for name in p.when} - known)
            if unknown:
                raise SpaceInvalid(f"`when` names {', '.join(unknown)}, which is not a parameter (in one of {names}).")
            raise SpaceInvalid(f"The `when` of {names} go round in a circle. Take one of them away.")
        rest = [p for p in rest if p.name not in done]
    return tuple(done.values())


def _conditions(parameter: Parameter) -> str:
    return " and ".join(f"{name} is one of {list(values)}" for name, values in parameter.when.items())

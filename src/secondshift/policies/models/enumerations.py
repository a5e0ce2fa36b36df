"""Every distinct point of a finite space, numbered, so that a searcher can walk through them without remembering."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from secondshift.policies.models.axes import decode, index_of, level, levels
from secondshift.policies.models.spaces import Region, active
from secondshift.records.studies import Parameter, Value

MAX_BLOCKS = 4096  # combinations of parent values; a space with more is treated as endless


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """All points that agree on the parameters others depend on."""

    parents: Mapping[str, Value]
    free: tuple[tuple[Parameter, int], ...]  # the other active parameters, each with how many values it takes
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Enumeration:
    """The points of a space in a fixed order, constraints not yet applied."""

    blocks: tuple[Block, ...]
    ends: tuple[int, ...]  # number of points up to and with each block

    @property
    def size(self) -> int:
        """How many points there are."""
        return self.ends[-1]

    def at(self, position: int) -> dict[str, Value]:
        """Give the point with this number, from 0. Raises IndexError past the end."""
        if not 0 <= position < self.size:
            raise IndexError(f"Point {position} of {self.size}. Expected 0 to {self.size - 1}.")
        number = bisect_right(self.ends, position)
        block = self.blocks[number]
        rest = position - (self.ends[number] - block.size)
        params = dict(block.parents)
        for parameter, count in reversed(block.free):
            rest, index = divmod(rest, count)
            params[parameter.name] = level(parameter, index)
        return params

    def position(self, params: Mapping[str, Value]) -> int | None:
        """Find the number of a point; None if it is not one of them."""
        for block, end in zip(self.blocks, self.ends, strict=True):
            names = {*block.parents, *(parameter.name for parameter, _ in block.free)}
            if set(params) != names or any(params[name] != value for name, value in block.parents.items()):
                continue
            found = 0
            for parameter, count in block.free:
                index = index_of(parameter, params[parameter.name])
                if index is None:
                    return None
                found = found * count + index
            return end - block.size + found
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """The points of a space that are a list of their own, in the order of the list."""

    points: tuple[Mapping[str, Value], ...]

    @property
    def size(self) -> int:
        """How many points there are."""
        return len(self.points)

    def at(self, position: int) -> dict[str, Value]:
        """Give the point with this number, from 0. Raises IndexError past the end."""
        if not 0 <= position < self.size:
            raise IndexError(f"Point {position} of {self.size}. Expected 0 to {self.size - 1}.")
        return dict(self.points[position])

    def position(self, params: Mapping[str, Value]) -> int | None:
        """Find the number of a point; None if it is not one of them."""
        return next((number for number, point in enumerate(self.points) if point == params), None)


Finite = Enumeration | Listed


def enumeration(region: Region, *, coarse: int | None = None) -> Finite | None:
    """Number the points of a space; None if it is endless.

    With `coarse`, a continuous axis, and a numeric one of more than twice as many values, takes `coarse` values
    spread evenly from end to end (in log, if it is log).
    """
    if region.among:
        return Listed(points=region.among)
    parameters = [_coarsened(p, coarse) if coarse else p for p in region.parameters]
    if any(levels(p) is None for p in parameters):
        return None
    blocks = _blocks(parameters)
    return Enumeration(blocks=blocks, ends=tuple(accumulate(b.size for b in blocks))) if blocks else None


def _coarsened(parameter: Parameter, coarse: int) -> Parameter:
    count = levels(parameter)
    if parameter.kind == "categorical" or (count is not None and count <= 2 * coarse):
        return parameter
    values = dict.fromkeys(decode(parameter, i / (coarse - 1) if coarse > 1 else 0.5) for i in range(coarse))
    return replace(parameter, kind="categorical", choices=tuple(values))


def _blocks(parameters: list[Parameter]) -> tuple[Block, ...]:
    parents = {name for parameter in parameters for name in parameter.when}
    partial: list[dict[str, Value]] = [{}]
    for parameter in parameters:
        if parameter.name not in parents:
            continue
        count = levels(parameter) or 0
        if count * len(partial) > MAX_BLOCKS:
            return ()
        partial = [
            {**params, parameter.name: level(parameter, index)} if active(parameter, params) else params
            for params in partial
            for index in range(count if active(parameter, params) else 1)
        ]
    free = [p for p in parameters if p.name not in parents]
    blocks = []
    for params in partial:
        axes = tuple((p, levels(p) or 0) for p in free if active(p, params))
        blocks.append(Block(parents=params, free=axes, size=math.prod(count for _, count in axes)))
    return tuple(blocks)

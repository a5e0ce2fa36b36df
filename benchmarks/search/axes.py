"""The parameters of instances that are made up here, as the shop asks for them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One parameter, from 0 to 1."""

    name: str
    kind: Literal["float"] = "float"
    lo: float = 0.0
    hi: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()


def unit_cube(axes: int) -> tuple[Axis, ...]:
    """So many of them: x0, x1 and on."""
    return tuple(Axis(name=f"x{place}") for place in range(axes))

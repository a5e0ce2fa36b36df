"""Analytic functions of the kinds that training makes: narrow on log axes, curved, rough, conditional, cut off by divergence."""

import math
from collections.abc import Callable, Mapping

from secondshift.records.studies import Parameter, Space, Value

Function = Callable[[Mapping[str, Value]], float]


def _number(name: str, low: float, high: float, log: bool = False) -> Parameter:
    return Parameter(name=name, kind="float", low=low, high=high, log=log)


def _whole(name: str, low: int, high: int, log: bool = False) -> Parameter:
    return Parameter(name=name, kind="int", low=low, high=high, log=log)


def _at(params: Mapping[str, Value], name: str) -> float:
    return float(params[name])


def _off(params: Mapping[str, Value], name: str, best: float) -> float:
    return math.log10(_at(params, name) / best) ** 2


def valley(p: Mapping[str, Value]) -> float:
    """Four axes, three of them in log, of different weight."""
    return _off(p, "lr", 3e-3) + 0.3 * _off(p, "wd", 1e-4) + 0.1 * _off(p, "eps", 1e-6) + (_at(p, "drop") - 0.3) ** 2


def ridge(p: Mapping[str, Value]) -> float:
    """Rosenbrock's curved valley in four dimensions."""
    x = [_at(p, name) for name in "abcd"]
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(3)) / 1000


def rough(p: Mapping[str, Value]) -> float:
    """A bowl with Rastrigin's bumps in five dimensions."""
    x = [_at(p, name) - 0.7 for name in "abcde"]
    return sum(v * v + 0.5 * (1 - math.cos(2 * math.pi * v)) for v in x) / 5


def mixed(p: Mapping[str, Value]) -> float:
    """Categories that move the best rate, whole numbers, and a momentum that only one optimiser has."""
    best = 3e-3 if p["opt"] == "adam" else 1e-1
    value = _off(p, "lr", best) + {"relu": 0.1, "gelu": 0.0, "tanh": 0.3}[str(p["act"])]
    value += 0.02 * abs(_at(p, "depth") - 5) + _off(p, "width", 192) / 0.36
    return value + (4 * (_at(p, "mom") - 0.95) ** 2 if p["opt"] == "sgd" else 0.15)


def cliff(p: Mapping[str, Value]) -> float:
    """The best lies next to where training diverges."""
    if _at(p, "lr") * (1 + 3 * _at(p, "m")) > 0.25:
        return math.nan
    return _off(p, "lr", 5e-2) + 0.3 * _off(p, "bs", 64) / 0.25 + (_at(p, "m") - 0.8) ** 2


def wide(p: Mapping[str, Value]) -> float:
    """Ten axes, of which four matter."""
    value = _off(p, "p0", 1e-2) + 3 * (_at(p, "p1") - 0.2) ** 2 + 3 * (_at(p, "p2") - 0.6) ** 2
    return value + (0.0 if p["k"] == "b" else 0.3) + 0.05 * sum((_at(p, f"p{i}") - 0.5) ** 2 for i in range(3, 9))


FUNCTIONS: dict[str, tuple[Function, Space]] = {
    "valley": (valley, Space(parameters=(
        _number("lr", 1e-5, 1.0, True), _number("wd", 1e-7, 1e-1, True), _number("eps", 1e-10, 1e-3, True),
        _number("drop", 0.0, 0.9),
    ))),
    "ridge": (ridge, Space(parameters=tuple(_number(name, -2.0, 2.0) for name in "abcd"))),
    "rough": (rough, Space(parameters=tuple(_number(name, -3.0, 3.0) for name in "abcde"))),
    "mixed": (mixed, Space(parameters=(
        Parameter(name="opt", kind="categorical", choices=("adam", "sgd")), _number("lr", 1e-5, 1.0, True),
        Parameter(name="act", kind="categorical", choices=("relu", "gelu", "tanh")), _whole("depth", 1, 12),
        _whole("width", 16, 1024, True),
        Parameter(name="mom", kind="float", low=0.0, high=0.99, when={"opt": ("sgd",)}),
    ))),
    "cliff": (cliff, Space(parameters=(
        _number("lr", 1e-4, 1.0, True), _whole("bs", 8, 1024, True), _number("m", 0.0, 0.99),
    ))),
    "wide": (wide, Space(parameters=(
        _number("p0", 1e-5, 1.0, True), *(_number(f"p{i}", 0.0, 1.0) for i in range(1, 9)),
        Parameter(name="k", kind="categorical", choices=("a", "b", "c", "d")),
    ))),
}  # fmt: skip

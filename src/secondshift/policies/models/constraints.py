"""Conditions between parameters, such as "width * depth <= 4096", read and judged without ever running them as code."""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from secondshift.records.studies import Value

MAX_LENGTH = 2000  # characters; far below what would exhaust the stack of the reader

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Value, Value], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_HELPERS: dict[str, Callable[..., float]] = {"minimum": min, "maximum": max}
_ALLOWED = "numbers, texts, parameter names, + - * / // % **, comparisons, and, or, not, minimum(...), maximum(...)"


class ConstraintInvalid(ValueError):
    """A constraint is not a condition over parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """One condition over parameter names."""

    text: str
    names: frozenset[str]  # of the parameters it speaks of
    tree: ast.expr

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Say whether `params` satisfy it.

        It does not apply, and so holds, while a parameter it names is inactive. One that cannot be worked out
        (a division by zero, a text where a number is needed) does not hold.
        """
        if not self.names <= params.keys():
            return True
        try:
            return bool(_value(self.tree, params))
        except (ArithmeticError, TypeError, ValueError):
            return False


def read_constraint(text: str) -> Constraint:
    """Read a condition. Raises ConstraintInvalid with what was found and what is allowed."""
    if len(text) > MAX_LENGTH:
        raise ConstraintInvalid(f"it has {len(text)} characters; at most {MAX_LENGTH} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConstraintInvalid(f"it cannot be read as a condition ({detail}); allowed are {_ALLOWED}") from None
    names: set[str] = set()
    _check(tree, names)
    if not names:
        raise ConstraintInvalid("it names no parameter, so it is always or never true")
    return Constraint(text=text, names=frozenset(names), tree=tree)


def _check(node: ast.AST, names: set[str]) -> None:
    """Refuse everything but the few kinds of nodes that `_value` knows."""
    match node:
        case ast.Name():
            names.add(node.id)
            return
        case ast.Constant() if isinstance(node.value, bool | int | float | str):
            return
        case ast.Call(func=ast.Name(id=helper), keywords=[]) if helper in _HELPERS and node.args:
            children: list[ast.AST] = list(node.args)
        case ast.BoolOp():
            children = list(node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            children = [node.operand]
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            children = [node.left, node.right]
        case ast.Compare() if all(type(op) in _COMPARISONS for op in node.ops):
            children = [node.left, *node.comparators]
        case _:
            found = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise ConstraintInvalid(f"`{found}` is not allowed in it; allowed are {_ALLOWED}")
    for child in children:
        _check(child, names)


def _value(node: ast.expr, params: Mapping[str, Value]) -> Value:
    match node:
        case ast.Name():
            return params[node.id]
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.BoolOp():
            parts = (bool(_value(part, params)) for part in node.values)
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, params)
        case ast.UnaryOp():
            value = _number(node.operand, params)
            return -value if isinstance(node.op, ast.USub) else value
        case ast.BinOp():
            return _arithmetic(node, params)
        case ast.Compare():
            return _compare(node, params)
        case ast.Call(func=ast.Name(id=helper)):
            return _HELPERS[helper](*(_number(argument, params) for argument in node.args))
    raise TypeError(f"{type(node).__name__} in a constraint")


def _number(node: ast.expr, params: Mapping[str, Value]) -> float:
    value = _value(node, params)
    if isinstance(value, str):
        raise TypeError(f"the text {value!r} where a number is needed")
    return value


def _arithmetic(node: ast.BinOp, params: Mapping[str, Value]) -> float:
    left, right = _number(node.left, params), _number(node.right, params)
    if isinstance(node.op, ast.Pow):
        left = float(left)  # overflows at once, where whole numbers would grow without end
    result = _ARITHMETIC[type(node.op)](left, right)
    if isinstance(result, complex):
        raise ValueError("a root of a negative number")
    return result


def _compare(node: ast.Compare, params: Mapping[str, Value]) -> bool:
    left = _value(node.left, params)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, params)
        if not _COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True

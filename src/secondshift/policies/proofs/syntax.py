"""Reading a script's syntax: what is called, what is given to what, which words stand where."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Scope = ast.Module | ast.FunctionDef


@dataclass(kw_only=True, slots=True)
class Names:
    """Words of some expressions."""

    named: set[str] = field(default_factory=set)  # names, attributes, keywords and short texts
    whole: set[str] = field(default_factory=set)  # names that stand for themselves, not as the owner of an attribute

    def take(self, *nodes: ast.AST) -> None:
        """Add the words of expressions. The names that a comprehension makes for itself are none."""
        for node in nodes:
            own = {n.id for c in ast.walk(node) if isinstance(c, ast.comprehension) for n in _plain(c.target)}
            owners = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id not in own:
                    self.named.add(part.id)
                    self.whole |= set() if id(part) in owners else {part.id}
                elif isinstance(part, ast.Attribute):
                    self.named.add(part.attr)
                    self.whole |= set() if id(part) in owners else {part.attr}
                elif not isinstance(part, ast.Name):
                    self.named.update(texts_of(part))


def words(tree: ast.AST) -> set[str]:
    """All names, and all texts that are short enough to be one."""
    found = Names()
    found.take(tree)
    defined = {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    return found.named | defined


def own_nodes(scope: Scope) -> Iterator[ast.AST]:
    """The nodes of a function or file, without those of functions in it."""
    waiting: list[ast.AST] = list(reversed(scope.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))


def own_calls(scope: Scope) -> list[ast.Call]:
    """The calls of a function or file, without those of functions in it."""
    return [node for node in own_nodes(scope) if isinstance(node, ast.Call)]


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is given to what: targets and values, one by one where both are tuples."""
    given: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        given = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        given = [(node.target, node.value)]
    elif isinstance(node, ast.For):
        given = [(node.target, node.iter)]
    elif isinstance(node, ast.With):
        given = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars is not None]
    for target, value in given:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            yield from zip(target.elts, value.elts, strict=True)
        else:
            yield target, value


def arguments(call: ast.Call) -> list[ast.expr]:
    """What a call is given, by place and by name."""
    return [*call.args, *(word.value for word in call.keywords)]


def called(call: ast.Call) -> str:
    """The name of what is called, without its owner; empty if it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def owner_of(call: ast.Call) -> str | None:
    """The last name before the dot of a call; None for a plain one."""
    return (last_name(call.func.value) or "") if isinstance(call.func, ast.Attribute) else None


def last_name(node: ast.AST) -> str:
    """A name, or the attribute at its end; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def texts_of(part: ast.AST) -> Iterator[str]:
    """The words of one node that are no name."""
    if isinstance(part, ast.arg | ast.keyword) and part.arg:
        yield part.arg
    elif isinstance(part, ast.Constant) and isinstance(part.value, str) and len(part.value) < 40:
        yield part.value


def _plain(target: ast.AST) -> Iterable[ast.Name]:
    return (node for node in ast.walk(target) if isinstance(node, ast.Name))

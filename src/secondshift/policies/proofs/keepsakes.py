"""What the source of a script saves, and what of that it takes back when it goes on: names, and nothing is proved by them.

What is loaded is followed only while it is plainly that: `state = load(...)`, then `opt.m = state["m"]`, or a method of the
script that is given `state`. A value that was reckoned with something else is the script's own again.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator

from secondshift.policies.proofs.syntax import (
    Names,
    Scope,
    arguments,
    assignments,
    called,
    last_name,
    own_calls,
    own_nodes,
    owner_of,
    texts_of,
)

_SAVER = re.compile(r"^(?:savez?|savez_compressed|dumps?|write_bytes)$|save|snapshot|to_bytes", re.IGNORECASE)
_LOADER = re.compile(
    r"^(?:safe_)?(?:loads?|load_file|unpickle|restore|resume|from_bytes)$"
    r"|(?:load|restore|resume|read|latest|newest).*(?:checkpoint|ckpt|state|snapshot)",
    re.IGNORECASE,
)
_TELLER = re.compile(r"^(?:print|log|info|debug|warning|error|echo)$")
# Of an entry called "optimizer": what a configuration says of it, and no checkpoint.
_SETTING = re.compile(r"^(?:lr|learning_rate|momentum|betas?|eps|weight_decay|name|type|kind)$")
DEEP = 6  # calls that are followed into one another


class Script:
    """A parsed script: its functions, and what its names are made of, as far as it says so plainly."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        self.scopes: list[Scope] = [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))]
        self.methods = {id(f): name for name, c in self.classes.items() for f in c.body}
        self.modules = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }  # fmt: skip
        self.named: dict[str, list[ast.FunctionDef]] = {}
        for function in self.scopes[1:]:
            if isinstance(function, ast.FunctionDef):
                self.named.setdefault(function.name, []).append(function)
        self.nodes = {id(scope): list(own_nodes(scope)) for scope in self.scopes}
        self.parts: dict[int, dict[str, list[ast.expr]]] = {}  # by function: names, and what they are put together by
        self.made = dict(self._makers())
        self.savers = {id(f) for f in self.scopes[1:] if any(_SAVER.search(called(call)) for call in own_calls(f))}
        self.loaders = {f.name for f in self.scopes[1:] if isinstance(f, ast.FunctionDef) and _gives_loaded(f)}

    def _makers(self) -> Iterator[tuple[str, str]]:
        """Names and attributes with the class that they were made by, as far as it is plain."""
        gives = {
            f.name: called(node.value)
            for f in self.scopes if isinstance(f, ast.FunctionDef) for node in own_nodes(f)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Call)
        }  # fmt: skip
        for node in ast.walk(self.tree):
            if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name):
                yield node.arg, node.annotation.id
            for target, value in assignments(node):
                maker = called(value) if isinstance(value, ast.Call) else ""
                maker = maker if maker[:1].isupper() else gives.get(maker, "")
                if maker[:1].isupper() and last_name(target):
                    yield last_name(target), maker

    def functions(self, call: ast.Call, inside: Scope) -> list[ast.FunctionDef]:
        """The functions of the script that a call may run: one where it can be told; none where it is a library's."""
        name, owner = called(call), owner_of(call)
        known = self.named.get(name, [])
        if owner is None:
            return [f for f in known if id(f) not in self.methods]
        if owner in ("self", "cls") and id(inside) in self.methods:
            return [f for f in known if self.methods.get(id(f)) == self.methods[id(inside)]]
        if owner in self.modules:
            return []
        if owner in self.made:
            return [f for f in known if self.methods.get(id(f)) == self.made[owner]]
        alike = [f for f in known if owner and owner.lower() in self.methods.get(id(f), "").lower()]
        return alike or known

    def saved(self) -> Names:
        """The words of what is saved, and of the dictionaries and functions that it is put together by."""
        found = Names()
        for scope in self.scopes:
            told = {id(arg) for call in own_calls(scope) if _TELLER.search(called(call)) for arg in call.args}
            for call in own_calls(scope):
                saver = _SAVER.search(called(call)) or any(id(f) in self.savers for f in self.functions(call, scope))
                if saver and id(call) not in told:
                    self._save(call, scope, found)
        return found

    def _save(self, call: ast.Call, scope: Scope, found: Names) -> None:
        functions = self.functions(call, scope)
        if not functions:
            found.named.update(word.arg for word in call.keywords if word.arg)
        for function in functions:  # what they save is read in them; here, what they are given and pass on
            passed = self._passed_on(function)
            for name, value in self.parameters(function, call):
                if name in passed:
                    self._gather(value, scope, found, DEEP)
        for value in () if functions else arguments(call):
            self._gather(value, scope, found, DEEP)

    def _passed_on(self, function: ast.FunctionDef) -> set[str]:
        """The names that stand in what a function saves."""
        found = Names()
        for call in own_calls(function):
            if _SAVER.search(called(call)):
                self._gather(call, function, found, 1)
        return found.named

    def parameters(self, function: ast.FunctionDef, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
        """What each parameter of a function is given in a call; those of *args and **kwargs by these names."""
        names = [arg.arg for arg in function.args.args]
        if id(function) in self.methods and names[:1] in (["self"], ["cls"]):
            names = names[1:]
        more = function.args.vararg.arg if function.args.vararg else ""
        for place, value in enumerate(call.args):
            if place < len(names) or more:
                yield (names[place] if place < len(names) else more), value
        known = {arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)}
        others = function.args.kwarg.arg if function.args.kwarg else ""
        for word in call.keywords:
            if word.arg in known or others:
                yield (word.arg if word.arg in known and word.arg else others), word.value

    def _gather(self, value: ast.AST, scope: Scope, found: Names, deep: int) -> None:
        """Take in an expression, what its names were put together by, and what the functions that it calls return."""
        waiting, taken = [(value, scope, deep)], {id(value)}
        while waiting:
            value, scope, deep = waiting.pop(0)
            found.take(value)
            for more, place in self._behind(value, scope) if deep else ():
                if id(more) not in taken:
                    taken.add(id(more))
                    waiting.append((more, place, deep - 1))

    def _behind(self, value: ast.AST, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
        if id(scope) not in self.parts:
            self.parts[id(scope)] = _put_together(self.nodes[id(scope)])
        for part in ast.walk(value):
            if isinstance(part, ast.Name):
                yield from ((more, scope) for more in self.parts[id(scope)].get(part.id, ()))
            elif isinstance(part, ast.Call):
                for function in self.functions(part, scope):
                    returns = (node for node in self.nodes[id(function)] if isinstance(node, ast.Return))
                    yield from ((node.value, function) for node in returns if node.value)

    def taken_back(self) -> Names:
        """The words of what is loaded: the entries that are read of it, and what they are given to."""
        found = Names()
        entered: set[tuple[int, frozenset[str]]] = set()
        waiting: list[tuple[Scope, frozenset[str]]] = [(scope, frozenset()) for scope in self.scopes]
        while waiting:
            scope, given = waiting.pop()
            if (id(scope), given) not in entered and len(entered) < 2000:
                entered.add((id(scope), given))
                waiting += _Reading(self, scope, given).into(found)
        return found


class _Reading:
    """One function, or the file's own lines, with the names in it that stand for what was loaded."""

    def __init__(self, script: Script, scope: Scope, given: frozenset[str]) -> None:
        self.script, self.scope, self.held = script, scope, set(given)
        self.nodes = nodes = script.nodes[id(scope)]
        self.outer = {id(n.value): n for n in nodes if isinstance(n, ast.Subscript)}
        self.read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        for node in nodes:
            for target, value in assignments(node):
                if isinstance(target, ast.Name) and self._is_load(value):
                    self.held.add(target.id)

    def into(self, found: Names) -> list[tuple[Scope, frozenset[str]]]:
        """Add what is taken back here; give the functions that are handed what was loaded, with the names it has there."""
        further: list[tuple[Scope, frozenset[str]]] = []
        for node in self.nodes:
            for target, value in assignments(node):
                if self._touches(value) and not (isinstance(target, ast.Name) and target.id not in self.read):
                    found.take(target)
            if isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
                found.named.update(self._entries(node))
            if isinstance(node, ast.Call) and any(self._touches(arg) for arg in arguments(node)):
                functions = self.script.functions(node, self.scope)
                further += [(function, self._handed(node, function)) for function in functions]
                if not functions and not self._loads(node) and not _TELLER.search(called(node)):
                    found.take(node.func, *(arg for arg in arguments(node) if not self._touches(arg)))
        return further

    def _loads(self, call: ast.Call) -> bool:
        if self.script.functions(call, self.scope):
            return called(call) in self.script.loaders
        return bool(_LOADER.search(called(call)))

    def _is_load(self, value: ast.AST) -> bool:
        """Say whether an expression is what was loaded, as a whole: not one entry of it."""
        if isinstance(value, ast.Call):
            if self._loads(value):
                return True
            inner = value.func.value if isinstance(value.func, ast.Attribute) else None
            whole = called(value) in ("item", "dict", "SimpleNamespace")
            return whole and any(self._is_load(part) for part in (inner, *value.args) if part is not None)
        if isinstance(value, ast.IfExp):
            return self._is_load(value.body) or self._is_load(value.orelse)
        return isinstance(value, ast.NamedExpr | ast.Await) and self._is_load(value.value)

    def _touches(self, value: ast.AST | None) -> bool:
        """Say whether an expression is what was loaded or part of it, not reckoned with anything else."""
        match value:
            case ast.Name():
                return value.id in self.held
            case ast.Call():
                owner = value.func.value if isinstance(value.func, ast.Attribute) else None
                return self._loads(value) or self._touches(owner) or any(map(self._touches, arguments(value)))
            case ast.Attribute() | ast.Subscript() | ast.Starred() | ast.NamedExpr() | ast.Await():
                return self._touches(value.value)
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self._touches(value.elt) or any(self._touches(part.iter) for part in value.generators)
            case ast.DictComp():
                return self._touches(value.value) or any(self._touches(part.iter) for part in value.generators)
            case ast.IfExp():
                return self._touches(value.body) or self._touches(value.orelse)
            case ast.Tuple() | ast.List():
                return any(map(self._touches, value.elts))
            case ast.BoolOp():
                return any(map(self._touches, value.values))
            case ast.Dict():
                return any(map(self._touches, value.values))
            case _:
                return False

    def _entries(self, node: ast.Subscript | ast.Attribute | ast.Call) -> Iterator[str]:
        """The entry of what was loaded that an expression reads."""
        if isinstance(node, ast.Subscript) and self._touches(node.value):
            texts = [text for part in ast.walk(node.slice) for text in texts_of(part)]
            if not any(_SETTING.search(text) for text in texts):
                yield from (text for text in texts if not self._is_setting(node))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in self.held:
            yield node.attr
        elif isinstance(node, ast.Call) and called(node) in ("get", "pop"):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if self._touches(owner):
                yield from (text for arg in node.args[:1] for text in texts_of(arg))

    def _is_setting(self, entry: ast.Subscript) -> bool:
        """Say whether of this entry only a setting is read: `loaded["optimizer"]["lr"]`."""
        outer = self.outer.get(id(entry))
        return outer is not None and any(_SETTING.search(text) for part in ast.walk(outer.slice) for text in texts_of(part))

    def _handed(self, call: ast.Call, function: ast.FunctionDef) -> frozenset[str]:
        """The parameters of a function that are given what was loaded."""
        return frozenset(n for n, value in self.script.parameters(function, call) if self._touches(value))


def _put_together(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """By name: the dictionaries, tuples and calls that it was given, and what was added under a key later."""
    found: dict[str, list[ast.expr]] = {}

    def add(name: str | None, *values: ast.expr) -> None:
        found.setdefault(name or "", []).extend(values)

    for node in nodes:
        if isinstance(node, ast.Call) and called(node) == "update":
            add(owner_of(node), *arguments(node))
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr):
            add(last_name(node.target), node.value)
        elif not isinstance(node, ast.For | ast.With):
            for target, value in assignments(node):
                if isinstance(target, ast.Name) and _collects(value):
                    add(target.id, value)
                elif isinstance(target, ast.Subscript):
                    add(last_name(target.value), target.slice, value)
    return found


def _collects(value: ast.AST) -> bool:
    """Say whether an expression puts several things together."""
    if isinstance(value, ast.Call):
        return called(value) == "dict" or "state" in called(value)
    merges = isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr)
    return merges or isinstance(value, ast.Dict | ast.DictComp | ast.Tuple)


def _gives_loaded(function: ast.FunctionDef) -> bool:
    """Say whether a function gives what it loaded: from its return, or by a name that holds it."""
    held: set[str] = set()
    for node in own_nodes(function):
        for target, value in assignments(node):
            if isinstance(target, ast.Name) and _has_load(value):
                held.add(target.id)
        given = node.value if isinstance(node, ast.Return) else None
        if given is not None and (_has_load(given) or last_name(given) in held):
            return True
    return False


def _has_load(value: ast.AST) -> bool:
    return any(isinstance(part, ast.Call) and _LOADER.search(called(part)) for part in ast.walk(value))


def made_of(script: Script, kinds: Collection[str]) -> set[str]:
    """The names that were made by calling one of these classes."""
    return {name for name, maker in script.made.items() if maker in kinds}

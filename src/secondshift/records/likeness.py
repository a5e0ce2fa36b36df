"""How alike two changes of code are: read as programs, not as text, so that comments, layout and names make no difference.

Python files are compared by their syntax trees without docstrings, with local variables numbered in the order in which
they come up, and with functions that stand side by side sorted. Other files are compared line by line. What is left is a
set of statements that were added or taken away; sets are compared by the smallest of their hashes (A. Broder, "On the
resemblance and containment of documents", 1997), so that a fact of fixed size says how alike any two changes are.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeVar

from secondshift.records.examinations import Likeness

KEPT = 48  # of the smallest hashes: what is said of likeness is right to about 0.1
MOST_LETTERS = 1 << 20  # of a file that is read as a program
HASHED = (".cfg", ".ini", ".sh", ".toml", ".yaml", ".yml")  # files in which # begins a comment
Function = TypeVar("Function", ast.FunctionDef, ast.AsyncFunctionDef)
SEES_NAMES = {"locals", "vars", "eval", "exec", "globals", "dir"}  # where one is used, the names of variables may matter


def likeness(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> Likeness:
    """Describe a change by the files that it touches, before and after; None stands for a file that is not there."""
    total, files, marks = hashlib.sha256(), [], set[str]()
    count = 0
    for path in sorted({*before, *after}):
        old, new = _statements(path, before.get(path)), _statements(path, after.get(path))
        if old == new:
            continue
        files.append(path)
        total.update(repr((path, new)).encode("utf-8", "surrogatepass"))
        had, has = Counter(old or ()), Counter(new or ())
        for sign, rest in (("+", has - had), ("-", had - has)):
            count += sum(rest.values())
            marks |= {f"{sign}\0{path}\0{number}\0{one}" for one, times in rest.items() for number in range(times)}
    digest = total.hexdigest()[:32] if files else ""
    sketch = tuple(sorted(map(_hash, marks))[:KEPT])
    return Likeness(digest=digest, files=tuple(files), sketch=sketch, statements=count)


def similarity(one: Likeness, other: Likeness) -> float:
    """Estimate which share of the statements that either change adds or takes away is common to both, 0 to 1."""
    if one.digest == other.digest:
        return 1.0
    smallest = sorted({*one.sketch, *other.sketch})[:KEPT]
    shared = {*one.sketch} & {*other.sketch}
    return sum(mark in shared for mark in smallest) / len(smallest) if smallest else 0.0


def twin(new: Likeness, known: Mapping[str, Likeness]) -> str:
    """Name the first of the known changes that leaves the same programs; empty if there is none."""
    return next((name for name, one in known.items() if one.digest == new.digest), "")


def _hash(mark: str) -> int:
    return int.from_bytes(hashlib.blake2b(mark.encode("utf-8", "surrogatepass"), digest_size=6).digest())


def _statements(path: str, text: str | None) -> tuple[str, ...] | None:
    """A file as the list of what it says; None where there is no file."""
    if text is None:
        return None
    if path.endswith((".py", ".pyi")) and len(text) <= MOST_LETTERS:
        try:
            return tuple(_of_body(_Plain(ast.parse(text)).tree.body, ""))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: what a parser says of a text nested too deep
            pass  # no program: it is compared as a text
    lines = (line.rstrip() for line in text.splitlines())
    hashed = path.endswith(HASHED)
    return tuple(line for line in lines if line and not (hashed and line.lstrip().startswith("#")))


def _of_body(body: list[ast.stmt], above: str) -> Iterator[str]:
    """Each statement of a block, with where it stands; a compound one as its head, and then its blocks."""
    for statement in body:
        blocks = {name: value for name, value in ast.iter_fields(statement) if _is_block(value)}
        if not blocks:
            yield f"{above}{ast.dump(statement)}"
            continue
        head = ", ".join(
            f"{name}={_shown(value)}" for name, value in ast.iter_fields(statement) if name not in blocks
        )
        named = f"{above}{type(statement).__name__}({head})"
        yield named
        place = f"{above}{type(statement).__name__} {getattr(statement, 'name', '')}/"
        for name, block in blocks.items():
            for part in block:
                inner = part.body if isinstance(part, ast.ExceptHandler | ast.match_case) else [part]
                if inner is not block and not isinstance(part, ast.stmt):
                    yield f"{place}{name}: {_head(part)}"
                yield from _of_body(inner, f"{place}{name}/")


def _is_block(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], ast.stmt | ast.ExceptHandler | ast.match_case)


def _head(part: ast.AST) -> str:
    return ", ".join(_shown(value) for name, value in ast.iter_fields(part) if name != "body")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return ast.dump(value) if isinstance(value, ast.AST) else repr(value)


class _Plain(ast.NodeTransformer):
    """A syntax tree without what makes no difference to what it does."""

    def __init__(self, tree: ast.Module) -> None:
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.scopes: list[Mapping[str, str]] = []  # name -> what it is called here; innermost last
        self.renames = not names & SEES_NAMES
        self.tree: ast.Module = self.visit(tree)

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Tidy the module's own block."""
        self.generic_visit(node)
        node.body = _tidy(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """Tidy a class's block; its names are attributes, and stay."""
        self.scopes.append({name: name for name in _bound(node)[0]})
        self.generic_visit(node)
        self.scopes.pop()
        node.body = _tidy(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Number the local variables of a function, and tidy its block."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        """Number the local variables of a function, and tidy its block."""
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        """The parameters of a lambda keep their names, and hide those outside."""
        self.scopes.append({name: name for name in _parameters(node.args)})
        self.generic_visit(node)
        self.scopes.pop()
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Call a variable what it is called in the innermost scope that knows it."""
        for scope in reversed(self.scopes):
            if node.id in scope:
                node.id = scope[node.id]
                break
        return node

    def _function(self, node: Function) -> Function:
        variables, others = _bound(node)
        fixed = {*_parameters(node.args), *others}
        depth = len(self.scopes)
        free = [name for name in variables if name not in fixed] if self.renames else []
        self.scopes.append({**{name: name for name in fixed}, **{name: f"{depth}:{n}" for n, name in enumerate(free)}})
        self.generic_visit(node)
        self.scopes.pop()
        node.body = _tidy(node.body)
        return node


def _parameters(arguments: ast.arguments) -> list[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [one.arg for one in every if one is not None]


def _bound(scope: ast.AST) -> tuple[list[str], set[str]]:
    """The names that a scope binds by assignment, in the order in which they come up, and those bound in other ways."""
    variables: dict[str, bool] = {}
    others: set[str] = set()
    waiting = list(ast.iter_child_nodes(scope))[::-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            others.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            variables[node.id] = True
        others |= _bound_otherwise(node)
        waiting += list(ast.iter_child_nodes(node))[::-1]
    return list(variables), others


def _bound_otherwise(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Global | ast.Nonlocal):
        return set(node.names)
    if isinstance(node, ast.alias):
        return {(node.asname or node.name).partition(".")[0]}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} if node.name else set()
    return {node.rest} if isinstance(node, ast.MatchMapping) and node.rest else set()


def _tidy(body: list[ast.stmt]) -> list[ast.stmt]:
    """A block without texts that stand alone, and with functions that stand side by side, and do nothing there, sorted."""
    kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    tidy: list[ast.stmt] = []
    run: list[ast.stmt] = []
    for statement in [*kept, ast.Pass()]:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not _acts(statement):
            run.append(statement)
            continue
        names = {getattr(one, "name", "") for one in run}
        tidy += sorted(run, key=ast.dump) if len(names) == len(run) else run
        tidy.append(statement)
        run = []
    return tidy[:-1] or [ast.Pass()]


def _acts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether anything is done where a function is defined: by decorators, defaults, annotations."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    noted = any(isinstance(part, ast.Call) for one in every if one and one.annotation for part in ast.walk(one.annotation))
    defaults = (one for one in (*arguments.defaults, *arguments.kw_defaults) if one is not None)
    return noted or bool(function.decorator_list) or not all(isinstance(one, ast.Constant) for one in defaults)

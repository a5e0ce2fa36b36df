"""The house's rules as functions: each takes the modules of a package and gives back sentences, one per breach.

They read source with `ast` and run nothing of it, so a planted violation can be checked the same way as the house.
"""

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "secondshift"
FORBIDDEN_WORDS = {"util", "utils", "helper", "helpers", "common", "core", "manager", "managers", "misc"}

# What stands at the top of DESIGN §6. A new room is a decision: it goes there first, and then here.
ROOMS = {
    "__init__", "__main__", "engine", "arbitrate", "config", "plugins", "errors",
    "records", "ledger", "tracking", "integrations", "policies", "runtime", "interfaces", "testing",
    "standing",  # beside arbitrate: what every round decides by itself
    "memory",  # what the engine and a replay remember of points: detectors and curves
    "shifts", "replay",  # around the engine: one shift from beginning to brief, and a recorded night decided again
    "doctor",  # beside it too: a script tried before any night, and judged
    "watching",  # and here: runs of nobody's night, followed by the captain and left alone
}
# room -> the rooms it may import beside itself; a room that is not named here is held by NEVER alone
ONLY = {
    "records": set(),
    "errors": set(),
    "tracking": set(),
    "integrations": {"tracking"},
    "policies": {"records"},
    "interfaces": {
        "records", "ledger", "engine", "config", "plugins", "errors", "arbitrate", "runtime", "shifts", "replay",
        "doctor", "watching",
    },
    "testing": ROOMS,
}
# room -> the rooms it may not import
NEVER = {
    "ledger": {"policies", "interfaces", "engine", "testing", "integrations"},
    "runtime": {"policies", "interfaces", "engine", "testing", "integrations"},
    "shifts": {"interfaces", "testing", "integrations", "tracking", "policies"},
    "replay": {"interfaces", "testing", "integrations", "tracking"},
    "doctor": {"interfaces", "testing", "integrations", "tracking"},
    "watching": {"interfaces", "testing", "integrations", "tracking", "engine", "ledger", "config"},
    "engine": {"interfaces", "testing", "integrations", "tracking", "shifts", "replay", "doctor", "watching"},
    "arbitrate": {"interfaces", "testing", "integrations", "tracking", "engine", "runtime", "ledger"},
    "standing": {"interfaces", "testing", "integrations", "tracking", "engine", "runtime", "ledger", "policies"},
    "config": {"interfaces", "testing", "integrations", "tracking", "engine"},
    "plugins": {"interfaces", "testing", "tracking", "engine"},
}
NUMERIC = {"numpy", "scipy", "sklearn"}
PURE_STANDARD = {
    "__future__", "abc", "array", "ast", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "itertools", "json",
    "math", "numbers", "operator", "re", "statistics", "string", "struct", "textwrap", "types", "typing", "zlib", "zoneinfo",
}
SEEDED_NUMPY = {"default_rng", "Generator", "SeedSequence", "PCG64", "BitGenerator"}
QUASI_RANDOM = {"Sobol", "Halton", "LatinHypercube", "PoissonDisk"}


@dataclass(frozen=True)
class Import:
    """One imported module: where it is written, and how."""

    target: str
    line: int
    function: str  # "" at the top of the module
    types_only: bool  # under `if TYPE_CHECKING:`
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Module:
    """One source file of the package, parsed."""

    name: str
    path: str  # as it is to be shown
    source: str
    is_package: bool

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def lines(self) -> list[str]:
        return self.source.splitlines()

    @cached_property
    def room(self) -> str:
        """What stands right under the package: `records` for secondshift.records.events."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    def at(self, line: int, sentence: str) -> str:
        return f"{self.path}:{line}: {sentence}"


Modules = Mapping[str, Module]


def read_package(source_root: Path, shown_from: Path) -> dict[str, Module]:
    """Every module under `source_root/secondshift`, by dotted name."""
    found = {}
    for file in sorted((source_root / PACKAGE).rglob("*.py")):
        parts = list(file.relative_to(source_root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Module(name, str(file.relative_to(shown_from)), file.read_text("utf-8"), is_package)
    return found


def imports_of(module: Module, modules: Modules) -> list[Import]:
    """Every import statement of a module with its target spelled out, also those inside functions."""
    return list(_imports(module, modules, module.tree.body, function="", types_only=False))


def _imports(
    module: Module, modules: Modules, body: Iterable[ast.AST], *, function: str, types_only: bool
) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, function, types_only)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_imports(module, modules, node, function, types_only)
        else:
            inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
            typed = types_only or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
            children = ast.iter_child_nodes(node)
            yield from _imports(module, modules, children, function=inside, types_only=typed)


def _from_imports(
    module: Module, modules: Modules, node: ast.ImportFrom, function: str, types_only: bool
) -> Iterator[Import]:
    base = node.module or ""
    if node.level:
        parts = module.name.split(".")
        parts = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
        base = ".".join([*parts, *([base] if base else [])])
    plain = []
    for alias in node.names:
        if f"{base}.{alias.name}" in modules:  # `from a import b` where b is a module
            yield Import(f"{base}.{alias.name}", node.lineno, function, types_only)
        else:
            plain.append(alias.name)
    if plain:
        yield Import(base, node.lineno, function, types_only, tuple(plain))


def _inside(target: str) -> bool:
    return target == PACKAGE or target.startswith(PACKAGE + ".")


def _room_of(target: str) -> str:
    return [*target.split("."), "__init__"][1]


def unknown_rooms(modules: Modules) -> list[str]:
    """Modules outside the rooms that DESIGN §6 draws."""
    return [
        module.at(1, f"'{module.room}' is no room of DESIGN §6. Put the file into one of them, or amend DESIGN first.")
        for module in modules.values()
        if module.room not in ROOMS
    ]


def wrong_directions(modules: Modules) -> list[str]:
    """Imports between rooms that DESIGN §6 does not allow."""
    breaches = []
    for module in modules.values():
        for found in imports_of(module, modules):
            if reason := _why_not(module, found):
                breaches.append(module.at(found.line, f"{module.name} imports {found.target}: {reason}"))
    return breaches


def _why_not(module: Module, found: Import) -> str:
    here = module.room
    if not _inside(found.target):
        if here == "tracking" and found.target.split(".")[0] == "dataclasses":
            return "tracking is loaded by every training script, and dataclasses cost 25 ms."
        return ""
    there = _room_of(found.target)
    if there == here:
        return _why_not_within_policies(module, found) if here == "policies" else ""
    if module.is_package and module.name != PACKAGE:
        return "no room's __init__ imports another room."
    if there == "__init__" and here not in ("tracking", "policies", "records", "errors"):
        return ""
    if there == "testing" and here != "testing":
        return "only tests import testing."
    if there not in ONLY.get(here, ROOMS):
        return f"{here} may import only {', '.join(sorted(ONLY[here])) or 'nothing of ours'} beside itself."
    if there in NEVER.get(here, ()):
        return f"{here} never imports {there}."
    return ""


def _why_not_within_policies(module: Module, found: Import) -> str:
    own, other = ([*name.split("."), "", ""][2] for name in (module.name, found.target))
    if other in (own, "models", "") or (own == "" and not module.is_package):
        return ""
    return "rooms of policies never import each other; what they share is a recorded fact or lives in policies.models."


def inner_imports(modules: Modules) -> list[str]:
    """Imports inside functions, and imports by name, outside plugins.py and what loads an optional extra."""
    breaches = []
    for module in modules.values():
        if module.room == "plugins":
            continue
        lazy = module.name == PACKAGE
        for found in imports_of(module, modules):
            allowed = not found.function or (lazy and found.function == "__getattr__")
            if not allowed and not _says_optional(module, found.line):
                sentence = "import inside a function. Move it up, or end the line with `# optional: <why>`."
                breaches.append(module.at(found.line, sentence))
        for node in ast.walk(module.tree):
            called = _name_of(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
            if called in ("import_module", "__import__") and not lazy and not _says_optional(module, node.lineno):
                breaches.append(module.at(node.lineno, "import by name; plugins.py is the only place for that."))
    return breaches


def _says_optional(module: Module, line: int) -> bool:
    return re.search(r"#\s*optional:\s*\S", module.lines[line - 1]) is not None


def _name_of(node: ast.AST) -> str:
    """`np.random.rand` for such an attribute chain, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _name_of(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def import_graph(modules: Modules) -> dict[str, set[str]]:
    """What importing each module runs first: its targets, and the `__init__` of every package on the way to them."""
    graph: dict[str, set[str]] = {}
    for module in modules.values():
        edges = graph.setdefault(module.name, set())
        for found in imports_of(module, modules):
            if found.function or found.types_only or not _inside(found.target):
                continue
            parts = found.target.split(".")
            for stop in range(1, len(parts) + 1):
                name = ".".join(parts[:stop])
                on_the_way_already = stop < len(parts) and (module.name + ".").startswith(name + ".")
                if name in modules and name != module.name and not on_the_way_already:
                    edges.add(name)
    return graph


def import_cycles(modules: Modules) -> list[str]:
    """Modules that import each other in a ring."""
    graph, done, rings = import_graph(modules), set(), []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            ring = [*trail[trail.index(name):], name]
            rings.append(modules[name].at(1, "import cycle: " + " -> ".join(ring)))
        elif name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
    return rings


def import_chains(modules: Modules) -> dict[str, list[str]]:
    """For each module the longest chain of imports that begins at it (needs a graph without cycles)."""
    graph, longest = import_graph(modules), {}

    def chain(name: str) -> list[str]:
        if name not in longest:
            longest[name] = [name, *max((chain(target) for target in sorted(graph[name])), key=len, default=[])]
        return longest[name]

    for name in graph:
        chain(name)
    return longest


def deep_imports(modules: Modules, *, most: int = 9) -> list[str]:
    """Modules whose imports nest deeper than `most` steps."""
    return [
        modules[name].at(1, f"imports nest {len(chain) - 1} deep, {most} allowed: " + " -> ".join(chain))
        for name, chain in import_chains(modules).items()
        if len(chain) - 1 > most
    ]


def functions(modules: Modules) -> Iterator[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Every function with its length in lines, from `def` to its last line."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, node, (node.end_lineno or node.lineno) - node.lineno + 1


def percentile_95(values: Sequence[int]) -> int:
    """The smallest value that at least 95% of the values do not pass; 0 if there are none."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else 0


def long_functions(modules: Modules, *, most: int = 80, p95: int = 40) -> list[str]:
    """Functions that are too long, one by one and as a whole."""
    found = list(functions(modules))
    breaches = [
        module.at(node.lineno, f"{node.name} has {length} lines, {most} allowed.")
        for module, node, length in found
        if length > most
    ]
    reached = percentile_95([length for _, _, length in found])
    if reached > p95:
        longest = sorted(found, key=lambda row: -row[2])[:10]
        rows = ", ".join(f"{module.path}:{node.lineno} {node.name} {length}" for module, node, length in longest)
        breaches.append(f"{PACKAGE}: 95% of functions stay within {reached} lines, expected {p95}. Longest: {rows}")
    return breaches


def long_files(modules: Modules, *, most: int = 500, p95: int = 400) -> list[str]:
    """Files that are too long, one by one and as a whole."""
    found = [(module, len(module.lines)) for module in modules.values()]
    breaches = [
        module.at(length, f"{length} lines, {most} allowed. Divide it by what it knows.")
        for module, length in found
        if length > most
    ]
    reached = percentile_95([length for _, length in found])
    if reached > p95:
        longest = ", ".join(f"{module.path} {length}" for module, length in sorted(found, key=lambda row: -row[1])[:10])
        breaches.append(f"{PACKAGE}: 95% of files stay within {reached} lines, expected {p95}. Longest: {longest}")
    return breaches


def forbidden_names(modules: Modules) -> list[str]:
    """Modules and classes named by a word that says nothing (STYLE 8)."""
    breaches = []
    for module in modules.values():
        for part in module.name.split("."):
            breaches += _empty_words(module, 1, part)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                breaches += _empty_words(module, node.lineno, node.name)
    return breaches


def _empty_words(module: Module, line: int, name: str) -> list[str]:
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return [
        module.at(line, f"'{name}' is named '{word}', which says nothing. Name it by the thing (STYLE 8).")
        for word in sorted(words & FORBIDDEN_WORDS)
    ]


def impurities(modules: Modules) -> list[str]:
    """Clocks, I/O, logging and unseeded randomness in policies, where decisions must be replayable."""
    breaches = []
    for module in modules.values():
        if module.room not in ("policies", "arbitrate", "standing"):
            continue
        for found in imports_of(module, modules):
            top = found.target.split(".")[0]
            if top != PACKAGE and top not in NUMERIC and top not in PURE_STANDARD:
                breaches.append(module.at(found.line, f"a policy imports {found.target}; {_PURE}"))
            if found.target == "numpy.random":
                for name in sorted(set(found.names) - SEEDED_NUMPY):
                    breaches.append(module.at(found.line, f"a policy imports numpy.random.{name}; {_PURE}"))
        for node in ast.walk(module.tree):
            if reason := _impure(node):
                breaches.append(module.at(getattr(node, "lineno", 1), f"{reason}; {_PURE}"))
    return breaches


_PURE = "state in, decisions out: no clock, no I/O, no randomness but a generator seeded from the state."


def _impure(node: ast.AST) -> str:
    if isinstance(node, ast.Global):
        return "a policy keeps a global variable"
    if isinstance(node, ast.Attribute):
        drawn = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", _name_of(node))
        if drawn and drawn[1] not in SEEDED_NUMPY:
            return f"a policy draws from numpy's global generator ({drawn[0]})"
        if node.attr in ("now", "utcnow", "today") and _name_of(node).split(".")[0] in ("datetime", "date"):
            return f"a policy reads the clock ({_name_of(node)})"
    if isinstance(node, ast.Call):
        return _impure_call(node)
    return ""


def _impure_call(node: ast.Call) -> str:
    name = _name_of(node.func)
    last, given = name.split(".")[-1], {keyword.arg for keyword in node.keywords}
    if name in ("open", "print", "input", "exec", "eval", "breakpoint"):
        return f"a policy calls {name}()"
    if isinstance(node.func, ast.Attribute) and node.func.attr == "rvs" and not given & {"random_state", "rng"}:
        return "a policy samples from scipy's global generator (rvs without random_state)"
    if last == "default_rng" and ((not node.args and not given) or _is_none(node.args)):
        return "a policy makes a generator without a seed"
    if last in QUASI_RANDOM and not given & {"seed", "rng"} and not _unscrambled(node):
        return f"a policy scrambles {last} without a seed"
    return ""


def _is_none(arguments: Sequence[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.Constant) and arguments[0].value is None


def _unscrambled(node: ast.Call) -> bool:
    return any(
        keyword.arg == "scramble" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in node.keywords
    )


def decision_makers(modules: Modules) -> set[str]:
    """The names in records/decisions.py that make a decision: the class, and functions that take a reason."""
    module = modules.get(f"{PACKAGE}.records.decisions")
    made = {"Decision"} if module else set()
    for node in module.tree.body if module else ():
        if isinstance(node, ast.FunctionDef):
            names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
            made |= {node.name} if "reason" in names else set()
    return made


def decisions_without_reason(modules: Modules) -> list[str]:
    """Calls that make a decision but give no reason, or an empty one."""
    makers, home, breaches = decision_makers(modules), f"{PACKAGE}.records.decisions", []
    for module in modules.values():
        local = {name: name for name in makers} if module.name == home else {}
        prefixes = set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module == home:
                local |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in makers}
            elif isinstance(node, ast.ImportFrom) and node.module == f"{PACKAGE}.records":
                prefixes |= {alias.asname or alias.name for alias in node.names if alias.name == "decisions"}
            elif isinstance(node, ast.Import):
                prefixes |= {alias.asname or alias.name for alias in node.names if alias.name == home}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and _makes_decision(node, local, prefixes, makers) and not _has_reason(node):
                sentence = f"{_name_of(node.func)}(...) without a reason. Say why in a sentence: reason='...'."
                breaches.append(module.at(node.lineno, sentence))
    return breaches


def _makes_decision(node: ast.Call, local: Mapping[str, str], prefixes: set[str], makers: set[str]) -> bool:
    prefix, _, last = _name_of(node.func).rpartition(".")
    return (last in local and not prefix) or (last in makers and prefix in prefixes)


def _has_reason(node: ast.Call) -> bool:
    for keyword in node.keywords:
        if keyword.arg == "reason":
            value = keyword.value
            if isinstance(value, ast.JoinedStr):
                return any(not isinstance(part, ast.Constant) or str(part.value).strip() for part in value.values)
            return not isinstance(value, ast.Constant) or bool(str(value.value or "").strip())
    return False

"""What the source of a script suggests about its checkpoints. Hints for wording only: nothing is proved by them."""

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from secondshift.policies.proofs.keepsakes import Script, made_of
from secondshift.policies.proofs.syntax import Names, assignments, called, last_name, words

_SCHEDULE = re.compile(
    r"cosine|warm_?up|schedul|^sched$|anneal|\blr_at\b|get_lr|lr_?decay|decay_?lr|(?:step|lambda|exponential|linear|poly\w*)_?lr"
    r"|one_?cycle|invscaling|power_t|milestones|decay_steps",
    re.IGNORECASE,
)
_RATE = re.compile(r"^(?:lr|lrate|learning_?rate|step_?size|eta)$", re.IGNORECASE)
_MEMORY = re.compile(
    r"momentum|velocit|adam|adagrad|adadelta|rmsprop|^lion$|exp_avg|moments?$|^vel$|^mom$",
    re.IGNORECASE,
)  # what an optimiser remembers, or one that does
_OPTIMISER = re.compile(r"optim|^opt$|^opt_state$", re.IGNORECASE)
_PLAIN = re.compile(r"^SGD$", re.IGNORECASE)  # without a word of memory it has none
_TOLD = re.compile(
    r"loss|acc|avg|average|mean|running|smooth|ema|time|reward|return", re.IGNORECASE
)  # for people's eyes
# Estimators of scikit-learn that keep these within themselves.
_KEEPS_MEMORY = {"MLPClassifier", "MLPRegressor"}
_KEEPS_RATE = {"MLPClassifier", "MLPRegressor", "SGDClassifier", "SGDRegressor"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """Words of a script that bear on why it might not go on as it was."""

    schedules: bool = False  # it changes its learning rate by a rule
    restores_schedule: bool | None = None  # something like that is saved, and loaded; None: neither act was seen
    optimises: bool = False  # its optimiser has a memory of its own
    restores_optimiser: bool | None = None


def hints(source: str) -> Hints:
    """Read a script's words; a text that is not Python gives no hints."""
    try:
        script = Script(ast.parse(source))
        known, saved, loaded = words(script.tree), script.saved(), script.taken_back()
    except (SyntaxError, ValueError, RecursionError):
        return Hints()
    memory = made_of(script, _KEEPS_MEMORY | _own_classes(script, _MEMORY))
    rate = made_of(script, _KEEPS_RATE | _own_classes(script, _SCHEDULE))
    remembers = bool(memory) or bool(_averages(script.tree)) or any(_MEMORY.search(name) for name in known)
    plain = any(_PLAIN.search(name) for name in known)
    carried = _averages(script.tree) | _made_by(script, _MEMORY, _OPTIMISER, _PLAIN)
    acts = [names for names in (saved, loaded) if names.named]
    return Hints(
        schedules=any(_SCHEDULE.search(name) for name in known) or _sets_rate(script.tree),
        restores_schedule=_among(acts, (_SCHEDULE,), rate, _made_by(script, _SCHEDULE)),
        optimises=remembers or (not plain and any(_OPTIMISER.search(name) for name in known)),
        restores_optimiser=_among(acts, (_MEMORY, _OPTIMISER), memory, carried),
    )


def _among(
    acts: Sequence[Names], patterns: Sequence[re.Pattern[str]], wholes: Collection[str], exact: Collection[str]
) -> bool | None:
    """Say whether each act has what is looked for, by its name or within an object that holds it. None without an act."""

    def has(found: Names) -> bool:
        everything = "__dict__" in found.named or {"vars", "self"} <= found.named
        by_name = any(pattern.search(name) for pattern in patterns for name in found.named)
        return everything or by_name or bool(found.whole.intersection(wholes) or found.named.intersection(exact))

    return all(map(has, acts)) if acts else None


def _own_classes(script: Script, pattern: re.Pattern[str]) -> set[str]:
    """Classes of the script that speak of it."""
    return {name for name, node in script.classes.items() if any(pattern.search(word) for word in words(node))}


def _made_by(script: Script, *patterns: re.Pattern[str]) -> set[str]:
    """The names that were made by a class whose name says it."""
    return {name for name, maker in script.made.items() if any(pattern.search(maker) for pattern in patterns)}


def _sets_rate(tree: ast.AST) -> bool:
    """Say whether a learning rate is reckoned anew in a loop."""
    loops = (node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While))
    given = (pair for loop in loops for node in ast.walk(loop) for pair in assignments(node))
    return any(_RATE.search(_entry(target)) and not isinstance(value, ast.Constant) for target, value in given)


def _averages(tree: ast.AST) -> set[str]:
    """The names that are carried on as `m = beta * m + ...` and reckoned with: what an optimiser remembers."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    aliases = {name: source for loop in loops for name, source in _zipped(loop)}
    carried: set[str] = set()
    used: set[tuple[str, str]] = set()  # what is reckoned with, for what
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = _entry(target)
            carried |= {name} if name and _carried_on(node, target) else set()
            used |= {(_entry(part), name) for part in ast.walk(node.value)}
    moving = {of for of, name in used if of in carried and of != name and not _TOLD.search(of)}
    return moving | {aliases[name] for name in moving if name in aliases}


def _carried_on(node: ast.Assign | ast.AugAssign, target: ast.expr) -> bool:
    """Say whether a value is multiplied by a plain factor and kept on: `m = beta * m + ...`, or `m *= beta`."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Mult) and not isinstance(node.value, ast.BinOp)
    own = ast.dump(target).replace("Store()", "Load()")
    return isinstance(node.value, ast.BinOp) and _carries(node.value, own)


def _carries(value: ast.BinOp, own: str) -> bool:
    """Say whether a sum has, as one of its terms, the name itself times a plain factor."""
    if not isinstance(value.op, ast.Add | ast.Sub):
        return False
    for side in (value.left, value.right):
        if isinstance(side, ast.BinOp) and isinstance(side.op, ast.Mult):
            factors = (side.left, side.right)
            if any(ast.dump(f) == own for f in factors) and not any(isinstance(f, ast.BinOp) for f in factors):
                return True
        if isinstance(side, ast.BinOp) and _carries(side, own):
            return True
    return False


def _entry(node: ast.AST) -> str:
    """The name of a value: of `s["m"]` it is m, of `m[i]` it is m."""
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return key if isinstance(key, str) else _entry(node.value)
    return last_name(node)


def _zipped(loop: ast.For) -> Iterator[tuple[str, str]]:
    """The names of a loop over `zip`, each with what it goes through."""
    if isinstance(loop.iter, ast.Call) and called(loop.iter) == "zip" and isinstance(loop.target, ast.Tuple):
        for target, source in zip(loop.target.elts, loop.iter.args, strict=False):
            if last_name(target) and last_name(source):
                yield last_name(target), last_name(source)

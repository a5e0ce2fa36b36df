"""What the source of a script suggests about its checkpoints. Hints for wording only: nothing is proved by them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SCHEDULE = re.compile(
    r"cosine|warm_?up|schedul|anneal|\blr_at\b|get_lr|lr_decay|step_?lr|one_?cycle|invscaling|power_t|milestones|decay_steps",
    re.IGNORECASE,
)
_OPTIMISER = re.compile(
    r"optim|momentum|velocit|adam|rmsprop|exp_avg|moment|^opt$|^vel$|^mom$|^[mv][wb]?$", re.IGNORECASE
)
_SAVERS = {
    "save",
    "savez",
    "savez_compressed",
    "dump",
    "dumps",
    "write",
    "write_bytes",
    "write_text",
    "save_checkpoint",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """Words of a script that bear on why it might not go on as it was."""

    schedules: bool = False  # it changes its learning rate by a rule
    optimises: bool = False  # its optimiser has a memory of its own
    saves_optimiser: bool = False  # something like it is among what is saved


def hints(source: str) -> Hints:
    """Read a script's words; a text that is not Python gives no hints."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Hints()
    names = set(_names(tree))
    saved = {name for function in _saving(tree) for name in _names(function)}
    return Hints(
        schedules=any(_SCHEDULE.search(name) for name in names),
        optimises=any(_OPTIMISER.search(name) for name in names),
        saves_optimiser=any(_OPTIMISER.search(name) for name in saved),
    )


def _saving(tree: ast.AST) -> Iterator[ast.AST]:
    """The calls that save something, and the dictionaries that are made for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in _SAVERS or "save" in called.lower():
                yield from (*node.args, *node.keywords)
        if isinstance(node, ast.FunctionDef) and re.search(r"save|state_dict|checkpoint|snapshot", node.name):
            yield from (part for part in ast.walk(node) if isinstance(part, ast.Dict | ast.Tuple))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40:
            yield node.value

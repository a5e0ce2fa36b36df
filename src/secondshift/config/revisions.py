"""What an edit of the study file means: a new revision that never mixes with the old, or an amendment."""

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from secondshift.records.studies import Objective, Study
from secondshift.runtime.protectedfiles import protected_files

# A change of one of these asks another question; results before and after are never compared.
REVISING = frozenset(
    ["command", "folder", "objective", "horizon_steps", "schedule", "space", "evaluate", "evaluator_hash", "passing", "metrics"]
)
_NOT_IN_THE_FILE = frozenset(["revision"])
_PIECE = 1 << 20  # bytes read at a time


def diff_studies(old: Study, new: Study) -> tuple[tuple[str, ...], bool]:
    """Give the keys that differ ("budget.trials"), and whether that makes a new revision of the study."""
    changed: list[str] = []
    revising = False
    for field in fields(Study):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name in _NOT_IN_THE_FILE or before == after:
            continue
        asks_anew = field.name in REVISING and _question(before) != _question(after)
        revising = revising or asks_anew
        if asks_anew or not is_dataclass(before):
            changed.append(field.name)
        else:
            inner = (part.name for part in fields(before) if getattr(before, part.name) != getattr(after, part.name))
            changed += [f"{field.name}.{name}" for name in inner]
    return tuple(changed), revising


def _question(value: object) -> object:
    """What of a part of the study decides whether results compare: guards and a second objective only read them otherwise."""
    return replace(value, guards=(), also=None) if isinstance(value, Objective) else value


def evaluator_hash(folder: Path, read_only: tuple[str, ...], evaluate: tuple[str, ...] = ()) -> str:
    """Digest the evaluator's command and the content of the protected files (patterns below `folder`), as sha256 hex.

    Empty if nothing is protected. A pattern that matches nothing counts as just that; a file that cannot be read is an
    OSError.
    """
    if not read_only and not evaluate:
        return ""
    total = hashlib.sha256(json.dumps([evaluate, sorted(read_only)]).encode())
    for path in protected_files(folder, read_only):
        total.update(f"\0{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                total.update(piece)
    return total.hexdigest()

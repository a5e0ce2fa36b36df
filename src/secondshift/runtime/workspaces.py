"""A working tree of its own for each trial of a code candidate: the study as it is, with the change, and nothing else.

Made beside everything else and marked when it is whole, so that one that a crash left half made is made anew.
"""

import contextlib
import filecmp
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.records.orders import Order
from secondshift.records.protection import guarded, refusal
from secondshift.records.studies import Study
from secondshift.runtime import changes, originals, repositories
from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.attempt_files import write_atomic
from secondshift.runtime.executors.processes import boot_id
from secondshift.runtime.protectedfiles import protected_files
from secondshift.runtime.repositories import STORE, Base, ChangeUnusable, TryLater
from secondshift.runtime.sandbox.training import Site, front
from secondshift.runtime.sourcenames import is_source
from secondshift.tracking.wire import PLACE


class ChangeRefused(SecondshiftError):
    """A change touches what it may not. Bring it without that part."""


class BaseMoved(SecondshiftError):
    """The study's code changed since the candidate was made. It is made anew from the code as it is now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """Where a study lies, and what of it a change may not touch."""

    private: Path  # the study's `.secondshift`
    place: Path  # where the study file lies
    study: Study

    def command_folder(self) -> Path:
        """Where the study's command runs."""
        return (self.place / self.study.folder).resolve()

    def guarded(self) -> tuple[str, ...]:
        """Patterns of what a change may not touch, relative to `place`."""
        return guarded(self.study.read_only, self.study.evaluate, self.study.folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a code candidate is made of."""

    digest: str  # of a kept change, or of several in their order, joined by +; empty: nothing but what it is made on
    on: str = ""  # the candidate whose code it is made on; empty: the study's working tree


def examined(ground: Ground, change: Change, base: Base | None = None) -> tuple[Base, str]:
    """Try a change on the code that it is made on; give that and our commit of the result. base: that code, where it is known.

    Raises ChangeRefused where it touches what is protected, with the diff, and ChangeUnusable where it does not apply.
    """
    base = base or made_on(ground, change.on)
    if not change.digest:
        return base, base.commit
    first, *later = change.digest.split("+")
    commit = repositories.apply(ground.private, base, changes.read(ground.private, first))
    for digest in later:
        below = replace(base, tree=repositories.tree_of(ground.private, commit), commit=commit)
        commit = repositories.apply(ground.private, below, changes.read(ground.private, digest))
    inside = os.path.relpath(ground.place.resolve(), base.top)
    why, path = refusal(repositories.touched(ground.private, base.commit, commit), ground.guarded(), inside)
    if why:
        diff = repositories.hunk(ground.private, base.commit, commit, path)
        raise ChangeRefused(f"refused: {why}. Bring the change without that part.\n{diff}")
    return base, commit


def made_on(ground: Ground, on: str) -> Base:
    """The code of a candidate, or "" of the study's working tree as it is now. Raises ChangeUnusable, TryLater, OSError."""
    folder = ground.command_folder()
    if not on:
        return repositories.base_of(folder, ground.private)
    commit = repositories.named(ground.private, on)
    if not commit:
        raise ChangeUnusable(f"The code of {on} is not there any more. Expected it in {ground.private / STORE}.")
    top, head, *_ = repositories.top_of(folder)
    return Base(top=top, head=head, tree=repositories.tree_of(ground.private, commit), commit=commit)


def settled(ground: Ground, candidate: str, change: Change) -> tuple[Base, str]:
    """The commit that a candidate is, made when it first runs and the same for all its trials.

    Raises BaseMoved where the study's code is no longer what it was then, and what `examined` raises.
    """
    known = repositories.named(ground.private, candidate)
    if not known:
        base, commit = examined(ground, change)
        repositories.name(ground.private, candidate, commit, before=base.commit)
        return base, commit
    base, before = made_on(ground, change.on), repositories.named(ground.private, f"{candidate}.base")
    moved = _code_between(ground, before, base)
    if moved and _code_between(ground, known, base):  # else a person has merged it: the study is what the candidate is
        paths = ", ".join(moved[:3])
        raise BaseMoved(f"the study's code changed since {candidate} was made ({paths}); it is tried anew on fresh seeds")
    return base, known


def _code_between(ground: Ground, before: str, base: Base) -> list[str]:
    """The code that differs between a commit of ours and the study; not the log of a night, say, that grows beside the code."""
    if repositories.tree_of(ground.private, before) == base.tree:
        return []
    touched = [one.path for one in repositories.touched(ground.private, before, base.commit)]
    tracked = repositories.kept_by_git(base)
    return [path for path in touched if path in tracked or is_source(path)]


def placed(ground: Ground, order: Order, candidate: str, change: Change) -> Order:
    """The order of an attempt of a code candidate, in its own tree; the tree is made if it is not there yet.

    Raises ChangeRefused, BaseMoved, ChangeUnusable, OtherCode, TryLater, OSError.
    """
    tree = ground.private / "worktrees" / order.trial
    ready = tree.with_name(f"{order.trial}.ready")
    if not _whole(ready):
        base, commit = settled(ground, candidate, change)
        laid_out(ground, tree, commit, base.top)
        moved = _moved(order, ground, tree, base.top)
        roots = originals.roots_in(moved, tree, base.top)
        note = {"boot": boot_id(), "top": str(base.top), "roots": roots}
        write_atomic(str(ready), json.dumps(note).encode(), sync=True)
    note = json.loads(ready.read_bytes())
    moved = originals.with_roots(_moved(order, ground, tree, Path(note["top"])), note["roots"])
    site = Site(private=ground.private, place=ground.place, top=Path(note["top"]), store=ground.private / STORE)
    return replace(moved, sandbox=front(moved, ground.study, site, _own(moved, tree)))


def laid_out(ground: Ground, tree: Path, commit: str, top: Path) -> None:
    """Make a working tree of a commit, with the protected files and the data that git does not keep. Raises ChangeRefused."""
    _make(ground, tree, commit, top)
    _check_protected(ground, tree, top)


def clear(private: Path, trials: Iterable[str]) -> None:
    """Delete the trees of trials that have ended. One that cannot be deleted stays; it costs space and nothing else."""
    _cleared(private, *(private / "worktrees" / trial for trial in trials))


def _cleared(private: Path, *trees: Path) -> None:
    for tree in trees:
        tree.with_name(f"{tree.name}.ready").unlink(missing_ok=True)
        shutil.rmtree(tree, ignore_errors=True)
    if trees and (private / STORE).is_dir():
        with contextlib.suppress(ChangeUnusable, TryLater, OSError):
            for lock in (private / STORE / "worktrees").glob("*/locked"):
                lock.unlink(missing_ok=True)  # of one that was killed: git keeps what is locked
            repositories.git("worktree", "prune", folder=private / STORE)


def standing(private: Path) -> list[str]:
    """List the trials that have a tree."""
    try:
        return sorted(entry.name for entry in os.scandir(private / "worktrees") if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _whole(ready: Path) -> bool:
    """Say whether a tree was made to its end, since this machine booted: what was not synced may be lost with the power."""
    try:
        return json.loads(ready.read_bytes())["boot"] == boot_id()
    except (OSError, ValueError, KeyError):
        return False


def _make(ground: Ground, tree: Path, commit: str, top: Path) -> None:
    tree.parent.mkdir(exist_ok=True)
    _cleared(ground.private, tree)
    twice = ("--force", "--force")  # once is not enough where git was killed while it made this tree
    repositories.git("worktree", "add", "--quiet", "--detach", *twice, str(tree), commit, folder=ground.private / STORE)
    for path in borrowed(ground, top):
        twin = tree / path.relative_to(top)
        if not os.path.lexists(twin):
            twin.parent.mkdir(parents=True, exist_ok=True)
            twin.symlink_to(path)


def borrowed(ground: Ground, top: Path) -> list[Path]:
    """Files that a candidate reads where they are, because git does not keep them: protected ones, and [data]."""
    found = [*protected_files(ground.place, ground.study.read_only), *(ground.command_folder() / n for n in ground.study.data)]
    resolved = [Path(os.path.abspath(path)) for path in found]
    return [path for path in resolved if path.is_relative_to(top)]


def _check_protected(ground: Ground, tree: Path, top: Path) -> None:
    """Say whether protected files are byte for byte the study's: attributes of a change may alter what git writes."""
    for path in protected_files(ground.place, ground.guarded()):
        twin = tree / Path(os.path.abspath(path)).relative_to(top)
        if not twin.exists() or not (twin.is_symlink() or filecmp.cmp(path, twin, shallow=False)):
            raise ChangeRefused(
                f"refused: {twin.relative_to(tree)} is protected, and the change alters how it is written (.gitattributes)."
            )


def _moved(order: Order, ground: Ground, tree: Path, top: Path) -> Order:
    """The order with every path of the study's tree replaced by its twin in the candidate's; what it may write."""
    cwd = tree / Path(order.cwd).relative_to(top)
    command = [_twin(word, tree, top, ground.private) for word in order.command]
    program = Path(command[0])
    if len(program.parts) > 1 and not program.is_absolute() and not (cwd / program).exists():
        command[0] = str(Path(order.cwd) / program)  # such as .venv/bin/python, which git does not keep
    writable = (*_own(order, tree), "/dev") if confinement.available() else ()
    caches = dict.fromkeys(("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR"), f"{order.folder}/tmp")
    paths = order.env.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    env = {**order.env, **caches}
    if paths:
        env["PYTHONPATH"] = os.pathsep.join(_twin(path, tree, top, ground.private) for path in paths.split(os.pathsep))
    return replace(order, command=tuple(command), cwd=str(cwd), writable=writable, env=env)


def _own(order: Order, tree: Path) -> tuple[str, ...]:
    """What a candidate may write: not the attempt's folder itself, where the supervisor keeps what it goes by and reads back."""
    return str(tree), *(f"{order.folder}/{part}" for part in ("tmp", "out", PLACE)), order.checkpoints


def _twin(word: str, tree: Path, top: Path, private: Path) -> str:
    """A path of the study's tree, or what follows the = of a flag, as the path of its twin where there is one."""
    flag, equals, value = word.rpartition("=")
    path = Path(value)
    if not path.is_absolute() or not path.is_relative_to(top) or path.is_relative_to(private):
        return word
    twin = tree / path.relative_to(top)
    return f"{flag}{equals}{twin}" if twin.exists() else word

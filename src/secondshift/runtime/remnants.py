"""What nothing needs any more of what secondshift keeps beside a study: finding it by what the ledger says is over.

Only known places of the private folder are looked at, and no link is followed. What still goes on, what the ledger does not know,
changes, commits of candidates, outputs, briefs and checkpoints are never among it. Deleting is all there is to do with it, so
that a deletion that was killed is mended by another.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from secondshift.records.states import State
from secondshift.runtime import inheriting, repositories
from secondshift.runtime.measuring import end_all
from secondshift.runtime.repositories import STORE, ChangeUnusable, TryLater
from secondshift.runtime.tokens import token_of
from secondshift.tracking.checkpoints import WRITING

Kind = Literal[
    "workspace",  # of a call of the agent that is over, or of one that never came
    "tree",  # of a code candidate's trial that is over
    "scratch",  # temporary files of attempts, quick checks and evaluations
    "draft",  # a file that was being written when its writer was killed
    "objects",  # of our own repository, to which nothing leads
    "cache",  # can be made again
]
QUIET_S = 60.0  # a draft that was touched since may have a writer: a person who brings an idea needs no lease
LOOSE = "--expire=1.hour.ago"  # for objects, for the same reason
AHEAD = "ahead"  # beside the folders of calls: what is laid out for the next one
WORKSPACE = ("tree", "tmp", "out", "index", "index.lock", "index.after", "index.after.lock", "excluded")
DRAFT = re.compile(r".+\.\d+\.tmp")
DRAFTS = (  # below the private folder: what writers that give no number of theirs leave
    "keeper.json.tmp", "canary-*.patch", "probe-*", "spool/tmp/*", "imports/tmp/*", "briefs/.*",
    f"{STORE}/index-*", f"{STORE}/*.lock", f"{STORE}/refs/*/*.lock", f"{STORE}/worktrees/*/*.lock",
    f"{STORE}/objects/??/tmp_obj_*", f"{STORE}/objects/pack/tmp_*",
)  # fmt: skip
WRITTEN = (".", "cache", "changes", "spool", "worktrees", f"{STORE}/objects/info")  # folders in which drafts carry a number


@dataclass(frozen=True, kw_only=True, slots=True)
class Remnant:
    """One thing that may go."""

    kind: Kind
    path: Path
    bytes: int
    token: str = ""  # marks the processes that may still be at work there


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What may go, and how many drafts may still have a writer."""

    remnants: tuple[Remnant, ...]
    young: int


def found(private: Path, state: State, *, now_s: float, caches: bool = False) -> Found:
    """Find what may go while no engine works on the study. now_s: UTC seconds by this machine's clock."""
    drafts = dict.fromkeys(_drafts(private, state))
    old = [path for path in drafts if now_s - _changed(path) >= QUIET_S]
    cached = [(path, "") for path in _entries(private / "cache") if caches and path not in drafts]
    kinds: dict[Kind, Iterable[_Place]] = {
        "workspace": _workspaces(private, state), "tree": _trees(private, state), "scratch": _scratch(private, state),
        "draft": [(path, "") for path in old], "cache": cached,
    }  # fmt: skip
    every = [Remnant(kind=k, path=path, bytes=_size(path), token=token) for k, places in kinds.items() for path, token in places]
    return Found(remnants=(*every, *_objects(private, state)), young=len(drafts) - len(old))


def delete(remnant: Remnant) -> str:
    """Delete one; "", or why it is still there. What works in it is ended first."""
    if remnant.token:
        end_all(remnant.token)
    try:
        if remnant.kind == "objects":
            repositories.git("prune", LOOSE, folder=remnant.path.parent)
        elif remnant.path.is_dir() and not remnant.path.is_symlink():
            _opened(remnant.path)
            shutil.rmtree(remnant.path)
        else:
            remnant.path.unlink(missing_ok=True)
    except (OSError, ChangeUnusable, TryLater) as problem:
        return "" if isinstance(problem, FileNotFoundError) and not os.path.lexists(remnant.path) else str(problem)
    return ""


_Place = tuple[Path, str]  # and the token of what may be at work there


def _workspaces(private: Path, state: State) -> Iterator[_Place]:
    """Workspaces of calls that are over. Brief, output, claim and result of a call stay."""
    for home in _over(private / "agents", known=state.calls, going=state.calling):
        for name in WORKSPACE:
            if os.path.lexists(home / name):
                yield home / name, token_of("agent", home)
    spare = private / "agents" / AHEAD  # nobody holds it: without an engine no process waits for a call
    yield from ((spare / name, "") for name in WORKSPACE if not spare.is_symlink() and os.path.lexists(spare / name))


def _trees(private: Path, state: State) -> Iterator[_Place]:
    """Trees of trials that are over, each after the mark that it is whole; what git noted of trees that are gone."""
    for entry in sorted(_entries(private / "worktrees"), key=lambda entry: entry.suffix != ".ready"):
        if _ended(entry.name.removesuffix(".ready"), state):
            yield entry, ""
    for note in _entries(private / STORE / "worktrees"):  # git may have given it another name than the tree's
        tree = _noted(note)
        if tree is None or not tree.exists() or tree.parent.parent == private / "checks" or _ended(tree.name, state):
            yield note, ""


def _ended(trial: str, state: State) -> bool:
    return trial in state.trials and trial not in state.open


def _noted(note: Path) -> Path | None:
    """The tree of a note of git's; None where it was killed before it wrote that down."""
    try:
        return Path((note / "gitdir").read_text().strip()).parent
    except (OSError, ValueError):
        return None


def _scratch(private: Path, state: State) -> Iterator[_Place]:
    for attempt in _entries(private / "attempts"):
        if attempt.name.partition(".a")[0] in state.trials and attempt.name not in state.attempts:
            yield from ((attempt / name, "") for name in ("tmp", "checkpoints") if (attempt / name).is_dir())
    for trial in _over(private / "trials", known=state.trials, going=state.open):
        halves = [trial / inheriting.COPYING, *(trial / "checkpoints").glob(f"{WRITING}*")]
        yield from ((path, "") for path in halves if path.exists())
    yield from ((check, token_of("check", check)) for check in _entries(private / "checks"))
    for judged in _entries(private / "evaluations"):
        yield from ((judged / name, token_of("judge", judged)) for name in ("tmp", "artefact") if (judged / name).exists())


def _drafts(private: Path, state: State) -> Iterator[Path]:
    yield from (path for pattern in DRAFTS for path in private.glob(pattern))
    over = [*_over(private / "agents", known=state.calls, going=state.calling)]
    over += [path for path in _entries(private / "attempts") if path.name not in state.attempts]
    for folder in (*(private / name for name in WRITTEN), *over):
        yield from (path for path in _entries(folder) if DRAFT.fullmatch(path.name))


def _objects(private: Path, state: State) -> Iterator[Remnant]:
    """What our repository holds and nothing leads to; not while a call goes on, whose workspace git cannot know of."""
    store = private / STORE
    if state.calling or not (store / "objects").is_dir():
        return
    try:
        listed = repositories.git("prune", "--dry-run", LOOSE, folder=store).decode().splitlines()
    except (ChangeUnusable, TryLater, OSError):
        return  # it costs space and nothing else
    names = (line.split()[0] for line in listed if line)
    if size := sum(_size(store / "objects" / name[:2] / name[2:]) for name in names):
        yield Remnant(kind="objects", path=store / "objects", bytes=size)


def _over(folder: Path, *, known: Iterable[str], going: Iterable[str]) -> Iterator[Path]:
    """Folders that the ledger knows and that nothing works in any more."""
    over = set(known) - set(going)
    return (path for path in _entries(folder) if path.name in over)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing where it is a link or not there."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    try:
        own = os.lstat(path).st_size
    except OSError:
        return 0
    if path.is_symlink() or not path.is_dir():
        return own
    return sum(_size(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _changed(path: Path) -> float:
    """When something was last done to it, in UTC seconds; 0 where it is gone."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)


def _opened(folder: Path) -> None:
    """Let us into every folder below one: what an agent made may be closed to everybody."""
    os.chmod(folder, 0o700)
    for place, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(inside := os.path.join(place, name)):
                os.chmod(inside, 0o700)

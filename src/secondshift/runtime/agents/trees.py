"""The workspace of one call: the study as it is, in a folder of its own, and what differs in it afterwards.

The agent gets a repository of its own, so that it can look at the past, commit and branch; it shares nothing that it could
write. We compare with an index and a store of ours and never ask git about the agent's repository, whose configuration
may name programs to run.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.records.protection import refusal
from secondshift.runtime import changes, repositories, workspaces
from secondshift.runtime.repositories import STORE, git
from secondshift.runtime.workspaces import Change, Ground

MOST_FILES = 2000  # that may differ
LOCK = "index.lock"  # left by a git that was killed
AFTER = "index.after"  # what the agent left, as git sees it
CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
[user]
\tname = agent
\temail = agent@localhost
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A workspace that is whole."""

    top: Path  # of its files
    cwd: Path  # the folder in it in which the study's command runs
    index: Path  # ours
    commit: str  # what it was made of
    before: str  # git's digest of all files of that
    excluded: Path  # patterns of files that are links to the study's own
    objects: tuple[Path, ...]  # where what it may look at is kept
    borrowed: tuple[Path, ...]  # what those links lead to


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What differs in a workspace after a call."""

    patch: bytes = b""  # empty: nothing
    refused: str = ""  # why it may not be a change, with the part of the difference that it is about
    spilled: str = ""  # it is too much to be looked at: how much


def made(ground: Ground, on: str, home: Path) -> Tree:
    """Make the workspace of a call below `home`, of the code of candidate `on` or of the study's working tree.

    Raises ChangeUnusable, TryLater, OSError.
    """
    base, commit = workspaces.examined(ground, Change(digest="", on=on))
    store, top, index = ground.private / STORE, home / "tree", home / "index"
    shutil.rmtree(top, ignore_errors=True)
    for old in (index, home / LOCK):
        old.unlink(missing_ok=True)
    top.mkdir(parents=True)
    variables = {"GIT_DIR": str(store), "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(top)}
    git("read-tree", "--reset", "-u", commit, folder=top, variables=variables)
    linked = _linked(ground, top, base.top)
    excluded = home / "excluded"
    excluded.write_text("".join(f"/{_literal(str(path))}\n" for path in linked))
    repository = top / ".git"
    _own_repository(repository, store, commit, index, excluded)
    objects = [store / "objects", *map(Path, (store / "objects/info/alternates").read_text().split("\n")[:1])]
    return Tree(
        top=top, cwd=top / os.path.relpath(ground.command_folder(), base.top), index=index, commit=commit, before=base.tree,
        excluded=excluded, objects=tuple(objects), borrowed=tuple(linked.values()),
    )  # fmt: skip


def _linked(ground: Ground, top: Path, study: Path) -> dict[Path, Path]:
    """Link to what git does not keep of the protected files and the data; the links, and what they lead to."""
    linked = {}
    for path in workspaces.borrowed(ground, study):
        place = path.relative_to(study)
        if not os.path.lexists(top / place):
            (top / place).parent.mkdir(parents=True, exist_ok=True)
            (top / place).symlink_to(path)
            linked[place] = path
    return linked


def _literal(path: str) -> str:
    """A path as a pattern of git that matches nothing else."""
    return "".join(f"\\{letter}" if letter in "\\*?[] #!" else letter for letter in path)


def _own_repository(folder: Path, store: Path, commit: str, index: Path, excluded: Path) -> None:
    for name in ("objects/info", "objects/pack", "refs/heads", "info"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/idea\n")
    (folder / "refs/heads/idea").write_text(f"{commit}\n")
    (folder / "config").write_text(CONFIG)
    (folder / "objects/info/alternates").write_text(f"{store / 'objects'}\n")
    shutil.copyfile(excluded, folder / "info/exclude")
    shutil.copy2(index, folder / "index")


def left(ground: Ground, tree: Tree) -> Left:
    """Look at what differs, without running anything of the workspace. Raises ChangeUnusable, TryLater, OSError."""
    store = ground.private / STORE
    index = tree.index.with_name(AFTER)  # a copy: where git is killed half-way, it is asked again about what the agent left
    index.with_name(f"{AFTER}.lock").unlink(missing_ok=True)
    shutil.copy2(tree.index, index)  # with its time: git looks into files that are no older than their index
    variables = {"GIT_DIR": str(store), "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(tree.top)}
    exclude = ("-c", f"core.excludesFile={tree.excluded}")
    listed = git(*exclude, "ls-files", "-z", "-o", "-m", "-d", "--exclude-standard", folder=tree.top, variables=variables)
    paths = list(dict.fromkeys(filter(None, listed.split(b"\0"))))
    if not paths:
        return Left()
    if spilled := _spilled(tree.top, paths):
        return Left(spilled=spilled)
    git(*exclude, "add", "--all", "--", ".", folder=tree.top, variables=variables)
    after = git("write-tree", folder=store, variables=variables).decode().strip()
    if after == tree.before:
        return Left()
    commit = repositories.committed(store, after, tree.commit, "what an agent left")
    top, *_ = repositories.top_of(ground.command_folder())
    inside = os.path.relpath(ground.place.resolve(), top)
    why, path = refusal(repositories.touched(ground.private, tree.commit, commit), ground.guarded(), inside)
    if why:
        return Left(refused=f"{why}\n{repositories.hunk(ground.private, tree.commit, commit, path)}")
    patch = git(
        "diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", tree.commit, commit, folder=store
    )
    return Left(patch=patch)


def _spilled(top: Path, paths: Sequence[bytes]) -> str:
    """Say how much differs where that is too much to be read."""
    if len(paths) > MOST_FILES:
        return f"{len(paths)} files differ, and at most {MOST_FILES} may"
    total = 0
    for path in paths:
        try:
            total += os.lstat(os.path.join(os.fsencode(top), path)).st_size
        except OSError:
            continue  # it is gone: that is a difference, too
    return f"{total} bytes of files differ, and at most {changes.MOST_BYTES} may" if total > changes.MOST_BYTES else ""


def cleared(home: Path) -> None:
    """Delete a workspace; brief, output and result stay. What cannot be deleted costs space and nothing else."""
    for name in ("tree", "tmp", "out"):
        shutil.rmtree(home / name, ignore_errors=True)
    for name in ("index", LOCK, AFTER, f"{AFTER}.lock", "excluded"):
        (home / name).unlink(missing_ok=True)

"""The workspace of one call: the study as it is, in a folder of its own, and what differs in it afterwards.

The agent gets a repository of its own, so that it can look at the past, commit and branch; it shares nothing that it could
write. We compare with an index and a store of ours and never ask git about the agent's repository, whose configuration
may name programs to run. Writing all files is most of what a call takes of ours, so that is done ahead of it where there is time.
"""

import fcntl
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.records.protection import refusal
from secondshift.runtime import changes, repositories, workspaces
from secondshift.runtime.repositories import STORE, ChangeUnusable, TryLater, git
from secondshift.runtime.workspaces import Change, Ground

MOST_FILES = 2000  # that may differ
LOCK = "index.lock"  # left by a git that was killed
AFTER = "index.after"  # what the agent left, as git sees it
AHEAD = "ahead"  # beside the folders of calls: what is laid out for the next one; `remnants` knows it, too
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
    study: Path  # the top of the files that they are like
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
    commit: str = ""  # what the workspace is with it
    refused: str = ""  # why it may not be a change, with the part of the difference that it is about
    spilled: str = ""  # it is too much to be looked at: how much


@dataclass(kw_only=True, slots=True)
class Ahead:
    """Files that are laid out before their call is ordered, in a place that one process holds at a time."""

    folder: Path
    lock: int
    commit: str = ""  # what they are; empty: there is nothing to take

    def moved(self, home: Path) -> None:
        """Give them to a call: renamed, so that every file looks from outside as their index has noted it."""
        os.rename(self.folder / "tree", home / "tree")
        os.rename(self.folder / "index", home / "index")
        self.left()

    def left(self) -> None:
        """Delete what nobody took, and make way for another process."""
        if self.lock >= 0:
            cleared(self.folder)
            os.close(self.lock)
        self.lock, self.commit = -1, ""


def ahead(ground: Ground, on: str) -> Ahead | None:
    """Lay out files as a call ordered now would need them.

    None where another process holds the place, or there is no such code: a call then makes its own, and says what is wrong.
    """
    folder = ground.private / "agents" / AHEAD
    folder.mkdir(parents=True, exist_ok=True)
    spare = Ahead(folder=folder, lock=os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
    try:
        fcntl.flock(spare.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(spare.lock)
        return None
    try:
        _, commit = workspaces.examined(ground, Change(digest="", on=on))
        _laid_out(ground, commit, folder)
    except (ChangeUnusable, TryLater, OSError):
        spare.left()
        return None
    spare.commit = commit
    return spare


def made(ground: Ground, on: str, home: Path, spare: Ahead | None = None) -> Tree:
    """Make the workspace of a call below `home`, of the code of candidate `on` or of the study's working tree.

    spare: files that are laid out already; what is else in them is brought about. Raises ChangeUnusable, TryLater, OSError.
    """
    base, commit = workspaces.examined(ground, Change(digest="", on=on))
    store, top, index = ground.private / STORE, home / "tree", home / "index"
    _laid_out(ground, commit, home, spare)
    linked = _linked(ground, top, base.top)
    excluded = home / "excluded"
    excluded.write_text("".join(f"/{_literal(str(path))}\n" for path in linked))
    repository = top / ".git"
    _own_repository(repository, store, commit, index, excluded)
    objects = [store / "objects", *map(Path, (store / "objects/info/alternates").read_text().split("\n")[:1])]
    return Tree(
        top=top, study=base.top, cwd=top / os.path.relpath(ground.command_folder(), base.top), index=index, commit=commit,
        before=base.tree, excluded=excluded, objects=tuple(objects), borrowed=tuple(linked.values()),
    )  # fmt: skip


def _laid_out(ground: Ground, commit: str, home: Path, spare: Ahead | None = None) -> None:
    """Make the files of a commit, with an index of ours that knows how they look from outside."""
    top, index = home / "tree", home / "index"
    shutil.rmtree(top, ignore_errors=True)
    for old in (index, home / LOCK):
        old.unlink(missing_ok=True)
    if spare is not None and spare.commit and not _other_attributes(ground, spare.commit, commit):
        spare.moved(home)
    top.mkdir(parents=True, exist_ok=True)
    variables = {"GIT_DIR": str(ground.private / STORE), "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(top)}
    git("read-tree", "--reset", "-u", commit, folder=top, variables=variables)


def _other_attributes(ground: Ground, before: str, commit: str) -> bool:
    """Say whether files may look different that are the same to git."""
    if before == commit:
        return False
    return any(os.path.basename(one.path) == ".gitattributes" for one in repositories.touched(ground.private, before, commit))


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
    inside = os.path.relpath(ground.place.resolve(), tree.study)
    why, path = refusal(repositories.touched(ground.private, tree.commit, commit), ground.guarded(), inside)
    if why:
        return Left(refused=f"{why}\n{repositories.hunk(ground.private, tree.commit, commit, path)}")
    patch = git(
        "diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", tree.commit, commit, folder=store
    )
    return Left(patch=patch, commit=commit)


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

"""Git, asked without a shell, hooks or prompts: the study's tree as a commit of our own, and changes on top of it.

Commits of ours lie in a bare repository below the private folder, which borrows the study's objects. Into the study's own
nothing is written but branches of what held up (`branching`).
"""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.records.protection import LINK, Touched
from secondshift.runtime.executors.attempt_files import write_atomic

TIMEOUT_S = 20.0
STORE = "candidates.git"  # below the private folder
PRIVATE = ".secondshift"
FILE_CAP, TOTAL_CAP = 1 << 20, 20 << 20  # bytes of an untracked file, and of all of them, that become part of a base
HUNK_CAP = 1500  # letters of a diff that is quoted
FULL = {  # what git says where there is no space, so that no file's name can say it too
    errno.ENOSPC: re.compile(
        # The last is of a file of a working tree, for which git gives no reason: a full disk is the one that passes.
        r": No space left on device$|Out of diskspace$|^error: unable to write file .*\nfatal: Could not reset index file ",
        re.MULTILINE,
    ),
    errno.EDQUOT: re.compile(r": Disk quota exceeded$", re.MULTILINE),
}
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "secondshift"), ("EMAIL", "secondshift@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}


class ChangeUnusable(SecondshiftError):
    """A change cannot be used. Bring a patch that `git diff` made, or a branch of the study's own repository."""


class TryLater(SecondshiftError):
    """A program gave no answer this time, which says nothing of the change. It is asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The study's tree as it is now: its commit, uncommitted changes of tracked files, and small untracked ones."""

    top: Path  # of the study's working tree
    head: str  # the commit it is at
    tree: str  # git's digest of all that belongs to it
    commit: str  # ours, on top of `head`
    left_out: tuple[str, ...] = ()  # untracked files that are too large to belong to it


def git(
    *arguments: str, folder: Path, variables: Mapping[str, str] | None = None, data: bytes | None = None
) -> bytes:
    """Run git and return what it prints; what it writes is on the disk when it ends, but for indexes, which are all passing.

    Raises ChangeUnusable with git's own words where it fails, TryLater where it took too long, could not be started or was
    killed, and OSError where the disk is full.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **WHO}
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
               "-c", "core.fsync=all,-index", "-c", "gc.auto=0", "-c", "advice.detachedHead=false", *arguments]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=folder, env={**environment, **(variables or {})}, capture_output=True, timeout=TIMEOUT_S,
            check=False, input=data or b"",
        )  # fmt: skip
    except FileNotFoundError as problem:
        raise ChangeUnusable("git was not found, and code ideas need it. Install it, or bring the idea as --set.") from problem
    except (OSError, subprocess.SubprocessError) as problem:
        if isinstance(problem, OSError) and problem.errno in FULL:
            raise
        raise TryLater(f"git {arguments[0]} did not end well in {folder}: {problem}. Try it there by hand.") from problem
    if done.returncode < 0:
        raise TryLater(f"git {arguments[0]} in {folder} was killed by signal {-done.returncode}. Try it there by hand.")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        for number, words in FULL.items():
            if words.search(said):
                raise OSError(number, os.strerror(number), str(folder))
        raise ChangeUnusable(f"git {arguments[0]} failed in {folder}: {said[-600:]}")
    return done.stdout


def top_of(folder: Path) -> tuple[Path, str, Path, Path]:
    """Give the top of a folder's working tree, its commit, and where its objects and its index lie. Raises ChangeUnusable."""
    try:
        said = git(
            "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-path", "objects", "--git-path", "index", "HEAD",
            folder=folder,
        )  # fmt: skip
    except ChangeUnusable as problem:
        raise ChangeUnusable(
            f"{folder} is not in a git repository with a commit, so there is nothing that a change could be applied to. "
            f"Run `git init`, `git add` and `git commit` there, or bring the idea as --set NAME=VALUE. ({problem})"
        ) from problem
    top, objects, index, head = said.decode("utf-8", "surrogateescape").splitlines()
    return Path(top), head, Path(objects), Path(index)


def base_of(folder: Path, private: Path) -> Base:
    """Make a commit of the study's tree as it is, without touching it or its index. Raises ChangeUnusable, TryLater, OSError."""
    top, head, objects, index = top_of(folder)
    store = _store(private, objects)
    untracked, left_out = _untracked(top)
    with index_of(store, index) as variables:
        inside = {**variables, "GIT_WORK_TREE": str(top)}
        git("add", "--update", "--", ".", folder=top, variables=inside)
        if untracked:
            listed = b"\0".join(os.fsencode(path) for path in untracked)
            git("update-index", "--add", "--remove", "-z", "--stdin", folder=top, variables=inside, data=listed)
        tree = git("write-tree", folder=store, variables=variables).decode().strip()
        commit = committed(store, tree, head, "the study as it is")
    return Base(top=top, head=head, tree=tree, commit=commit, left_out=left_out)


def apply(private: Path, base: Base, patch: bytes) -> str:
    """Make a commit of a base with a patch on top. Raises ChangeUnusable where it does not apply or changes nothing."""
    store = private / STORE
    with index_of(store, None) as variables:
        git("read-tree", base.commit, folder=store, variables=variables)
        try:
            git("apply", "--cached", "--whitespace=nowarn", "-", folder=store, variables=variables, data=patch)
        except ChangeUnusable as problem:
            if _undoes(store, variables, patch):
                raise ChangeUnusable(
                    "The change is in the study's files already: what ideas are judged against would have it too. Expected "
                    "files without it. Take it out there (`git apply -R` with that patch) and bring it again."
                ) from problem
            raise ChangeUnusable(
                f"The change does not apply to the study as it is (commit {base.head[:10]} and what is not committed): "
                f"{_words(problem)}. Expected a diff against it. Make it anew with `git diff`, or rebase the branch."
            ) from problem
        tree = git("write-tree", folder=store, variables=variables).decode().strip()
        if tree == base.tree:
            raise ChangeUnusable("The change changes nothing: the study's files are the same with it. Expected a difference.")
        return committed(store, tree, base.commit, "a candidate")


def _undoes(store: Path, variables: Mapping[str, str], patch: bytes) -> bool:
    """Say whether a patch could be taken out of what is in the index: then it is in there."""
    try:
        git("apply", "--cached", "--check", "--reverse", "-", folder=store, variables=variables, data=patch)
    except ChangeUnusable:
        return False
    return True


def touched(private: Path, before: str, after: str) -> list[Touched]:
    """List what differs between two commits of ours; a rename is a deletion and an addition."""
    store, found = private / STORE, []
    fields = git("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after, folder=store).split(b"\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        old, new, _, blob, _ = head.decode().removeprefix(":").split()
        target = git("cat-file", "blob", blob, folder=store).decode("utf-8", "replace") if new == LINK else ""
        found.append(Touched(path=os.fsdecode(path), old_mode=old, new_mode=new, target=target))
    return found


def texts(private: Path, commit: str, paths: Iterable[str]) -> dict[str, str | None]:
    """What files of a commit of ours say; None for those that are not there. Links are given as what they lead to."""
    found: dict[str, str | None] = {path: f"{commit}:{path}" for path in paths}
    asked = [path for path in found if "\n" not in path]  # git cannot be asked for others, which count as changed
    data = b"".join(os.fsencode(f"{commit}:{path}\n") for path in asked)
    said, at = git("cat-file", "--batch", folder=private / STORE, data=data), 0
    for path in asked:
        end = said.index(b"\n", at)
        head = said[at:end].rsplit(b" ", 2)
        if head[-1] == b"missing":
            found[path], at = None, end + 1
            continue
        size = int(head[-1])
        found[path], at = said[end + 1 : end + 1 + size].decode("utf-8", "surrogateescape"), end + size + 2
    return found


def hunk(private: Path, before: str, after: str, path: str) -> str:
    """The part of a difference that is about one path, cut to what can be quoted."""
    said = git("diff", "--no-renames", "--no-ext-diff", "--no-textconv", before, after, "--", path, folder=private / STORE)
    text = said.decode("utf-8", "replace")
    return text if len(text) <= HUNK_CAP else f"{text[:HUNK_CAP]}\n[...]"


def tree_of(private: Path, commit: str) -> str:
    """Git's digest of all files of a commit of ours."""
    return git("rev-parse", "--verify", f"{commit}^{{tree}}", folder=private / STORE).decode().strip()


def name(private: Path, candidate: str, commit: str, *, before: str) -> None:
    """Remember which commit a candidate is, and which one it was made on.

    Only the engine that holds the study's lease calls this: a lock that is there was left by one that was killed.
    """
    for left in (private / STORE / "refs" / "candidates").glob("*.lock"):
        left.unlink(missing_ok=True)
    for key, value in ((f"{candidate}.base", before), (candidate, commit)):
        git("update-ref", f"refs/candidates/{key}", value, folder=private / STORE)


def named(private: Path, candidate: str) -> str:
    """The commit that a candidate is; "" only if it has none yet. Raises ChangeUnusable, TryLater where that cannot be told."""
    store, ref = private / STORE, f"refs/candidates/{candidate}"
    if not _borrowed(store).exists():
        return ""  # it is made before anything is named in it
    known = git("for-each-ref", "--format=%(objectname)", ref, folder=store, variables={"GIT_DIR": str(store)}).decode().strip()
    if not known and (store / ref).exists():
        raise ChangeUnusable(
            f"{store / ref} names no commit, expected that of {candidate}: its code cannot be found. Bring the idea again."
        )
    return known


@contextmanager
def index_of(store: Path, like: Path | None) -> Iterator[dict[str, str]]:
    """A passing index of our own, a copy of another one where there is one, so that unchanged files are not read again."""
    with tempfile.TemporaryDirectory(dir=store, prefix="index-") as folder:
        index = Path(folder) / "index"
        if like is not None and like.exists():
            shutil.copy2(like, index)  # with its time: git reads a file again that was written in the second of its index
        yield {"GIT_DIR": str(store), "GIT_INDEX_FILE": str(index)}


def _store(private: Path, objects: Path) -> Path:
    """Our bare repository; made if absent. One that was half made is completed."""
    store = private / STORE
    borrowed, wanted = _borrowed(store), os.fsencode(objects) + b"\n"
    if not borrowed.exists() or borrowed.read_bytes() != wanted:
        with _alone(private):  # several calls may be the first; git makes way for nobody
            (store / "config.lock").unlink(missing_ok=True)  # of one that was killed
            git("init", "--quiet", "--bare", "--template=", str(store), folder=private)
            borrowed.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(str(borrowed), wanted, sync=True)
    return store


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one who makes something in this folder; a lock that ends with its holder. Raises TryLater."""
    lock, deadline = os.open(folder, os.O_RDONLY | os.O_CLOEXEC), time.monotonic() + TIMEOUT_S
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TryLater(f"{folder} is held by another process of secondshift for {TIMEOUT_S:g} s.") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _borrowed(store: Path) -> Path:
    """The file that says where the study's objects lie; written when all else of our repository is there."""
    return store / "objects" / "info" / "alternates"


def _untracked(top: Path) -> tuple[list[str], tuple[str, ...]]:
    """Untracked files that git does not ignore: those that belong to a base, and those that are too large."""
    listed = git("ls-files", "--others", "--exclude-standard", "-z", folder=top)
    kept, left_out, total = [], [], 0
    for name in filter(None, listed.split(b"\0")):
        path = os.fsdecode(name)
        if PRIVATE in path.split("/") or path.endswith("/"):
            continue
        try:
            size = os.lstat(top / path).st_size
        except (FileNotFoundError, NotADirectoryError):
            continue  # it was there when git looked: a passing file
        if size > FILE_CAP or total + size > TOTAL_CAP:
            left_out.append(path)
            continue
        total += size
        kept.append(path)
    return kept, tuple(left_out)


def kept_by_git(base: Base) -> set[str]:
    """The files of a tree that are committed or staged: all but the untracked ones."""
    staged, committed = ("ls-files", "-z"), ("ls-tree", "-r", "--name-only", "-z", base.head)
    return {os.fsdecode(path) for listed in (staged, committed) for path in git(*listed, folder=base.top).split(b"\0")}


def committed(store: Path, tree: str, parent: str, message: str) -> str:
    return git("commit-tree", tree, "-p", parent, "-m", message, folder=store, variables={"GIT_DIR": str(store)}).decode().strip()


def _words(problem: Exception) -> str:
    """What git said of a patch, without where we ran it."""
    return str(problem).partition(": ")[2].replace("\n", "; ").rstrip(".")

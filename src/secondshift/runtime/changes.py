"""Changes that ideas bring, kept under the digest of what they say; whether or not an engine runs."""

import hashlib
import os
import re
from pathlib import Path

from secondshift.errors import LedgerFull
from secondshift.runtime import repositories
from secondshift.runtime.executors.attempt_files import write_atomic
from secondshift.runtime.repositories import ChangeUnusable

MOST_BYTES = 5 << 20  # of a patch
_SHAPE = re.compile(r"[0-9a-f]{32}")


def store(private: Path, study_folder: Path, *, patch: Path | None = None, branch: str | None = None) -> str:
    """Keep a change and return its digest. Nothing is run, and the study's files and repository stay as they are.

    private: the study's `.secondshift`; study_folder: where its command runs; patch: a file that `git diff` made, or
    branch: a name in the study's repository, of which what it adds to the commit that it left from is taken.
    Raises ChangeUnusable, with what is to be done, where it cannot be read or does not apply to the study as it is,
    TryLater where git did not answer, and LedgerFull.
    """
    if (patch is None) == (branch is None):
        raise ChangeUnusable("A change is a patch or a branch. Give one of the two, not both and not neither.")
    data = _read(patch) if patch is not None else _of_branch(study_folder, branch or "")
    if not data.strip():
        raise ChangeUnusable(f"{patch or branch} holds no difference. Expected what `git diff` prints.")
    if len(data) > MOST_BYTES:
        raise ChangeUnusable(f"{patch or branch} has {len(data)} bytes; expected {MOST_BYTES} at most. Leave data out of it.")
    try:
        private.mkdir(parents=True, exist_ok=True)
        repositories.apply(private, repositories.base_of(study_folder, private), data)
        digest = keep(private, data)
    except OSError as problem:
        if problem.errno not in repositories.FULL:
            raise
        raise LedgerFull(f"The disk is full: no change could be kept in {private}. Free space and bring it again.") from problem
    return digest


def keep(private: Path, data: bytes) -> str:
    """Keep a change that was made of the very code it is meant for, and return its digest. Raises ChangeUnusable, OSError."""
    if len(data) > MOST_BYTES:
        raise ChangeUnusable(f"The change has {len(data)} bytes; expected {MOST_BYTES} at most. Leave data out of it.")
    digest = hashlib.sha256(data).hexdigest()[:32]
    file = _file(private, digest)
    file.parent.mkdir(exist_ok=True)
    write_atomic(str(file), data, sync=True)
    return digest


def read(private: Path, digest: str) -> bytes:
    """Return a kept change. Raises ChangeUnusable where it is gone or is not what was kept."""
    if not _SHAPE.fullmatch(digest):
        raise ChangeUnusable(f"{digest[:40]!r} names no change. Bring it by `secondshift idea` with --patch or --branch.")
    try:
        data = _file(private, digest).read_bytes()
    except OSError as problem:
        raise ChangeUnusable(f"The change {digest} is not there any more ({problem.strerror}). Bring the idea again.") from problem
    if hashlib.sha256(data).hexdigest()[:32] != digest:
        raise ChangeUnusable(f"The change {digest} is not what was kept under that name. Bring the idea again.")
    return data


def _file(private: Path, digest: str) -> Path:
    return private / "changes" / f"{digest}.patch"


def _read(patch: Path) -> bytes:
    try:
        with open(patch, "rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise ChangeUnusable(f"{patch} cannot be read ({problem.strerror}). Expected a file that `git diff` made.") from problem


def _of_branch(folder: Path, branch: str) -> bytes:
    top = repositories.top_of(folder)[0]
    try:
        commit = repositories.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{branch}^{{commit}}", folder=top)
    except ChangeUnusable as problem:
        raise ChangeUnusable(f"There is no branch {branch!r} in {top}. `git branch` lists what there is.") from problem
    name = os.fsdecode(commit).strip()
    try:
        left_from = repositories.git("merge-base", "HEAD", name, folder=top).decode().strip()
    except ChangeUnusable as problem:
        raise ChangeUnusable(f"{branch} and the study's commit have no common past. Rebase the branch.") from problem
    return repositories.git(
        "diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", left_from, name, folder=top
    )

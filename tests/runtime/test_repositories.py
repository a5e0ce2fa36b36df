"""Git as it is on a bad night: killed, slow, out of space, beside a study whose files come and go."""

import errno
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from repositories import TRAIN, git, patch_of, repository
from secondshift.runtime import repositories
from secondshift.runtime.repositories import STORE, Base, ChangeUnusable, TryLater


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return repository(tmp_path / "study")


@pytest.fixture
def git_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put another program in the place of git: a shell script of these lines."""

    def does(lines: str) -> None:
        program = tmp_path / "programs" / "git"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return does


def candidate(study: Path) -> tuple[Base, str]:
    base = repositories.base_of(study, study / ".secondshift")
    patch = patch_of(study, {"train.py": TRAIN.replace("= 1", "= 0.5")}).read_bytes()
    return base, repositories.apply(study / ".secondshift", base, patch)


@pytest.mark.parametrize(
    ("said", "number"),
    [  # what git 2.39 said on a full tmpfs: of a file of a working tree it gives no reason
        ("fatal: unable to write loose object file: No space left on device", errno.ENOSPC),
        ("error: unable to write file big\nfatal: Could not reset index file to revision HEAD.", errno.ENOSPC),
        ("fatal: unable to write loose object file: Disk quota exceeded", errno.EDQUOT),
    ],
)
def test_a_full_disk_is_said_to_be_one(study: Path, git_that: Callable[[str], None], said: str, number: int) -> None:
    git_that(f"echo '{said}' >&2; exit 128")
    with pytest.raises(OSError, match=str(study)) as caught:
        repositories.git("write-tree", folder=study)
    assert caught.value.errno == number


def test_a_file_of_a_patch_that_is_named_like_a_full_disk_is_none(study: Path) -> None:
    base, _ = candidate(study)
    for name in ("a: No space left on device", "unable to write file x", "Out of diskspace",
                 "unable to write file x\nfatal: Could not reset index file "):  # fmt: skip
        text = f"--- a/{name}\n+++ b/{name}\n@@ -1,1 +1,1 @@\n-{name}\n+rate = 8\n"
        with pytest.raises(ChangeUnusable, match="does not apply"):
            repositories.apply(study / ".secondshift", base, text.encode())


def test_git_that_takes_too_long_or_is_killed_says_nothing_of_a_change(
    study: Path, git_that: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    git_that("kill -9 $$")
    with pytest.raises(TryLater, match="signal 9"):
        candidate(study)
    monkeypatch.setattr(repositories, "TIMEOUT_S", 0.05)
    git_that("exec sleep 30")
    with pytest.raises(TryLater, match="did not end well"):
        repositories.base_of(study, study / ".secondshift")


@pytest.mark.parametrize("before", ["lstat", "update-index"])
def test_an_untracked_file_that_goes_while_it_is_looked_at_belongs_to_no_base(
    study: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    passing, real = study / "passing.tmp", repositories.git
    passing.write_text("x")
    (study / "fresh.py").write_text("x = 1\n")

    def hurried(*arguments: str, **named: Any) -> bytes:
        if arguments[0] == "update-index":
            passing.unlink(missing_ok=True)
        said = real(*arguments, **named)
        if before == "lstat" and arguments[0] == "ls-files":
            assert b"passing.tmp" in said
            passing.unlink()
        return said

    monkeypatch.setattr(repositories, "git", hurried)
    base = repositories.base_of(study, study / ".secondshift")
    listed = real("ls-tree", "-r", "--name-only", base.commit, folder=study / ".secondshift" / STORE).decode().split()
    assert listed == ["eval.py", "fresh.py", "train.py"]


def test_a_candidate_has_no_name_only_where_it_was_given_none(study: Path, git_that: Callable[[str], None]) -> None:
    private = study / ".secondshift"
    assert repositories.named(private, "c2") == "", "no store yet"
    base, commit = candidate(study)
    assert repositories.named(private, "c2") == ""
    repositories.name(private, "c2", commit, before=base.commit)
    assert (repositories.named(private, "c2"), repositories.named(private, "c2.base")) == (commit, base.commit)
    ref = private / STORE / "refs" / "candidates" / "c2"
    ref.write_text("")
    with pytest.raises(ChangeUnusable, match="names no commit"):
        repositories.named(private, "c2")
    ref.write_text(f"{commit}\n")
    git_that("exit 128")
    with pytest.raises(ChangeUnusable, match="for-each-ref failed"):
        repositories.named(private, "c2")


def test_a_lock_that_a_killed_engine_left_on_a_name_is_taken_away(study: Path) -> None:
    base, commit = candidate(study)
    locks = study / ".secondshift" / STORE / "refs" / "candidates"
    locks.mkdir()
    for left in ("c2.lock", "c2.base.lock"):
        (locks / left).write_text("")
    repositories.name(study / ".secondshift", "c2", commit, before=base.commit)
    assert repositories.named(study / ".secondshift", "c2") == commit


def test_several_that_are_the_first_make_one_repository_also_where_a_killed_git_left_its_lock(study: Path) -> None:
    private = study / ".secondshift"
    (private / STORE).mkdir(parents=True)
    (private / STORE / "config.lock").touch()
    with ThreadPoolExecutor(6) as at_once:
        found = list(at_once.map(lambda _: repositories.base_of(study, private), range(6)))
    assert len({base.commit for base in found}) == 1


def test_while_one_makes_our_repository_no_other_touches_it(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = study / ".secondshift"
    monkeypatch.setattr(repositories, "TIMEOUT_S", 0.1)
    maker = os.open(private, os.O_RDONLY)
    fcntl.flock(maker, fcntl.LOCK_EX)
    with pytest.raises(TryLater, match="held by another process"):
        repositories._store(private, study / ".git" / "objects")
    assert not (private / STORE).exists()
    os.close(maker)
    monkeypatch.undo()
    assert repositories.base_of(study, private).commit


def test_where_the_studys_objects_lie_is_written_again_if_a_power_cut_lost_it_or_they_moved(study: Path) -> None:
    base, _ = candidate(study)
    borrowed = study / ".secondshift" / STORE / "objects" / "info" / "alternates"
    for lost in ("", "/somewhere/else\n"):
        borrowed.write_text(lost)
        assert repositories.base_of(study, study / ".secondshift") == base
        assert borrowed.read_text() == f"{study / '.git' / 'objects'}\n"


def test_what_git_writes_for_us_is_synced(study: Path) -> None:
    synced = repositories.git("config", "core.fsync", folder=study).decode().strip()
    assert synced == "all,-index", "an index is made anew where it is lost"
    assert "core.fsync" not in git(study, "config", "--list"), "the study's own repository is left as it was"

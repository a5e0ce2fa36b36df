"""Patches and branches that ideas bring: kept once, whole, and only where they apply."""

import errno
import os
import time
from pathlib import Path

import pytest

from repositories import TRAIN, git, patch_of, repository
from secondshift.errors import LedgerFull
from secondshift.records.protection import LINK, NONE
from secondshift.runtime import changes, repositories
from secondshift.runtime.repositories import ChangeUnusable

FASTER = TRAIN.replace("rate = 1", "rate = 0.5")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return repository(tmp_path / "study")


def test_a_patch_is_kept_once_under_the_digest_of_what_it_says(study: Path) -> None:
    private = study / ".secondshift"
    patch = patch_of(study, {"train.py": FASTER})
    began = time.perf_counter()
    digest = changes.store(private, study, patch=patch)
    took = time.perf_counter() - began
    assert changes.store(private, study, patch=patch) == digest
    assert changes.read(private, digest) == patch.read_bytes()
    assert [file.name for file in (private / "changes").iterdir()] == [f"{digest}.patch"]
    assert took < 5.0  # a guard against hanging; a busy machine takes 0.1 s


def test_keeping_a_change_leaves_the_studys_repository_as_it_was(study: Path) -> None:
    def everything() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in (study / ".git").rglob("*") if p.is_file()}

    patch = patch_of(study, {"train.py": FASTER})
    (study / "train.py").write_text(TRAIN + "# not committed\n")
    (study / "fresh.py").write_text("x = 1\n")
    before, status = everything(), git(study, "status", "--porcelain")
    changes.store(study / ".secondshift", study, patch=patch)
    assert everything() == before
    assert "M train.py" in status and "?? fresh.py" in status


def test_a_branch_counts_from_where_it_left(study: Path) -> None:
    git(study, "checkout", "-qb", "idea")
    (study / "train.py").write_text(FASTER)
    git(study, "commit", "-qam", "faster")
    git(study, "checkout", "-q", "trunk")
    (study / "notes.md").write_text("later\n")
    git(study, "add", "notes.md")
    git(study, "commit", "-qm", "trunk went on")
    text = changes.read(study / ".secondshift", changes.store(study / ".secondshift", study, branch="idea")).decode()
    assert "+rate = 0.5" in text and "notes.md" not in text


def test_a_base_holds_what_is_not_committed_and_small_untracked_files_but_not_our_own_folder(study: Path) -> None:
    private = study / ".secondshift"
    (study / ".gitignore").write_text("ignored.bin\n")
    (study / "train.py").write_text(TRAIN + "# dirty\n")
    (study / "fresh.py").write_text("x = 1\n")
    (study / "ignored.bin").write_text("no\n")
    (study / "large.bin").write_bytes(b"0" * (repositories.FILE_CAP + 1))
    (private / "ledger.db").write_text("facts")
    base = repositories.base_of(study, private)
    listed = repositories.git("ls-tree", "-r", "--name-only", base.commit, folder=private / repositories.STORE).decode().split()
    assert listed == [".gitignore", "eval.py", "fresh.py", "train.py"]
    assert base.left_out == ("large.bin",)
    assert repositories.base_of(study, private) == base, "the same tree gives the same commit"
    (study / "train.py").write_text(TRAIN + "# dirtier\n")
    assert repositories.base_of(study, private).tree != base.tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no difference"),
        ("hello\n", "does not apply"),
        ("--- a/train.py\n+++ b/train.py\n@@ -1,1 +1,1 @@\n-rate = 7\n+rate = 8\n", "does not apply"),
        ("--- a/../out.py\n+++ b/../out.py\n@@ -0,0 +1,1 @@\n+x\n", "does not apply"),
        ("--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1,1 @@\n+x\n", "does not apply"),
    ],
)
def test_what_cannot_be_applied_is_refused_with_what_to_do_and_nothing_is_kept(study: Path, text: str, said: str) -> None:
    bad = study.parent / "bad.patch"
    bad.write_text(text)
    with pytest.raises(ChangeUnusable, match=said) as caught:
        changes.store(study / ".secondshift", study, patch=bad)
    assert "xpected" in str(caught.value)
    assert not (study / ".secondshift" / "changes").exists()
    assert not (study.parent / "out.py").exists()


def test_a_change_that_was_left_in_the_studys_files_is_named_as_such(study: Path) -> None:
    patch = patch_of(study, {"train.py": FASTER})
    (study / "train.py").write_text(FASTER)
    with pytest.raises(ChangeUnusable, match="in the study's files already"):
        changes.store(study / ".secondshift", study, patch=patch)


def test_a_full_disk_is_named_and_not_the_change(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(repositories, "base_of", full)
    with pytest.raises(LedgerFull, match="Free space and bring it again"):
        changes.store(study / ".secondshift", study, patch=patch_of(study, {"train.py": FASTER}))


def test_mistakes_of_people_are_named(study: Path, tmp_path: Path) -> None:
    private = study / ".secondshift"
    with pytest.raises(ChangeUnusable, match="no branch 'nowhere'"):
        changes.store(private, study, branch="nowhere")
    with pytest.raises(ChangeUnusable, match="no branch '--help'"):
        changes.store(private, study, branch="--help")
    with pytest.raises(ChangeUnusable, match="cannot be read"):
        changes.store(private, study, patch=tmp_path / "none.patch")
    with pytest.raises(ChangeUnusable, match="one of the two"):
        changes.store(private, study)
    bare = tmp_path / "no-git"
    bare.mkdir()
    with pytest.raises(ChangeUnusable, match="git init"):
        changes.store(bare / ".secondshift", bare, patch=patch_of(study, {"train.py": FASTER}))


def test_what_was_kept_is_not_used_once_it_was_altered(study: Path) -> None:
    private = study / ".secondshift"
    digest = changes.store(private, study, patch=patch_of(study, {"train.py": FASTER}))
    with open(private / "changes" / f"{digest}.patch", "a") as file:
        file.write("\n")
    with pytest.raises(ChangeUnusable, match="not what was kept"):
        changes.read(private, digest)
    with pytest.raises(ChangeUnusable, match="names no change"):
        changes.read(private, "../../etc/passwd")


def test_what_a_change_touches_is_read_from_gits_own_trees(study: Path) -> None:
    private = study / ".secondshift"
    os.symlink("train.py", study / "kept")
    git(study, "add", "kept")
    git(study, "commit", "-qm", "a link")
    patch = study.parent / "renames.patch"
    git(study, "mv", "eval.py", "judge.py")
    os.symlink("/elsewhere", study / "out")
    git(study, "add", "-A")
    patch.write_text(git(study, "diff", "--cached", "-M", "--binary"))
    git(study, "reset", "-q", "--hard")
    assert "rename from" in patch.read_text()
    base = repositories.base_of(study, private)
    after = repositories.apply(private, base, patch.read_bytes())
    found = {one.path: one for one in repositories.touched(private, base.commit, after)}
    assert set(found) == {"eval.py", "judge.py", "out"}
    assert found["eval.py"].new_mode == NONE and (found["out"].new_mode, found["out"].target) == (LINK, "/elsewhere")

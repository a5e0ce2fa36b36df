import os
import sqlite3
from pathlib import Path

import pytest

from secondshift.errors import FilesystemUnfit, FolderReadOnly
from secondshift.ledger import probe as probing
from secondshift.ledger.probe import NETWORK_FILESYSTEMS, STEPS, Site, filesystem_of, probe
from tests.ledger.scenes import small_disk


def test_a_sound_folder_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    probe(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_folder_with_unusual_characters_passes(tmp_path: Path) -> None:
    folder = tmp_path / "with space ?#%&한"
    folder.mkdir()
    probe(folder)


@pytest.mark.parametrize(
    ("vfs", "finding"),
    [
        ("unix-none", "OperationalError|did not stop"),  # locks that do nothing, as some network mounts have them
        ("unix-dotfile", "write-ahead log could not be switched on"),  # no shared memory
        ("unix-excl", "another process"),  # shared memory of one process only
    ],
)
def test_a_way_to_the_disk_that_cannot_lock_or_log_is_refused_with_the_cure(
    tmp_path: Path, vfs: str, finding: str
) -> None:
    with pytest.raises(FilesystemUnfit, match=finding) as caught:
        probe(tmp_path, vfs=vfs)
    assert "local disk" in str(caught.value) and "--ledger" in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("answers", "finding"),
    [
        (["it got the lock too"], "a lock held by one process did not stop another one"),
        (["busy", "it got the lock too"], "with a write-ahead log, a lock did not stop another process"),
        (["busy", "busy", "1"], "did not read what was committed"),
        (["busy", "busy", "1,3"], ""),
    ],
)
def test_what_a_second_process_saw_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], finding: str
) -> None:
    monkeypatch.setattr(probing, "_SECOND", f"for a in {answers!r}: input(); print(a, flush=True)")
    if not finding:
        probe(tmp_path)
        return
    with pytest.raises(FilesystemUnfit, match=finding):
        probe(tmp_path)


@pytest.mark.parametrize("number", range(len(STEPS)))
@pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), sqlite3.OperationalError("disk I/O error")])
def test_whatever_step_fails_the_folder_is_refused_and_left_clean(
    tmp_path: Path, number: int, error: Exception
) -> None:
    def fails(_: Site) -> None:
        raise error

    steps = [*STEPS[:number], fails, *STEPS[number + 1 :]]
    with pytest.raises(FilesystemUnfit, match="local disk"):
        probe(tmp_path, steps=steps)
    assert os.listdir(tmp_path) == []


def test_a_network_filesystem_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "filesystem_of", lambda folder: "nfs4")
    with pytest.raises(FilesystemUnfit, match="nfs4"):
        probe(tmp_path)


def test_a_lock_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(probing, "_SECOND", "import time; time.sleep(60)")
    with pytest.raises(FilesystemUnfit, match="waited"):
        probe(tmp_path)


def test_folders_that_cannot_be_written_are_told_apart_from_unfit_ones(tmp_path: Path) -> None:
    with pytest.raises(FolderReadOnly, match="No such file"):
        probe(tmp_path / "nowhere")
    with small_disk(tmp_path / "disk", options=",ro") as disk, pytest.raises(FolderReadOnly, match="Read-only"):
        probe(disk)


def test_the_kernel_names_the_filesystem_of_a_folder(tmp_path: Path) -> None:
    assert filesystem_of(Path("/proc/self")) == "proc"
    assert filesystem_of(tmp_path) not in NETWORK_FILESYSTEMS
    with small_disk(tmp_path / "a b") as disk:
        (disk / "deep").mkdir()
        assert filesystem_of(disk / "deep") == "tmpfs"

"""Large data is known by path and hash, and read no more often than it changes."""

import hashlib
import os
from pathlib import Path

import pytest

from secondshift.runtime import datafiles
from secondshift.runtime.datafiles import DataFiles


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    real = datafiles._hashed
    monkeypatch.setattr(datafiles, "_hashed", lambda path, size, tell: (seen.append(path), real(path, size, tell))[1])
    return seen


def test_a_file_is_read_once_even_by_the_next_engine_and_again_when_it_changed(tmp_path: Path, reads: list[Path]) -> None:
    (tmp_path / "train.bin").write_bytes(b"tokens")
    expected = {"data.train.bin": hashlib.sha256(b"tokens").hexdigest()[:16]}
    for _ in range(2):
        files = DataFiles(tmp_path / "cache" / "data.json", ["train.bin"])
        assert files.marks(tmp_path) == files.marks(tmp_path) == expected
    assert len(reads) == 1
    (tmp_path / "train.bin").write_bytes(b"TOKENS")
    os.utime(tmp_path / "train.bin", ns=(5, 5))
    assert files.marks(tmp_path) != expected and len(reads) == 2


def test_what_is_too_large_to_hash_beside_the_work_is_told_from_what_was_hashed_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path]
) -> None:
    monkeypatch.setattr(datafiles, "AT_ONCE_BYTES", 4)
    (tmp_path / "big").write_bytes(b"12345678")
    files = DataFiles(tmp_path / "data.json", ["big"])
    assert files.marks(tmp_path)["data.big"].startswith("not hashed: 8 bytes")
    files.hash_all(tmp_path, tell=lambda text: None)
    assert files.marks(tmp_path) == {"data.big": hashlib.sha256(b"12345678").hexdigest()[:16]}
    monkeypatch.setattr(datafiles, "CAP_BYTES", 4)
    os.utime(tmp_path / "big", ns=(5, 5))
    files.hash_all(tmp_path, tell=lambda text: None)
    assert len(reads) == 1 and "not hashed" in files.marks(tmp_path)["data.big"]


def test_progress_is_told_while_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafiles, "PIECE_BYTES", 4)
    monkeypatch.setattr(datafiles, "TELL_S", -1.0)
    (tmp_path / "big").write_bytes(b"12345678")
    told: list[str] = []
    DataFiles(tmp_path / "data.json", ["big"]).hash_all(tmp_path, tell=told.append)
    assert ["50%" in told[0], "100%" in told[1], len(told)] == [True, True, 2]


def test_what_cannot_be_read_is_said_and_stops_no_trial(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{]")
    (tmp_path / "folder").mkdir()
    marks = DataFiles(tmp_path / "data.json", ["folder", "none"]).marks(tmp_path)
    assert marks == {"data.folder": "not a plain file", "data.none": "cannot be read: No such file or directory"}
    (tmp_path / "locked").mkdir()
    (tmp_path / "x").write_text("x")
    assert len(DataFiles(tmp_path / "x" / "data.json", ["x"]).marks(tmp_path)["data.x"]) == 16

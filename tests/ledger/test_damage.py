"""Files that are no sound ledger are refused with a sentence, and stay as they are, byte for byte."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from secondshift.errors import LedgerDamaged, LedgerNewer, StudyMissing
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.sqlite import SqliteLedger
from tests.ledger.scenes import child, fact, filled, opened, points


def contents(folder: Path) -> dict[str, bytes]:
    """Everything in a folder but SQLite's index of its log, which is made anew by every reader."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.name.endswith("-shm")
    }


def refused(folder: Path, error: type[Exception], match: str = "nothing was changed") -> None:
    before = contents(folder)
    for readonly in (True, False):
        with pytest.raises(error, match=match):
            open_ledger(folder, readonly=readonly)
    after = contents(folder)
    assert {name: data for name, data in after.items() if not name.endswith("-wal") or data} == before


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1, 0.01])
def test_a_ledger_that_was_cut_short_is_refused_untouched(tmp_path: Path, share: float) -> None:
    path = filled(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    refused(tmp_path, LedgerDamaged)


@pytest.mark.parametrize("size", [0, 1, 50, 99])
def test_a_ledger_of_which_hardly_anything_is_left_is_refused_untouched(tmp_path: Path, size: int) -> None:
    os.truncate(filled(tmp_path), size)
    refused(tmp_path, LedgerDamaged)


@pytest.mark.parametrize("content", [b"hello", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8176, b"x" * 100_000])
def test_a_file_that_is_something_else_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    refused(tmp_path, LedgerDamaged)


def test_a_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("create table bookmarks (url text)")
    refused(tmp_path, LedgerDamaged, "bookmarks")


def test_a_folder_in_the_place_of_the_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    (tmp_path / "ledger.db" / "x").write_text("x")
    for readonly in (True, False):
        with pytest.raises(LedgerDamaged, match="folder"):
            open_ledger(tmp_path, readonly=readonly)


def test_a_log_without_its_ledger_is_refused_untouched(tmp_path: Path) -> None:
    source = crashed(tmp_path / "source")
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(source / "ledger.db-wal", copy)
    refused(copy, LedgerDamaged, "gone")
    (copy / "ledger.db").touch()
    refused(copy, LedgerDamaged, "empty")


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_a_ledger_cut_short_beside_the_log_of_a_crash_is_refused_untouched(tmp_path: Path, share: float) -> None:
    folder = crashed(tmp_path / "source")
    path = folder / "ledger.db"
    os.truncate(path, int(path.stat().st_size * share))
    before = contents(folder)
    with pytest.raises(LedgerDamaged):
        SqliteLedger(folder)
    assert contents(folder) == before


def test_the_log_of_a_crash_cut_short_costs_only_what_was_cut(tmp_path: Path) -> None:
    """A torn log is what a power cut may leave where the disk lied; every whole transaction in it is kept."""
    folder = crashed(tmp_path / "source")
    log = folder / "ledger.db-wal"
    whole = last_seq(folder)
    os.truncate(log, log.stat().st_size * 2 // 3)
    ledger, token = opened(folder)
    assert 0 < ledger.last_seq() < whole
    assert [event.seq for event in ledger.read()] == list(range(1, ledger.last_seq() + 1))
    ledger.append([fact()], at=0.0, token=token)
    ledger.close()


def test_a_page_of_rubbish_in_the_middle_is_damage_when_it_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path, appends=200)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for position in range(8192, size - 4096, 4096):
            file.seek(position)
            file.write(os.urandom(4096))
    before = contents(tmp_path)
    with pytest.raises(LedgerDamaged):
        ledger = open_ledger(tmp_path, readonly=True)
        list(ledger.read())
    assert contents(tmp_path)["ledger.db"] == before["ledger.db"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("update schema_version set version_num = '9999'", LedgerNewer),
        ("update schema_version set version_num = 'abc'", LedgerDamaged),
        ("delete from schema_version", LedgerDamaged),
        ("update events set version = 99 where seq = (select max(seq) from events)", LedgerNewer),
        ("drop table batches", LedgerDamaged),
    ],
)
def test_a_ledger_of_another_time_is_refused_untouched(tmp_path: Path, change: str, error: type[Exception]) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if change.startswith("drop table"):
            connection.execute("drop view curves")
        connection.execute(change)
    refused(tmp_path, error)


def test_a_start_that_was_cut_off_before_the_tables_stood_is_made_good(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("pragma journal_mode = wal")
    with pytest.raises(StudyMissing, match="secondshift run"):
        open_ledger(tmp_path, readonly=True)
    ledger, token = opened(tmp_path)
    ledger.append([fact()], at=0.0, token=token)
    ledger.close()


def test_an_empty_file_where_nothing_ever_ran_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    ledger, token = opened(tmp_path)
    ledger.append([fact()], at=0.0, token=token)
    ledger.close()


def crashed(folder: Path) -> Path:
    """Leave a ledger with facts both in its file and in the log of a writer that was killed."""
    folder.mkdir()
    filled(folder, appends=60)

    def write(pipe: int) -> None:
        ledger, token = opened(folder)
        for number in range(30):
            logged, batch = points(number * 100, 100)
            ledger.append([logged], at=0.0, token=token, batches=[batch])
        os.write(pipe, b"written")
        time.sleep(30)

    with child(write) as (pid, pipe):
        assert os.read(pipe, 200) == b"written"
        os.kill(pid, signal.SIGKILL)
    assert (folder / "ledger.db-wal").stat().st_size > 0
    return folder


def last_seq(folder: Path) -> int:
    ledger = open_ledger(folder, readonly=True)
    try:
        return ledger.last_seq()
    finally:
        ledger.close()

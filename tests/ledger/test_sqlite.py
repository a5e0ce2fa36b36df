import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from secondshift.errors import ConfigInvalid, FolderReadOnly, LedgerBusy, LedgerFull, StudyMissing
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.sqlite import SqliteLedger
from tests.ledger.scenes import child, fact, filled, opened, points, small_disk


def test_the_live_writing_connection_syncs_its_log_at_every_commit(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path, busy_s=1.5)
    expected = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 1500}
    assert ledger.durability() == expected
    ledger.append([fact()], at=0.0, token=token)
    assert ledger.durability() == expected
    ledger.close()


@pytest.mark.parametrize("table", ["events", "batches"])
def test_facts_and_points_are_recorded_together_or_not_at_all(tmp_path: Path, table: str) -> None:
    ledger, token = opened(tmp_path)
    kept, batch = points(0, 5)
    ledger.append([kept], at=0.0, token=token, batches=[batch])
    with closing(sqlite3.connect(ledger.path)) as other:
        condition = "new.seq > 3" if table == "events" else "new.first_step > 20"
        other.execute(
            f"create trigger fail before insert on {table} when {condition} begin select raise(abort, 'planted'); end"
        )
    later = [points(first, 5) for first in (10, 20, 30)]
    with pytest.raises(Exception, match="planted"):
        ledger.append([p[0] for p in later], at=0.0, token=token, batches=[p[1] for p in later])
    beat = ledger.lease()
    assert ledger.last_seq() == 1
    assert len(ledger.series("t1", "loss")) == 5
    assert beat is not None
    ledger.append([later[0][0]], at=0.0, token=token, batches=[later[0][1]])
    assert len(ledger.series("t1", "loss")) == 10
    ledger.close()


def test_a_reader_in_another_process_sees_what_was_acknowledged_while_the_writer_works(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path)
    logged, batch = points(0, 50)
    ledger.append([logged], at=0.0, token=token, batches=[batch])
    reader = open_ledger(tmp_path, readonly=True)
    assert reader.last_seq() == 1
    assert len(reader.series("t1", "loss")) == 50
    logged, batch = points(50, 50)
    ledger.append([logged], at=0.0, token=token, batches=[batch])
    assert reader.last_seq() == 2
    assert len(reader.series("t1", "loss")) == 100
    reader.close()
    ledger.close()


def test_a_ledger_opened_for_reading_makes_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StudyMissing, match="secondshift run"):
        open_ledger(tmp_path, readonly=True)
    assert os.listdir(tmp_path) == []
    path = filled(tmp_path)
    before = path.read_bytes()
    reader = open_ledger(tmp_path, readonly=True)
    with pytest.raises(PermissionError, match="reading only"):
        reader.append([fact()], at=0.0, token=1)
    with pytest.raises(PermissionError):
        reader.beat(1)
    reader.close()
    assert path.read_bytes() == before


def test_a_ledger_locked_by_another_process_is_busy_in_bounded_time_and_unharmed(tmp_path: Path) -> None:
    path = filled(tmp_path)

    def hold(pipe: int) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            os.write(pipe, b"held")
            time.sleep(30)

    with child(hold) as (_, pipe):
        assert os.read(pipe, 10) == b"held"
        began = time.monotonic()
        with pytest.raises(LedgerBusy, match="database browser"):
            SqliteLedger(tmp_path, busy_s=0.2)
        assert time.monotonic() - began < 3
        reader = open_ledger(tmp_path, readonly=True)  # looking on is still possible
        assert reader.last_seq() == 80
        reader.close()
    ledger, token = opened(tmp_path)
    ledger.append([fact()], at=0.0, token=token)
    ledger.close()


def test_an_append_against_a_lock_raises_and_can_be_repeated(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path, busy_s=0.2)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(LedgerBusy):
            ledger.append([fact()], at=0.0, token=token)
        other.execute("rollback")
    assert [event.seq for event in ledger.append([fact()], at=0.0, token=token)] == [1]
    ledger.close()


def test_two_processes_that_make_the_same_ledger_at_once_end_up_with_one(tmp_path: Path) -> None:
    def make(pipe: int) -> None:
        _, token = opened(tmp_path)
        os.write(pipe, f"{token}\n".encode())
        time.sleep(30)

    with child(make) as (_, one), child(make) as (_, two), child(make) as (_, three):
        told = [os.read(pipe, 500).decode().strip() for pipe in (one, two, three)]
    assert sorted(told) == ["1", "2", "3"], told


def test_threads_may_read_while_one_writes(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path)
    wrong: list[object] = []

    def look() -> None:
        for _ in range(30):
            curve = ledger.series("t1", "loss")
            if curve.steps.tolist() != list(range(len(curve))):
                wrong.append(curve.steps)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        logged, batch = points(number * 10, 10)
        ledger.append([logged], at=0.0, token=token, batches=[batch])
    for thread in threads:
        thread.join(20)
    assert not wrong
    assert len(ledger.series("t1", "loss")) == 400
    ledger.close()


def test_a_hundred_thousand_points_of_noise_take_less_than_1_6_megabytes(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path)
    noise = np.random.default_rng(0)
    for first in range(0, 10_000, 200):
        batches = []
        for metric in range(10):
            logged, batch = points(first, 200, metric=f"m{metric}")
            batch.values[:] = type(batch.values)("d", (2 + noise.normal(0, 0.05, 200)).tobytes())
            batches.append(batch)
        ledger.append([logged], at=0.0, token=token, batches=batches)
    ledger.close()
    reader = open_ledger(tmp_path, readonly=True)
    assert sum(len(batch.steps) for batch in reader.batches()) == 100_000
    reader.close()
    assert ledger.path.stat().st_size < 1_600_000


def test_people_can_read_the_tables_with_sql(tmp_path: Path) -> None:
    path = filled(tmp_path, appends=3)
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("pragma table_info(events)")]
        assert columns == ["seq", "at", "token", "kind", "version", "subject", "payload"]
        stops = "select subject, json_extract(payload, '$.status') from events where kind = 'trial.closed' and seq = 2"
        assert connection.execute(stops).fetchall() == [("t1", "stopped")]
        assert connection.execute("select * from curves").fetchall() == [("t1", "loss", 1, 300, 0, 299)]


def test_a_folder_that_cannot_be_written_is_named_with_the_cure(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", options=",ro") as disk, pytest.raises(FolderReadOnly, match="Make it writable"):
        SqliteLedger(disk)
    with small_disk(tmp_path / "disk", options=",ro") as disk, pytest.raises(FolderReadOnly, match="writable"):
        SqliteLedger(disk / "deeper")


def test_urls_say_which_store_is_meant(tmp_path: Path) -> None:
    assert isinstance(open_ledger("memory:"), MemoryLedger)
    ledger = open_ledger(str(tmp_path))
    assert isinstance(ledger, SqliteLedger)
    ledger.close()
    with pytest.raises(ConfigInvalid, match="postgresql"):
        open_ledger("postgresql://host/db")


def test_when_the_file_may_not_grow_the_ledger_says_full_and_goes_on_when_it_may(tmp_path: Path) -> None:
    ledger, token = opened(tmp_path)
    logged, batch = points(0, 5)
    ledger.append([logged], at=0.0, token=token, batches=[batch])
    with ledger._writing.connect() as connection:  # the limit belongs to this one connection
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()
        connection.exec_driver_sql(f"pragma max_page_count = {pages}")
    big, points_ = points(5, 5000)
    with pytest.raises(LedgerFull, match="full"):
        ledger.append([big], at=0.0, token=token, batches=[points_])
    assert ledger.ballast.spent
    assert (ledger.last_seq(), len(ledger.series("t1", "loss"))) == (1, 5)
    with ledger._writing.connect() as connection:
        connection.exec_driver_sql("pragma max_page_count = 1000000")
    ledger.append([big], at=0.0, token=token, batches=[points_])
    assert not ledger.ballast.spent
    assert len(ledger.series("t1", "loss")) == 5005
    ledger.close()

"""Writers that are killed with SIGKILL at random moments lose nothing they acknowledged, and tear nothing."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from secondshift.ledger.leases import read_fence
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import MetricsLogged
from tests.ledger.scenes import child, fact, opened, points

KILLS = 30


def writer(folder: Path):
    """Append points and facts for ever, and tell each acknowledged number through the pipe."""

    def write(pipe: int) -> None:
        ledger, token = opened(folder)
        while True:
            first = ledger.last_seq() * 20
            logged, batch = points(first, 40)
            other, second = points(first, 3, metric="acc")
            events = ledger.append([logged, fact(), other], at=1.0, token=token, batches=[batch, second])
            os.write(pipe, b"%d\n" % events[-1].seq)

    return write


def drained(pipe: int, told: bytes = b"") -> list[bytes]:
    while part := os.read(pipe, 65536):
        told += part
    return told.split(b"\n")[:-1]


def test_every_acknowledged_fact_survives_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged, tokens = 0, 0
    opened(tmp_path)[0].close()
    for number in range(KILLS):
        with child(writer(tmp_path)) as (pid, pipe):
            # Some are killed while they open the ledger and take the lease, most in the middle of their work.
            first = b"" if number % 4 == 0 else os.read(pipe, 1)
            time.sleep(chance.uniform(0.0, 0.05))
            os.kill(pid, signal.SIGKILL)
            told = drained(pipe, first)
        assert all(line.isdigit() for line in told), told
        acknowledged = max([acknowledged, *map(int, told)])
        ledger, token = opened(tmp_path)
        assert ledger.last_seq() >= acknowledged
        assert token > tokens, "a token was given out twice"
        assert token == read_fence(tmp_path)
        tokens = token
        ledger.close()
    assert acknowledged > 3 * KILLS, "hardly anything was written: this test proves nothing"
    whole(tmp_path)


def whole(folder: Path) -> None:
    """No gap in the numbers; each transaction of the writer there with all of its points, or not at all."""
    ledger = open_ledger(folder, readonly=True)
    events = list(ledger.read())
    assert [event.seq for event in events] == list(range(1, ledger.last_seq() + 1))
    assert len(events) % 3 == 0
    logged = [event.payload for event in events if isinstance(event.payload, MetricsLogged)]
    assert sum(fact.points for fact in logged) == sum(len(batch.steps) for batch in ledger.batches())
    ledger.close()
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        stored = dict(connection.execute("select seq, sum(n) from batches group by seq").fetchall())
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert stored == {event.seq: 43 for event in events[2::3]}


def test_a_kill_while_the_ledger_is_made_leaves_one_that_can_be_opened(tmp_path: Path) -> None:
    chance = random.Random(3)
    for number in range(12):
        folder = tmp_path / f"study{number}"
        with child(writer(folder)) as (pid, pipe):
            time.sleep(chance.uniform(0.0, 0.09))
            os.kill(pid, signal.SIGKILL)
            told = drained(pipe)
        ledger, token = opened(folder)
        assert ledger.last_seq() >= max([0, *map(int, told)])
        ledger.append([fact()], at=0.0, token=token)
        ledger.close()


def test_a_stopped_writer_that_returns_after_its_lease_was_taken_writes_nothing_more(tmp_path: Path) -> None:
    with child(writer(tmp_path)) as (pid, pipe):
        assert os.read(pipe, 10)
        os.kill(pid, signal.SIGSTOP)
        # A stop between two statements would leave the lock taken; it is let go on until the lease can be had.
        ledger = token = None
        for _ in range(50):
            try:
                ledger, token = opened(tmp_path, busy_s=0.05)
                break
            except Exception:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.003)
                os.kill(pid, signal.SIGSTOP)
        assert ledger is not None and token is not None
        frontier = ledger.last_seq()
        os.kill(pid, signal.SIGCONT)
        told = b"".join(iter(lambda: os.read(pipe, 65536), b""))  # until it ends
        assert b"LeaseLost" in told
        assert ledger.last_seq() == frontier
        ledger.append([fact()], at=0.0, token=token)
        assert ledger.last_seq() == frontier + 1
        ledger.close()

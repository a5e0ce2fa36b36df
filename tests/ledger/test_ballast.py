import os
from pathlib import Path

import pytest

from secondshift.errors import LedgerFull
from secondshift.ledger.ballast import Ballast
from secondshift.ledger.leases import read_fence
from tests.ledger.scenes import ME, fact, opened, points, small_disk


def test_the_ballast_is_made_of_real_blocks(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")
    assert ballast.spent and not ballast.release()
    assert ballast.restore() and not ballast.spent
    assert ballast.path.stat().st_blocks * 512 >= 1 << 20
    assert ballast.release() and ballast.spent


def test_no_ballast_is_made_of_the_last_room_on_a_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1500k") as disk:
        assert not Ballast(disk / "ballast").restore()
        assert os.listdir(disk) == []


def test_a_disk_filled_by_others_still_takes_the_incident_and_recovers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "6m") as disk:
        ledger, token = opened(disk)
        logged, batch = points(0, 100)
        ledger.append([logged], at=0.0, token=token, batches=[batch])
        assert not ledger.ballast.spent
        fill(disk / "other")

        lost, large = points(100, 60_000)
        with pytest.raises(LedgerFull, match="Free some space"):
            ledger.append([lost], at=0.0, token=token, batches=[large])
        assert ledger.ballast.spent
        # The incident fits, and goes on fitting; a large append may not eat what room is left for it.
        for number in range(5):
            ledger.append([fact(reason=f"disk full {number}")], at=0.0, token=token)
            with pytest.raises(LedgerFull):
                ledger.append([lost], at=0.0, token=token, batches=[large])
            ledger.beat(token)
        assert ledger.take_lease(ME, how_dead=lambda _: True).token == token + 1 == read_fence(disk)
        token += 1
        assert ledger.last_seq() == 6
        assert len(ledger.series("t1", "loss")) == 100

        (disk / "other").unlink()
        ledger.append([lost], at=0.0, token=token, batches=[large])
        assert not ledger.ballast.spent
        ledger.release(token)
        ledger.close()

        again, _ = opened(disk)
        assert len(again.series("t1", "loss")) == 60_100
        assert [getattr(e.payload, "reason", "") for e in again.read()][1:6] == [f"disk full {n}" for n in range(5)]
        again.close()


def test_a_ledger_is_opened_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "6m") as disk:
        ledger, token = opened(disk)
        ledger.append([fact()], at=0.0, token=token)
        ledger.close()
        fill(disk / "other")
        ledger, token = opened(disk)
        assert ledger.last_seq() == 1
        ledger.append([fact()], at=0.0, token=token)
        ledger.close()


def fill(path: Path) -> None:
    """Write until the disk is full to the last block."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass

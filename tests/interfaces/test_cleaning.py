"""`secondshift clean`: says what goes, deletes it under the lease, and touches nothing while somebody works on the study."""

import json
import os
import time
from pathlib import Path

import pytest

from interfaces.nights import eventful
from secondshift.interfaces.cli.main import called
from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.runtime import hosts
from secondshift.runtime.keepernotes import KeeperNote, write_note


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secondshift.toml").write_text("# read by nobody here\n")
    private = tmp_path / ".secondshift"
    private.mkdir()
    ledger = open_ledger(private)
    eventful().record(ledger)
    ledger.close()
    took_lease(tmp_path, give_back=True)
    (private / "checks/abc").mkdir(parents=True)
    (private / "checks/abc/model").write_bytes(b"0" * 260_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def took_lease(study: Path, *, give_back: bool = False) -> None:
    """Work on the study, as this process."""
    ledger = open_ledger(study / ".secondshift")
    me = Holder(host=hosts.hostname(), pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id())
    token = ledger.take_lease(me, how_dead=lambda lease: True).token
    if give_back:
        ledger.release(token)
    ledger.close()


def test_a_dry_run_says_what_would_go_and_touches_nothing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["clean", "--dry-run", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "1 temporary folder of trials, checks and evaluations that are over: 0.3 MB" in said
    assert "Could be deleted: 0.3 MB. Nothing was touched." in said
    assert (study / ".secondshift/checks/abc/model").exists()


def test_it_deletes_records_nothing_and_gives_the_lease_back(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = open_ledger(study / ".secondshift", readonly=True)
    before = ledger.digest()
    assert called(["clean", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["found"] == [{"kind": "scratch", "path": ".secondshift/checks/abc", "bytes": 260_000}] and told["left"] == []
    assert not (study / ".secondshift/checks/abc").exists()
    lease = ledger.lease()
    assert ledger.digest() == before and lease is not None and lease.released
    ledger.close()
    assert called(["clean", "--lang", "ko"]) == 0
    assert capsys.readouterr().out.strip() == "지울 것이 없습니다."


def test_while_an_engine_works_nothing_is_touched_and_a_dry_run_still_answers(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took_lease(study)
    assert called(["clean", "--lang", "en"]) == 3
    assert "An engine works on this study" in capsys.readouterr().out and (study / ".secondshift/checks/abc").exists()
    assert called(["clean", "--dry-run", "--lang", "en"]) == 0
    assert "Could be deleted" in capsys.readouterr().out


def test_a_keeper_whose_engine_is_about_to_begin_again_counts_as_somebody_at_work(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    me = KeeperNote(
        state="restarting", pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id(), since=time.time()
    )
    write_note(study / ".secondshift", me)
    assert called(["clean"]) == 3 and (study / ".secondshift/checks/abc").exists()


def test_one_that_an_engine_took_over_from_stops(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from secondshift.interfaces.cli import cleaning

    (study / ".secondshift/checks/def").mkdir()

    def slow(remnant: object) -> str:
        took_lease(study)
        return ""

    monkeypatch.setattr(cleaning.remnants, "delete", slow)
    assert called(["clean"]) == 2 and "An engine has begun" in capsys.readouterr().err


def test_a_study_of_which_nothing_was_recorded_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secondshift.toml").write_text("# read by nobody here\n")
    assert called(["clean", "--study", str(tmp_path), "--lang", "en"]) == 0
    assert "nothing to delete" in capsys.readouterr().out and not (tmp_path / ".secondshift").exists()

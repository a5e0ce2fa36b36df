"""`secondshift yield`: a wish that lasts until it is taken back, with or without an engine."""

import json
from pathlib import Path

import pytest

from interfaces.nights import eventful
from secondshift.interfaces.cli.main import called
from secondshift.ledger.opening import open_ledger
from secondshift.records.studies import Launch
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.lending import Lending


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secondshift.toml").write_text("# read by nobody here\n")
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    eventful().record(ledger)
    ledger.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_wish_is_what_lending_obeys_and_it_ends_when_it_is_taken_back(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lending = Lending(study / ".secondshift", Launch(), pool=DevicePool(["cpu-0"], folder=tmp_path / "locks"))
    assert called(["yield"]) == 0
    assert "until `secondshift yield --end`" in capsys.readouterr().out
    assert lending.free() == () and "asked for it at" in lending.wanted_back()
    assert called(["yield", "--end"]) == 0
    assert lending.free() == ("cpu-0",)


def test_asking_twice_changes_nothing_and_ending_what_was_not_asked_says_so(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(["yield"])
    first = (study / ".secondshift" / "yield").read_text()
    called(["yield"])
    assert (study / ".secondshift" / "yield").read_text() == first
    called(["yield", "--end"])
    capsys.readouterr()
    assert called(["yield", "--end", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["yielded"] is False and "not given away" in told["text"]

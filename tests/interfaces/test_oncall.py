"""`secondshift oncall`: who, why, until when, who is next; export, hand over, swap."""

import json
import time as clock
from pathlib import Path

import pytest

from interfaces.test_cli import engine_that, live
from secondshift.interfaces.cli.main import called
from secondshift.records.decisions import Decision
from secondshift.records.events import DecisionDropped, DutyCovered, RequestReceived
from secondshift.records.studies import Cover
from secondshift.runtime.spool import pending

STUDY = """command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 9
[oncall]
zone = "UTC"
quiet_hours = "00:00-23:59"
starts = 2026-11-23
[oncall.people.mina]
channels = ["file:pages"]
[oncall.people.jonas]
zone = "Europe/Berlin"
"""
TUESDAY = 1_795_521_600.0  # 24 November 2026, 12:00 UTC


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secondshift.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clock, "time", lambda: TUESDAY)
    monkeypatch.setenv("TZ", "UTC")
    clock.tzset()
    return tmp_path


def test_it_says_who_why_until_when_and_who_is_next(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["oncall", "--lang", "en"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "On call: mina, until 30 Nov 09:00:00 (own turn)."
    assert said[1].startswith("Quiet hours or a day off of mina until 24 Nov 23:59:00")
    assert said[-1].startswith("Times are in ") and said[-1].endswith("The rota changes hands at 09:00 in UTC.")
    assert said[2] == "Next: jonas, from 30 Nov 09:00:00 until 7 Dec 09:00:00 (own turn)."
    assert called(["oncall", "--lang", "ko", "--week"]) == 0
    said = capsys.readouterr().out
    assert "지금 당직: mina, 11월 30일 09:00:00까지 (자기 차례)" in said and "까지: jonas (자기 차례)" in said


def test_one_person_without_a_name_is_always_on_call(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "secondshift.toml").write_text(STUDY.partition("[oncall]")[0] + '[oncall]\nquiet_hours = "22:00-08:00"\n')
    assert called(["oncall", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "On call: you (own turn)." in said and "Nobody else comes on call" in said and "nobody can be woken" in said


def test_json_is_one_document_with_the_same(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["oncall", "--json", "--week"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["on_call"]["person"] == "mina" and told["next"]["person"] == "jonas" and told["now"] == TUESDAY
    assert [row["person"] for row in told["week"]] == ["mina", "jonas"] and told["awake_at"] > TUESDAY
    assert told["on_call"]["ends"] == told["next"]["begins"] and told["next"]["ends"] - told["next"]["begins"] == 7 * 86400


def test_the_calendar_holds_half_a_year_of_duties(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["oncall", "--ical", "duty.ics", "--json"]) == 0
    told, text = json.loads(capsys.readouterr().out), (study / "duty.ics").read_bytes().decode()
    assert text.count("BEGIN:VEVENT") == told["duties"] == 27 and "SUMMARY:On call: mina" in text.replace("당직", "On call")


def test_a_calendar_that_is_exported_again_has_the_same_entries(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for days in (0, 1):
        monkeypatch.setattr(clock, "time", lambda days=days: TUESDAY + 86400.0 * days)
        assert called(["oncall", "--ical", f"{days}.ics"]) == 0
        lines = (study / f"{days}.ics").read_bytes().decode().split("\r\n")
        found.append([line for line in lines if line.startswith(("UID", "DTSTART"))])
    assert found[0] == found[1] and len(found[0]) == 2 * 27


def test_a_request_without_an_engine_is_kept_and_shown_as_waiting(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["oncall", "--hand-over", "jonas", "--note", "look at i3", "--lang", "en"]) == 0
    assert "is kept" in capsys.readouterr().out
    assert called(["oncall", "--swap", "jonas", "--first", "2999-12-24", "--lang", "en"]) == 0
    asked = pending(study / ".secondshift")
    assert [(r.verb, r.args["to"]) for r in asked] == [("hand-over", "jonas"), ("swap", "jonas")]
    assert asked[0].args["note"] == "look at i3" and asked[1].args["last"] == "2999-12-24" and asked[0].who
    capsys.readouterr()
    called(["oncall", "--lang", "en"])
    said = capsys.readouterr().out
    assert "Waits for an engine: " in said and "takes over from 2999-12-24 to 2999-12-24." in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hand-over", "bob"], "Expected one of mina, jonas"),
        (["--swap", "jonas"], "without --first"),
        (["--swap", "jonas", "--first", "monday"], "2026-12-24"),
        (["--swap", "jonas", "--first", "2999-12-24", "--last", "2999-12-20"], "neither over nor before"),
        (["--swap", "jonas", "--first", "2020-12-24"], "neither over nor before"),
        (["--swap", "jonas", "--hand-over", "jonas"], "Expected one of them"),
        (["--hand-over", "jonas", "--first", "2999-12-24"], "belong to --swap"),
        (["--note", "hm"], "given alone"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_kept(
    study: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(["oncall", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not pending(study / ".secondshift")


def test_a_broken_study_file_that_nobody_recorded_names_its_mistakes(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "secondshift.toml").write_text(STUDY.replace('"UTC"', '"Mars"'))
    assert called(["oncall"]) == 2
    assert "oncall.zone" in capsys.readouterr().err


def test_a_living_engine_is_waited_for_and_its_answer_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live(tmp_path, monkeypatch)
    (tmp_path / "secondshift.toml").write_text(STUDY)

    def taken(request: RequestReceived) -> list[object]:
        cover = Cover(begins=TUESDAY, ends=TUESDAY + 3600, who=str(request.args["to"]), id=request.id, asked_by=request.who)
        return [DutyCovered(cover=cover, decision="d1")]

    engine = engine_that(tmp_path, taken)
    assert called(["oncall", "--hand-over", "jonas", "--lang", "en"]) == 0
    engine.join()
    assert capsys.readouterr().out.startswith("Recorded: jonas, from ")


def test_what_a_living_engine_refuses_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live(tmp_path, monkeypatch)
    (tmp_path / "secondshift.toml").write_text(STUDY)

    def refused(request: RequestReceived) -> list[object]:
        decision = Decision(verb="cover", reason="r", by="mina", source="person", based_on=(request.id,))
        return [DecisionDropped(decision=decision, reason="the time that was to be covered is over")]

    engine = engine_that(tmp_path, refused)
    assert called(["oncall", "--hand-over", "jonas", "--lang", "en"]) == 1
    engine.join()
    assert "dropped it: the time that was to be covered is over." in capsys.readouterr().out

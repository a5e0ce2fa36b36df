"""Incidents as people meet them: listed, shown with the stream around them, and answered, in both languages."""

import json
import os
import re
import threading
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.ledger.leases import Holder
from secondshift.policies.captain import crashes, diagnosis, remedies
from secondshift.records import events as facts
from secondshift.records.incidents import SYMPTOMS
from secondshift.runtime import hosts
from secondshift.runtime.spool import pending
from simulated_nights import until
from tests.interfaces.bad_nights import asks, bad_night, for_good, left, shard


@pytest.fixture(scope="module")
def asking(tmp_path_factory) -> Path:
    """A folder whose newest shift is open and asks about t1 after two acts that did not help."""
    place = tmp_path_factory.mktemp("asking")
    night = bad_night(place, for_good)
    left(until(night, lambda: asks(night)))
    return place


@pytest.fixture(scope="module")
def mended(tmp_path_factory) -> Path:
    """A folder in which a bad shard was skipped, which helped, and the shift is over."""
    place = tmp_path_factory.mktemp("mended")
    night = bad_night(place, shard)
    left(until(night, lambda: night.engine.state.shift is None))
    return place


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert called(arguments) == code, capsys.readouterr().err
    out = capsys.readouterr()
    return out.out if code == 0 else out.err


def test_the_list_says_what_since_when_what_was_done_and_that_it_asks(asking, monkeypatch, capsys) -> None:
    monkeypatch.chdir(asking)
    text = said(capsys, "incidents", "--lang", "en")
    row = next(line for line in text.splitlines() if line.startswith("i1"))
    assert "t1" in row and "bad data" in row and "step 49" in row and "a person is asked" in row and "asks you" in row
    assert "skip the suspicious steps (did not help)" in row and "lower learning rate (did not help)" in row
    assert "secondshift show i1" in text


@pytest.mark.parametrize(("lang", "says"), [("en", "bad data, since step 49"), ("ko", "나쁜 데이터 (49")])
def test_status_tells_an_open_incident_from_its_fields_and_marks_the_trial_that_was_helped(
    asking, monkeypatch, capsys, lang, says
) -> None:
    monkeypatch.chdir(asking)
    text = said(capsys, "status", "--lang", lang)
    line = next(line for line in text.splitlines() if line.startswith("! i1 (t1)"))
    assert says in line and ("asks you" in line or "답을 기다림" in line)
    assert "t1*" in text and "t2*" not in text and "* " in text


def test_those_that_are_over_are_counted_and_listed_only_where_asked_for(mended, monkeypatch, capsys) -> None:
    monkeypatch.chdir(mended)
    text = said(capsys, "incidents", "--lang", "en")
    assert "No incident is open." in text and "1 incident is over" in text
    assert "worked" in said(capsys, "incidents", "--all", "--lang", "en")
    doc = json.loads(said(capsys, "incidents", "--all", "--json"))
    (one,) = doc["incidents"]
    assert one["id"] == "i1" and one["state"] == "closed" and one["acts"][0]["outcome"] == "worked" and one["facts"]
    assert json.loads(said(capsys, "incidents", "--json"))["incidents"] == []


def test_one_is_shown_with_its_numbers_acts_outcomes_and_undo_and_the_question(asking, monkeypatch, capsys) -> None:
    monkeypatch.chdir(asking)
    text = said(capsys, "show", "i1", "--lang", "en")
    for part in (
        "Incident i1, t1: bad data (asks you)", "Since step 49", "Diagnosis: bad data, confidence", "a lasting step up",
        "level", "learning rate against usual", "Before it, loss stood at", "Act 1,", "by the captain",
        "Outcome: did not help", "When that was judged, at step ", "loss stood at 1.", "before the trouble it was 0.9",
        "It went back to a checkpoint", "told to skip the steps", "set-aside",
        "secondshift answer i1 ", "Without an answer by", "pause until a person decides",
    ):  # fmt: skip
        assert part in text, part


def test_the_plot_marks_the_first_suspicious_step_and_the_acts_below_each_attempts_stream(asking, monkeypatch, capsys) -> None:
    monkeypatch.chdir(asking)
    lines = said(capsys, "show", "i1", "--lang", "en").splitlines()
    strips = [line[10:] for line in lines if re.match(r"  t1\.a\d ", line)]
    marks = lines[next(i for i, line in enumerate(lines) if line.startswith("  t1.a1")) + len(strips)][10:]
    assert len(strips) == 3 and "▲" in marks and "1" in marks and marks.index("▲") < marks.index("1")
    first = strips[0]
    at = marks.index("▲")
    assert max(first[: at - 1].strip()) < max(first[at + 1 :].strip()), "the loss is higher after the mark"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_is_one_file_that_loads_nothing_with_a_described_plot(asking, monkeypatch, capsys, tmp_path, lang) -> None:
    monkeypatch.chdir(asking)
    target = tmp_path / "i1.html"
    assert said(capsys, "show", "i1", "--html", str(target), "--lang", lang).strip() == str(target)
    page = target.read_text("utf-8")
    assert f'<html lang="{lang}">' in page and "default-src 'none'" in page and "<script" not in page
    assert page.count('class="part part') == 3 and 'class="mark since"' in page and page.count('class="mark act"') == 2
    assert "<title id=\"plot-stream-title\">" in page and "<desc id=\"plot-stream-desc\">" in page
    assert "<code>secondshift answer i1" in page


def test_in_korean_no_sentence_of_a_policy_is_quoted(asking, mended, monkeypatch, capsys) -> None:
    for place in (asking, mended):
        monkeypatch.chdir(place)
        for text in (said(capsys, "incidents", "--all", "--lang", "ko"), said(capsys, "show", "i1", "--lang", "ko")):
            names = r"`[^`]*`|\b(i1|t1(\.a\d)?|loss|leave|pause|stop)\b|roll_back\w*|\.secondshift/\S+"
            rest = re.sub(names, "", text)
            assert not re.search(r"[A-Za-z]{3,}", rest), re.findall(r".*[A-Za-z]{3,}.*", rest)


def test_the_story_of_a_trial_tells_what_was_seen_done_and_how_it_turned_out(asking, mended, monkeypatch, capsys) -> None:
    monkeypatch.chdir(asking)
    story = said(capsys, "why", "t1", "--lang", "en")
    order = ["a lasting step up", "told ", "i1: bad data since step 49", "i1, the captain: go back to before the first sign",
             "i1: go back to before the first sign and skip the suspicious steps: did not help",
             "lower learning rate; from at most", "lower learning rate: did not help",
             "i1 asks a person. Suggested: pause until a person decides"]  # fmt: skip
    places = [story.index(part) for part in order]
    assert places == sorted(places)
    korean = said(capsys, "why", "t1", "--lang", "ko")
    assert "올라간 채 내려오지 않음" in korean and "i1 조치(캡틴)" in korean and "효과 없음" in korean
    monkeypatch.chdir(mended)
    assert "i1 ended: the remedy worked." in said(capsys, "why", "t1", "--lang", "en")


def test_an_answer_without_an_engine_is_kept_and_the_next_shift_takes_it_up(tmp_path, monkeypatch, capsys) -> None:
    night = bad_night(tmp_path, for_good, may=("retry_infrastructure",))
    left(until(night, lambda: asks(night)))
    monkeypatch.chdir(tmp_path)
    asked = said(capsys, "answer", "i1", "--lang", "en")
    assert "Without an answer by" in asked and "leave it as it is" in asked
    text = said(capsys, "answer", "i1", "leave", "--lang", "en")
    assert "No engine is running. The answer is kept" in text
    (request,) = pending(tmp_path / ".secondshift")
    assert request.verb == "answer" and request.args == {"incident": "i1", "answer": "leave", "trial": "t1"} and request.who
    night.take_over(night.engine.state)
    until(night, lambda: bool(night.payloads(facts.IncidentClosed)))
    assert night.payloads(facts.TrialHelped)[0].act.by == request.who


def test_beside_a_living_engine_the_answer_is_waited_for_and_said_with_its_events(tmp_path, monkeypatch, capsys) -> None:
    night = bad_night(tmp_path, for_good, may=("retry_infrastructure",))
    until(night, lambda: asks(night))
    night.ledger.release(night.engine.state.token)
    ours = night.ledger.take_lease(
        Holder(host=hosts.hostname(), pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id()),
        how_dead=lambda lease: True,
    )
    night.engine.state = replace(night.engine.state, token=ours.token)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            night.engine.take_requests()
            if night.engine.state.requests:
                night.engine.tick()
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    monkeypatch.chdir(tmp_path)
    try:
        doc = json.loads(said(capsys, "answer", "i1", "stop", "--lang", "en", "--json"))
    finally:
        stop.set()
        thread.join(10)
    assert doc["text"].startswith("i1 was answered: stop the trial. Requested in event ") and doc["received"] < doc["decided"]


def test_what_cannot_be_answered_is_said_at_once_and_nothing_is_asked_for(asking, mended, monkeypatch, capsys) -> None:
    monkeypatch.chdir(asking)
    assert "Is leave meant?" in said(capsys, "answer", "i1", "leeve", code=2)
    refused = said(capsys, "answer", "i7", "leave", code=2)
    assert "There is no incident i7. Those that wait for an answer: i1. Nothing" in refused
    assert not pending(asking / ".secondshift")
    monkeypatch.chdir(mended)
    assert "i1 is over" in said(capsys, "answer", "i1", "leave", code=2)
    assert "They go from i1 to i1" in said(capsys, "show", "i9", code=2)
    assert "writes an incident" in said(capsys, "show", "t1", "--html", "x.html", code=2)


def test_everything_the_captain_may_believe_see_or_do_has_words_in_both_languages() -> None:
    names = [f"cause_{name}" for name, _ in diagnosis.RULES] + [f"cause_{name}" for name in crashes.CrashClass.__args__]
    names += [f"symptom_{name}" for name in SYMPTOMS] + [f"remedy_{name}" for name in remedies.REMEDIES]
    names += [f"cause_{name}" for name in (*remedies.LADDERS, *remedies.DEFAULTS)]
    for lang in ("en", "ko"):
        missing = [name for name in names if f"word.{name}" not in sentences(lang)]
        assert not missing, (lang, missing)


def test_every_number_of_the_evidence_has_words() -> None:
    house = Path(__file__).parents[2] / "src/secondshift/policies/captain"
    files = [*(house / "symptoms").glob("*.py"), house / "failures.py", house.parents[1] / "ledger/fold_captain.py"]
    written = [re.findall(r"(?:seen|evidence|before) ?=? ?.*{.*", file.read_text("utf-8")) for file in files]
    named = {name for lines in written for line in lines for name in re.findall(r'"([a-z_]+)": ', line)}
    words = tomllib.loads((house.parents[1] / "interfaces/messages/en.toml").read_text("utf-8"))["word"]
    missing = [name for name in named if f"evidence_{name}" not in words]
    assert len(named) > 30 and not missing, f"write evidence_* into [word] of en.toml and ko.toml for {missing}"

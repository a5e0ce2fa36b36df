"""The command: every verb, in words and in JSON, and every mistake in a sentence."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from interfaces.nights import HOSTILE, Night, complete, eventful
from secondshift.errors import ConfigInvalid, LeaseHeld, LedgerBusy, LedgerFull
from secondshift.interfaces.cli import asking
from secondshift.interfaces.cli import stop as stop_verb
from secondshift.interfaces.cli.main import app, called
from secondshift.interfaces.cli.queries import ask
from secondshift.interfaces.cli.spans import seconds
from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.records.decisions import Decision
from secondshift.records.events import DecisionDropped, DecisionMade, RequestReceived, TrialClosed
from secondshift.runtime import hosts, spool
from secondshift.runtime.keeper import FINAL

VERBS = ("demo", "init", "doctor", "run", "status", "show", "why", "watch", "brief", "replay", "sql", "stop", "import", "yield",
         "oncall", "service", "incidents", "answer", "drill", "serve",
         "idea", "ideas", "accept", "promote", "mcp", "clean")  # fmt: skip
Said = SimpleNamespace


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eventful night, written once; each test has its own copy."""
    return written(tmp_path_factory.mktemp("pattern"), eventful())


@pytest.fixture
def study(pattern: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study with an eventful night in its ledger; its engine has left."""
    shutil.copytree(pattern, tmp_path, dirs_exist_ok=True)
    return entered(tmp_path, monkeypatch)


def written(folder: Path, night: Night) -> Path:
    (folder / "secondshift.toml").write_text("# read by nobody here\n")
    private = folder / ".secondshift"
    private.mkdir()
    ledger = open_ledger(private)
    night.record(ledger)
    lease = ledger.lease()
    assert lease is not None
    ledger.release(lease.token)
    ledger.close()
    return folder


def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("LANG", raising=False)
    return folder


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command and return its exit code and what it printed."""

    def run(*arguments: str) -> Said:
        code = called(arguments)
        out, err = capsys.readouterr()
        return Said(code=code, out=out, err=err)

    return run


def test_help_shows_at_most_twenty_verbs_in_their_groups_and_not_the_engine(say: Callable[..., Said]) -> None:
    out = say("--help").out
    assert [part for part in ("Run a night", "Look", "Act") if part in out] == ["Run a night", "Look", "Act"]
    assert all(f" {verb} " in out for verb in VERBS) and len(VERBS) <= 27  # raised for `clean` (issue 7 names it)
    assert "engine " not in out.replace("engine runs", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_offers_json(verb: str, say: Callable[..., Said]) -> None:
    said = say(verb, "install", "--help") if verb == "service" else say(verb, "--help")
    assert said.code == 0 and ("--json" in said.out or verb == "mcp")  # which answers in nothing else


@pytest.mark.parametrize(
    "call",
    [("status",), ("show", "t2"), ("show", "t7"), ("why", "t5"), ("brief",), ("brief", "--lang", "ko"), ("replay",),
     ("sql", "select 1 as one"), ("service", "show"), ("brief", "--html")],
    ids=" ".join,
)  # fmt: skip
def test_json_is_one_document_on_standard_output(call: tuple[str, ...], study: Path, say: Callable[..., Said]) -> None:
    said = say(*call, "--json")
    assert isinstance(json.loads(said.out, parse_constant=lambda c: pytest.fail(f"{c} is no JSON")), dict)
    assert said.err == ""


def test_status_shows_progress_spend_and_what_comes_next(study: Path, say: Callable[..., Said]) -> None:
    out = say("status").out
    for part in (
        "digits",
        "3 complete",
        "No engine is running",
        "No shift is running",
        "t4",
        "3/9",
        "2 min 6 s",
        "57 min 54 s",
        "1 queued",
    ):
        assert part in out


def test_status_changes_nothing(study: Path, say: Callable[..., Said]) -> None:
    before = (study / ".secondshift" / "ledger.db").read_bytes()
    for call in (("status",), ("show", "t1"), ("why", "t1"), ("brief",), ("replay",)):
        say(*call)
    assert (study / ".secondshift" / "ledger.db").read_bytes() == before


def test_show_prints_the_output_as_data(study: Path, say: Callable[..., Said]) -> None:
    folder = study / ".secondshift" / "attempts" / "t3.a1"
    folder.mkdir(parents=True)
    (folder / "output.log").write_bytes(b"first\n" * 100 + HOSTILE.encode() + b"\xff\x00\n")
    said = say("show", "t3", "--lines", "2")
    assert said.out.count("first") == 1 and "alert(1)" in said.out
    assert "\x1b" not in said.out and "\u202e" not in said.out and "\x00" not in said.out
    assert json.loads(say("show", "3", "--json", "--lines", "0").out)["output"] == []


def test_show_has_curve_metrics_attempts_and_checkpoints(study: Path, say: Callable[..., Said]) -> None:
    doc = json.loads(say("show", "t5", "--json").out)
    assert doc["curve"]["steps"] == list(range(9)) and doc["curve"]["values"][-1] == 0.33
    assert [a["exit"]["signal"] for a in doc["attempts_list"]] == [9, None]
    assert doc["checkpoints"][0]["step"] == 3 and doc["fingerprint"] == {"python": "3.11.9"}
    assert "█" in say("show", "t5").out


def test_why_names_events_and_the_present(study: Path, say: Callable[..., Said]) -> None:
    out = say("why", "t4").out
    assert "sobol proposed it: Sobol point. [e36]" in out and "no shift is running" in out
    assert "제안(sobol)" in say("why", "t4", "--lang", "ko").out


def test_the_brief_is_markdown_in_a_pipe_and_in_the_language_asked_for(
    study: Path, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say("brief").out.startswith("# Brief of digits, shift s1")
    assert say("brief", "--lang", "ko").out.startswith("# digits 보고서, 근무 s1")
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert say("brief").out.startswith("# digits 보고서")
    assert "Expected one of en, ko" in say("brief", "--lang", "fr").err


def test_the_html_brief_is_written_and_its_place_printed(study: Path, say: Callable[..., Said]) -> None:
    path = Path(say("brief", "--html", "--lang", "ko").out.strip())
    assert path.name == "s1.ko.html" and 'lang="ko"' in path.read_text("utf-8")


def test_sql_reads_and_refuses_to_write(study: Path, say: Callable[..., Said]) -> None:
    assert "attempt.ended" in say("sql", "select distinct kind from events").out
    before = (study / ".secondshift" / "ledger.db").read_bytes()
    for query in ("delete from events", "insert into events(seq) values (1)", "drop table events", "pragma journal_mode = delete",
                  "attach database 'x.db' as x", "vacuum", "begin immediate", "update events set at = 0 returning seq",
                  "create temp table x(a)", "pragma user_version = 7"):  # fmt: skip
        said = say("sql", query)
        assert said.code == 2 and "Expected one SELECT" in said.err and said.err.count("\n") == 1, query
    assert (study / ".secondshift" / "ledger.db").read_bytes() == before and not (study / "x.db").exists()
    assert "did not understand" in say("sql", "selekt 1").err
    assert "one by one" in say("sql", "select 1; select 2").err


def test_sql_stops_a_question_without_end(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secondshift.interfaces.cli.queries.LIMIT_S", 0.2)
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    with pytest.raises(Exception, match="took longer"):
        ask(study / ".secondshift" / "ledger.db", endless, 10)


def test_replay_notices_a_night_that_no_engine_decided(study: Path, say: Callable[..., Said]) -> None:
    said = say("replay", "--json")
    doc = json.loads(said.out)
    assert doc["ticks"] == 0 and said.code == (0 if doc["holds"] else 1)


@pytest.mark.parametrize(
    ("call", "part"),
    [(("show", "t99"), "They go from t1 to t7"), (("why", "x"), "There is no trial 'x'"), (("nonsense",), "nonsense"),
     (("status", "--watc"), "--watch"), (("show",), "TRIAL"), (("run", "--for", "soon"), "such as 2h"),
     (("run", "--for", "1h", "--until", "08:00"), "Expected one of them"), (("run", "--slots", "0"), "at least 1"),
     (("stop", "t2"), "already complete"), (("brief", "--shift", "s9"), "newest is s1")],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)  # fmt: skip
def test_a_mistake_is_one_paragraph_and_exit_code_two(
    call: tuple[str, ...], part: str, study: Path, say: Callable[..., Said]
) -> None:
    said = say(*call)
    assert said.code == 2 and part in said.err and said.out == ""
    assert said.err.count("\n") == 1 and "Traceback" not in said.err


def test_no_study_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]) -> None:
    monkeypatch.chdir(tmp_path)
    said = say("status")
    assert said.code == 2 and "secondshift.toml" in said.err and "Traceback" not in said.err


def test_a_study_that_never_ran_says_how_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    (tmp_path / "secondshift.toml").touch()
    for call in (("status",), ("brief",), ("stop",), ("sql", "select 1")):
        said = say(*call, "--study", str(tmp_path))
        assert said.code == 2 and "secondshift run" in said.err


def test_a_fault_of_ours_is_a_sentence_and_a_traceback_only_when_asked(
    study: Path, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("secondshift.interfaces.cli.status.look", broken)
    said = say("status")
    assert said.code == 70 and "RuntimeError: planted" in said.err and "Traceback" not in said.err
    monkeypatch.setenv("SECONDSHIFT_DEBUG", "1")
    with pytest.raises(RuntimeError, match="planted"):
        called(("status",))


def test_an_engine_that_breaks_is_started_again_by_its_keeper_and_leaves_its_traceback(
    study: Path, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: dict[Exception, int] = {
        RuntimeError("planted"): 1,
        LedgerFull(): 1,
        LedgerBusy(): 1,
        LeaseHeld(): 3,
        ConfigInvalid("line 3"): 2,
    }
    for fault, code in faults.items():

        def broken(*_: object, fault: Exception = fault, **__: object) -> int:
            raise fault

        monkeypatch.setattr("secondshift.interfaces.cli.night.shifts.work", broken)
        said = say("engine", "--study", str(study))
        assert said.code == code and str(fault) in said.err
        assert ("Traceback" in said.err) == isinstance(fault, RuntimeError)
        assert (code in FINAL) == (code in (2, 3)), "the keeper must know which ends are final"


def live(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A shift that goes on, whose lease this very process holds."""
    night = Night().open()
    complete(night, {}, [1.0] * 9)
    night.queue({"lr": 0.01})
    entered(written(folder, night), monkeypatch)
    return night


def engine_that(folder: Path, answer: Callable[[RequestReceived], list[object]]) -> threading.Thread:
    """Hold the lease as a living engine would, take one request in, and record an answer."""
    ledger = open_ledger(folder / ".secondshift")
    me = Holder(
        host=hosts.hostname(), pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id()
    )
    token = ledger.take_lease(me, how_dead=lambda lease: True).token

    def work() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for file in (folder / ".secondshift" / "spool").glob("*.json"):
                raw = json.loads(file.read_text())
                request = RequestReceived(id=raw["id"], verb=raw["verb"], who=raw["who"], args=raw["args"])
                ledger.append([request, *answer(request)], at=time.time(), token=token)
                return ledger.close()
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_stop_waits_until_a_living_engine_has_done_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    live(tmp_path, monkeypatch)

    def answer(request: RequestReceived) -> list[object]:
        d = Decision(
            verb="stop",
            subject="t2",
            reason="kim asked",
            by=request.who,
            source="person",
            based_on=(request.id,),
            id="d9",
        )
        return [DecisionMade(decision=d), TrialClosed(trial="t2", status="stopped", reason="kim asked", decision="d9")]

    thread = engine_that(tmp_path, answer)
    said = say("stop", "t2", "--json")
    thread.join(10)
    doc = json.loads(said.out)
    assert said.code == 0 and doc["text"].startswith("t2 is stopped.") and doc["received"] < doc["decided"]


def test_stop_passes_on_that_the_engine_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    live(tmp_path, monkeypatch)

    def answer(request: RequestReceived) -> list[object]:
        d = Decision(verb="stop", subject="t2", reason="kim asked", by="kim", source="person", based_on=(request.id,))
        return [DecisionDropped(decision=d, reason="it is over already")]

    thread = engine_that(tmp_path, answer)
    said = say("stop", "t2")
    thread.join(10)
    assert "dropped it" in said.out and "it is over already" in said.out


def test_stop_says_when_a_living_engine_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    live(tmp_path, monkeypatch)
    monkeypatch.setattr(asking, "PATIENCE_S", 0.3)
    ledger = open_ledger(tmp_path / ".secondshift")
    me = Holder(
        host=hosts.hostname(), pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id()
    )
    ledger.take_lease(me, how_dead=lambda lease: True)
    ledger.close()
    said = say("stop")
    assert said.code == asking.UNHEARD and "not lost" in said.out
    assert len(list((tmp_path / ".secondshift" / "spool").glob("*.json"))) == 1


def test_stop_takes_it_in_hand_when_no_engine_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    live(tmp_path, monkeypatch)
    asked: list[tuple[Path, bool]] = []

    def stop_now(file: Path, *, now: bool = False, write_brief: object = None) -> int:
        asked.append((file, now))
        return 0

    monkeypatch.setattr(stop_verb.shifts, "stop_now", stop_now)
    said = say("stop", "--now")
    assert asked == [(tmp_path / "secondshift.toml", True)] and "did it itself" in said.out


def test_taking_a_stop_back_waits_for_an_engine_and_is_of_a_trial_that_was_stopped(study: Path, say: Callable[..., Said]) -> None:
    said = say("stop", "t6", "--undo")
    assert said.code == 0 and "t6 may go on when the next one begins" in said.out
    (request,) = spool.pending(study / ".secondshift")
    assert request.verb == "stop" and request.args == {"trial": "t6", "undo": True}
    assert "t2 was not stopped: it is complete" in say("stop", "t2", "--undo").err
    assert "Expected `secondshift stop t7 --undo`" in say("stop", "--undo").err


def test_stop_between_shifts_asks_nothing_of_nobody(study: Path, say: Callable[..., Said]) -> None:
    assert "Nothing is running" in say("stop").out
    assert not list((study / ".secondshift").glob("spool/*.json"))
    assert "will be stopped when the next one begins" in say("stop", "t4").out
    assert [json.loads(f.read_text())["args"] for f in (study / ".secondshift").glob("spool/*.json")] == [
        {"trial": "t4"}
    ]


def test_status_tells_a_dead_engine_from_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Said]
) -> None:
    live(tmp_path, monkeypatch)
    ledger = open_ledger(tmp_path / ".secondshift")
    for pid, ticks, life in ((os.getpid(), hosts.start_ticks(os.getpid()), "alive"), (os.getpid(), 1, "dead")):
        ledger.take_lease(
            Holder(host=socket.gethostname(), pid=pid, start_ticks=ticks, boot_id=hosts.boot_id()),
            how_dead=lambda lease: True,
        )
        assert json.loads(say("status", "--json").out)["engine"]["life"] == life
    ledger.close()


@pytest.mark.parametrize(
    ("text", "expected"), [("2h", 7200), ("1h30m", 5400), ("90s", 90), ("7200s", 7200), ("1.5 h", 5400), ("10min", 600)]
)
def test_lengths_of_time_are_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "2 weeks", "-1h", "0s", "1h x"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="Expected"):
        seconds(text)


def test_the_command_starts_without_loading_the_ledger() -> None:
    look = "print([m for m in ('sqlalchemy', 'numpy', 'msgspec') if m in sys.modules])"
    code = f"import sys; from secondshift.interfaces.cli.main import app; {look}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


def test_every_command_can_be_loaded_under_its_name() -> None:
    names = {name for name in app if not name.startswith("-")}
    assert names == {*VERBS, "engine"}
    assert {name for name in app["service"] if not name.startswith("-")} == {"install", "show", "remove"}


def test_the_spool_is_where_stop_puts_its_request() -> None:
    assert stop_verb.put_request is spool.put_request

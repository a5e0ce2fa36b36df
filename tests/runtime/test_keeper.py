"""The keeper restarts what dies, gives up on what cannot live, and never stands between a person and the exit.

The engines here are small scripts in real processes, ended by real signals.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.runtime import hosts, keeper
from secondshift.runtime.keeper import Patience, keep
from secondshift.runtime.keepernotes import KeeperNote, read_note, write_note
from secondshift.runtime.keepersight import Progress, progress

SOURCE = str(Path(keeper.__file__).parents[2])
HASTY = Patience(first_delay_s=0.02, longest_delay_s=0.1, confirm_s=0.3, leave_s=1.0, launch_s=20.0)

# Each run appends its arguments to `starts`, so that a test sees how often and how the engine was started.
ENGINE = """
import os, signal, sys, time
def politely(number, frame):
    print("heard", number, flush=True)
    if {stubborn}: return
    sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, politely)
with open("starts", "a") as file: file.write(" ".join([str(os.getpid()), *sys.argv[1:]]) + chr(10))
starts = open("starts").read().count(chr(10))
{body}
"""
# What an engine of a test does to the ledger is written below, as functions of this very module.
USES = f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport test_keeper, pathlib\n"
# A keeper in a process of its own, so that signals can be sent to it.
KEEP = """
import json, sys
from secondshift.runtime.keeper import Patience, keep
wanted = json.loads(sys.argv[1])
wanted["patience"] = Patience(**wanted["patience"])
sys.exit(keep(**wanted))
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A study file in a folder of its own; engines still alive at the end of the test are ended."""
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    folder = tmp_path / "a study"
    folder.mkdir()
    (folder / "secondshift.toml").write_text("")
    yield folder / "secondshift.toml"
    for pid in [int(words[0]) for words in starts(folder / "secondshift.toml")]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def engine(body: str, *, stubborn: bool = False) -> tuple[str, ...]:
    return (sys.executable, "-c", ENGINE.format(body=body, stubborn=stubborn))


def starts(study: Path) -> list[list[str]]:
    file = study.parent / "starts"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def note_of(study: Path) -> KeeperNote:
    note = read_note(study.parent / ".secondshift")
    assert note is not None
    return note


def logged(study: Path) -> str:
    log = study.parent / ".secondshift" / "engine.log"
    return log.read_text() if log.exists() else ""


def eventually(true: Callable[[], bool], limit_s: float = 15.0) -> bool:
    until = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def in_process(study: Path, command: tuple[str, ...], **more: object) -> "subprocess.Popen[str]":
    patience = {**{name: getattr(HASTY, name) for name in HASTY.__slots__}}
    wanted = json.dumps({"study_file": str(study), "command": command, "patience": patience, **more})
    return subprocess.Popen(
        [sys.executable, "-c", KEEP, wanted], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def record(study: Path, *payloads: facts.Payload) -> None:
    folder = study.parent / ".secondshift"
    folder.mkdir(exist_ok=True)
    ledger = open_ledger(folder)
    lease = ledger.take_lease(Holder(host="h", pid=1), how_dead=lambda lease: True)
    ledger.append(payloads, at=0.0, token=lease.token)
    ledger.release(lease.token)
    ledger.close()


def shift_started() -> facts.ShiftStarted:
    return facts.ShiftStarted(shift=Shift(id="s1", started_at=0.0))


def attempt_started() -> facts.AttemptStarted:
    return facts.AttemptStarted(attempt="t1.a1", supervisor=1, pid=2)


@pytest.mark.parametrize(("code", "state"), [(0, "finished"), (2, "refused"), (3, "refused"), (4, "stopped")])
def test_an_engine_that_ends_as_documented_is_not_started_again(study: Path, code: int, state: str) -> None:
    assert keep(study, command=engine(f"sys.exit({code})"), patience=HASTY) == code
    assert len(starts(study)) == 1
    assert note_of(study).state == state and note_of(study).restarts == 0


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "sys.exit(1)", "raise RuntimeError('odd')", "os.abort()"])
def test_an_engine_that_dies_is_started_again(study: Path, death: str) -> None:
    assert keep(study, command=engine(f"if starts < 3: {death}"), patience=HASTY) == 0
    assert len(starts(study)) == 3
    note = note_of(study)
    assert (note.state, note.restarts) == ("finished", 2) and note.last_crash


def test_the_first_restart_comes_within_two_seconds(study: Path) -> None:
    began = time.monotonic()
    assert keep(study, command=engine("if starts < 2: os.kill(os.getpid(), 9)")) == 0
    assert time.monotonic() - began < 2.0


def test_the_bounds_of_the_shift_are_given_again_only_until_the_shift_is_recorded(study: Path) -> None:
    command = engine(
        f"if starts == 2:\n    exec({USES!r})\n"
        "    test_keeper.record(pathlib.Path('secondshift.toml').resolve(), test_keeper.shift_started())\n"
        "if starts < 4: os.kill(os.getpid(), 9)"
    )
    assert keep(study, until="08:00", for_s=7200, slots=2, extra=("--x",), command=command, patience=HASTY) == 0
    bounds = ["--slots", "2", "--x", "--until", "08:00", "--for", "7200s"]
    assert [words[1:] for words in starts(study)] == [bounds, bounds, ["--slots", "2", "--x", "--resume"], [
        "--slots", "2", "--x", "--resume"]]  # fmt: skip


def test_five_crashes_of_the_same_kind_are_enough(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert keep(study, command=engine("raise RuntimeError(f'no such thing as {os.getpid()}')"), patience=HASTY) == 5
    assert len(starts(study)) == 5
    note = note_of(study)
    assert note.state == "gave up" and "no such thing" in note.message and "run the same command again" in note.message
    assert "gave up" in capfd.readouterr().err
    assert "gave up" in (study.parent / ".secondshift" / "keeper.log").read_text()


def test_crashes_of_different_kinds_do_not_add_up(study: Path) -> None:
    command = engine("if starts < 9: raise RuntimeError('odd' if starts % 2 else 'even')")
    assert keep(study, command=command, patience=HASTY) == 0
    assert len(starts(study)) == 9


def test_an_engine_killed_from_outside_again_and_again_goes_on_while_it_gets_work_done(study: Path) -> None:
    worked = (
        f"if starts < 4:\n    exec({USES!r})\n"
        "    test_keeper.record(pathlib.Path('secondshift.toml').resolve(), test_keeper.attempt_started())\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert keep(study, command=engine(worked), patience=replace(HASTY, identical=2)) == 0
    assert len(starts(study)) == 4


def test_an_engine_killed_again_and_again_before_it_did_anything_is_given_up(study: Path) -> None:
    assert keep(study, command=engine("os.kill(os.getpid(), 9)"), patience=HASTY) == 5
    assert len(starts(study)) == 5


def test_restarts_come_more_slowly_while_nothing_gets_done(study: Path) -> None:
    patience = Patience(first_delay_s=0.05, longest_delay_s=0.2, identical=5)
    keep(study, command=engine("sys.exit(1)"), patience=patience)
    log = (study.parent / ".secondshift" / "keeper.log").read_text()
    assert [line.rpartition("in ")[2] for line in log.splitlines() if "again in" in line] == [
        "0.05 s.", "0.1 s.", "0.2 s.", "0.2 s."]  # fmt: skip


def test_an_engine_that_cannot_be_started_is_given_up_with_its_reason(study: Path) -> None:
    assert keep(study, command=("/no/such/program",), patience=HASTY) == 5
    assert "/no/such/program" in note_of(study).message


def test_what_the_engine_says_is_logged_and_shown(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keep(study, command=engine("print('trial t1 started', flush=True)"), patience=HASTY) == 0
    assert "trial t1 started" in capsys.readouterr().out
    assert "trial t1 started" in logged(study)


def test_the_engine_has_a_session_of_its_own_so_that_the_terminal_cannot_reach_it(study: Path) -> None:
    keep(study, command=engine("print('mine' if os.getsid(0) == os.getpid() else 'shared')"), patience=HASTY)
    assert "mine" in logged(study)


def test_a_missing_study_file_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keep(tmp_path / "secondshift.toml") == 2
    assert "does not exist" in capsys.readouterr().err and not (tmp_path / ".secondshift").exists()


def test_ctrl_c_once_is_passed_on_and_a_polite_end_is_the_end(study: Path) -> None:
    process = in_process(study, engine("time.sleep(60)"))
    assert eventually(lambda: bool(starts(study)))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 0 and "heard 2" in out and "politely" in err
    assert len(starts(study)) == 1


def test_the_third_ctrl_c_gives_the_terminal_back_and_kills_nothing(study: Path) -> None:
    process = in_process(study, engine("time.sleep(60)\ntime.sleep(60)\ntime.sleep(60)", stubborn=True))
    assert eventually(lambda: bool(starts(study)))
    for times in (1, 2):
        process.send_signal(signal.SIGINT)
        assert eventually(lambda times=times: logged(study).count("heard 2") == times)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    [[pid]] = starts(study)
    assert process.returncode == 130 and f"engine (pid {pid}) still works" in err and "secondshift stop" in err
    os.kill(int(pid), 0)
    assert logged(study).count("heard 2") == 2 and note_of(study).state == "left"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_asks_the_engine_once_and_waits_only_so_long(study: Path, number: int) -> None:
    process = in_process(study, engine("time.sleep(60)\ntime.sleep(60)", stubborn=True))
    assert eventually(lambda: bool(starts(study)))
    process.send_signal(number)
    process.send_signal(number)
    process.communicate(timeout=15)
    assert process.returncode == 128 + number
    assert logged(study).count("heard 15") == 1


def test_an_engine_that_dies_while_ending_is_not_started_again(study: Path) -> None:
    dies = engine("signal.signal(2, signal.SIG_DFL)\ntime.sleep(60)")
    process = in_process(study, dies)
    assert eventually(lambda: bool(starts(study)))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130 and "while it was ending" in err and len(starts(study)) == 1


def test_a_second_keeper_says_who_the_first_is_and_starts_nothing(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = in_process(study, engine("time.sleep(60)"))
    assert eventually(lambda: bool(starts(study)))
    for detach in (False, True):
        assert keep(study, detach=detach, command=engine("time.sleep(60)"), patience=HASTY) == 3
        assert f"pid {process.pid}" in capsys.readouterr().err
    assert len(starts(study)) == 1
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)


def test_a_detached_keeper_confirms_outlives_its_launcher_and_restarts_a_killed_engine(study: Path) -> None:
    launcher = in_process(study, engine("time.sleep(60)"), detach=True)
    _, err = launcher.communicate(timeout=30)
    assert launcher.returncode == 0
    note = note_of(study)
    assert f"keeper pid {note.pid}, engine pid {note.engine}" in err
    assert note.alive() and note.engine_alive() and os.getsid(note.pid) not in (os.getsid(0), note.pid)
    os.kill(note.pid, signal.SIGHUP)
    os.kill(note.engine, signal.SIGKILL)
    assert eventually(lambda: note_of(study).restarts == 1 and note_of(study).engine_alive())
    assert note_of(study).alive() and "SIGKILL" in note_of(study).last_crash
    os.kill(note.pid, signal.SIGTERM)
    assert eventually(lambda: not note.alive()) and not note_of(study).engine_alive()


def test_a_detached_engine_that_cannot_work_is_told_to_the_one_who_launched_it(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = engine("print('secondshift.toml: line 3: no such goal'); sys.exit(2)")
    assert keep(study, detach=True, command=mistake, patience=HASTY) == 2
    assert "no such goal" in capsys.readouterr().err
    assert keep(study, detach=True, command=engine("raise KeyError('lost')"), patience=HASTY) == 5
    assert "KeyError" in capsys.readouterr().err


def test_a_killed_keeper_leaves_its_engine_and_the_next_keeper_looks_after_it(study: Path) -> None:
    holds = f"{USES}test_keeper.hold_or_leave(pathlib.Path('.secondshift'))"
    first = in_process(study, engine(holds))
    assert eventually(lambda: "holding" in logged(study))
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=15)
    [[pid]] = starts(study)
    second = in_process(study, engine(holds), until="08:00")
    assert eventually(lambda: note_of(study).pid == second.pid and note_of(study).engine == int(pid))
    os.kill(int(pid), signal.SIGKILL)
    assert eventually(lambda: len(starts(study)) == 3)
    assert starts(study)[1][1:] == ["--until", "08:00"] and starts(study)[2][1:] == ["--resume"]
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=15)


def hold_or_leave(folder: Path) -> None:
    """What an engine does: take the lease and work, or say that another has it and leave."""
    ledger = open_ledger(folder)
    me = Holder(host="h", pid=os.getpid(), start_ticks=hosts.start_ticks(os.getpid()), boot_id=hosts.boot_id())
    lease = ledger.lease()
    if lease and hosts.alive(lease.holder.pid, lease.holder.start_ticks, lease.holder.boot_id):
        sys.exit(3)
    ledger.take_lease(me, how_dead=lambda lease: True)
    print("holding", flush=True)
    time.sleep(60)


def test_progress_is_what_the_ledger_gained(study: Path) -> None:
    folder = study.parent / ".secondshift"
    assert progress(folder, None) == Progress()
    record(study, shift_started())
    start = progress(folder, None)
    assert start.seq > 0 and not start.began
    assert progress(folder, start) == start
    record(study, attempt_started())
    later = progress(folder, start)
    assert later.worked and not later.began
    record(study, shift_started())
    assert progress(folder, later).began and not progress(folder, later).worked
    (folder / "ledger.db").write_bytes(b"not a ledger" * 1000)
    assert progress(folder, later) == Progress(seq=later.seq)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"state": "keeping"}', '{"pid": "x"}'])
def test_a_damaged_note_is_no_note(study: Path, content: str) -> None:
    folder = study.parent / ".secondshift"
    folder.mkdir()
    (folder / "keeper.json").write_text(content)
    assert read_note(folder) is None
    assert keep(study, command=engine(""), patience=HASTY) == 0


def test_a_note_of_another_boot_is_not_believed(tmp_path: Path) -> None:
    me = os.getpid()
    note = KeeperNote(
        state="keeping", pid=me, start_ticks=hosts.start_ticks(me), boot_id="another", since=0.0, engine=me,
        engine_start_ticks=hosts.start_ticks(me),
    )  # fmt: skip
    write_note(tmp_path, note)
    assert read_note(tmp_path) == note
    assert not note.alive() and not note.engine_alive()

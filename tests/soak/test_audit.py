"""The audit of the soaks finds every harm that is planted, and none where there is none."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from soak.drill.audit import Findings, audit
from soak.drill.stage import Plan, Stage
from soak.drill.table import BEGIN, END, Row, at_least, last_line, markdown, none_of, put_into
from soak.drill.training import Job, curve
from soak.drill.witness import read_witness

DRILL = Path(__file__).resolve().parents[2] / "soak" / "drill"


@pytest.fixture(scope="module")
def played() -> Iterator[Stage]:
    """A small night that nobody disturbed."""
    stage = Stage(Plan(name="test", trials=2, steps=10, step_s=0.01, save_every=4))
    try:
        code, said = stage.call("run", "--for", "10m", timeout=60.0)
        assert code == 0, said
        yield stage
    finally:
        stage.close()


@pytest.fixture
def witnessed(played: Stage) -> Iterator[list[dict]]:
    """What the witness says; changes to the file are taken back after the test."""
    file = played.witness / "witness.jsonl"
    before = file.read_bytes()
    yield [json.loads(line) for line in before.splitlines()]
    file.write_bytes(before)


def say(stage: Stage, lines: list[dict]) -> Findings:
    (stage.witness / "witness.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return audit(stage)


def test_an_undisturbed_night_is_found_without_harm(played: Stage) -> None:
    found = audit(played)
    assert list(found.harm()) == []
    assert found.points == 2 * 10 * 2 and found.trials == found.attempts == 2


def test_a_point_that_was_logged_and_is_not_in_the_ledger_is_lost(played: Stage, witnessed: list[dict]) -> None:
    extra = dict(next(line for line in witnessed if line["is"] == "step"), step=3, loss=123.0)
    assert say(played, [*witnessed, extra]).lost


def test_points_that_nobody_logged_are_called_repeated(played: Stage, witnessed: list[dict]) -> None:
    assert say(played, [line for line in witnessed if line.get("step", 0) < 5]).repeated


def test_two_lives_of_one_trial_that_cross_in_time_are_found(played: Stage, witnessed: list[dict]) -> None:
    first = next(line for line in witnessed if line["is"] == "step")
    found = say(played, [*witnessed, dict(first, attempt=f"{first['trial']}.a2", pid=1, at=first["at"] + 1e-3)])
    assert found.twice and found.unwitnessed


def test_an_attempt_charged_for_less_than_it_lived_is_found(played: Stage, witnessed: list[dict]) -> None:
    assert say(played, [dict(line, at=line["at"] + (30 if line["is"] == "end" else 0)) for line in witnessed]).cost


def test_a_changed_value_in_the_ledger_is_seen_by_curves_and_replay(played: Stage) -> None:
    file, copy = played.private / "ledger.db", played.root / "copy.db"
    with closing(sqlite3.connect(file)) as connection, closing(sqlite3.connect(copy)) as other:
        connection.backup(other)
    try:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("update batches set trial = 't1' where trial = 't2'")
            connection.execute("delete from events where kind = 'charge.settled'")
        found = audit(played)
        assert found.lost and found.curves and found.ledger and found.unsettled
    finally:
        with closing(sqlite3.connect(copy)) as other, closing(sqlite3.connect(file)) as connection:
            other.backup(connection)


def test_a_process_that_is_left_behind_is_an_orphan_and_is_ended_by_the_stage(played: Stage) -> None:
    left = subprocess.Popen(["sleep", "60"], env=played.env(), start_new_session=True)
    try:
        until = time.monotonic() + 10  # it has its environment only once it has become `sleep`
        while not (found := played.orphans(0.1)) and time.monotonic() < until:
            time.sleep(0.05)
        assert [process.pid for process in found] == [left.pid]
        assert played.strike() == 1 and left.wait(5.0) == -signal.SIGKILL
    finally:
        left.kill()
        left.wait(5.0)


def test_the_lock_of_a_trial_tells_of_a_second_process(tmp_path: Path) -> None:
    with open(tmp_path / "t1.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code = "from training import Witness; Witness()"
        env = {**os.environ, "SOAK_WITNESS": str(tmp_path), "SECONDSHIFT_ATTEMPT": "/x/t1.a2"}
        subprocess.run([sys.executable, "-c", code], cwd=DRILL, env=env, check=True, timeout=20)
    assert read_witness(tmp_path).overlaps == ("t1.a2",)


def test_a_job_that_is_saved_and_loaded_goes_on_to_the_bit(tmp_path: Path) -> None:
    params = {"lr": 0.05, "width": 32}
    job = Job(params, seed=3)
    values = [job.step() for _ in range(4)]
    job.save(tmp_path)
    later = Job(params, seed=3)
    later.load(tmp_path)
    assert [*values, *(later.step() for _ in range(4))] == list(curve(params, 3, 8))
    assert list(curve(params, 4, 8)) != list(curve(params, 3, 8))


@pytest.mark.parametrize("phase, left", [("before", None), ("torn", "1234"), ("whole", "12345678"), ("after", "12345678")])
def test_an_armed_write_point_kills_its_process_once_and_at_that_moment(
    tmp_path: Path, phase: str, left: str | None
) -> None:
    (tmp_path / f"fence@{phase}").touch()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import crashing, os; crashing.arm(['x', ' engine ', 'y'])\n"
        "open('fence.1.tmp', 'w').write('12345678'); os.replace('fence.1.tmp', './fence'); print('alive')"
    ).replace("'fence.1.tmp'", "'./fence.1.tmp'")
    command = [sys.executable, "-S", "-c", code, str(DRILL / "injected")]
    env = {**os.environ, "SOAK_ARMED": str(tmp_path)}
    first = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert first.returncode == -signal.SIGKILL and (tmp_path / "hits").read_text().startswith(f"fence@{phase} engine ")
    place = tmp_path / ("fence" if phase == "after" else "fence.1.tmp")
    assert (place.read_text() if place.exists() else None) == left
    assert (tmp_path / "fence").exists() == (phase == "after")
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert again.stdout == "alive\n"


def test_a_table_says_miss_and_replaces_only_its_own_section(tmp_path: Path) -> None:
    rows = [none_of("results lost", ["t1 step 3"], "results"), at_least("kills", 200, 200, "kills")]
    assert json.loads(last_line(rows))["results lost"]["holds"] is False
    file = tmp_path / "benchmarks.md"
    file.write_text("# Benchmarks\n\nfirst\n")
    put_into(file, markdown(rows, ["one"]))
    file.write_text(file.read_text() + "\nlast\n")
    put_into(file, markdown([Row(name="new", ours=0)], ["two"]))
    text = file.read_text()
    assert text.startswith("# Benchmarks\n\nfirst\n\n" + BEGIN) and text.endswith("\nlast\n") and text.count(END) == 1
    assert "MISS" not in text and "| new |" in text

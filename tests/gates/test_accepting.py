"""Moving the baseline through the gate, with real processes: pass, block, override, a crash in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gates.desks import BEFORE, BETTER, STUDY, WORSE_SLICE, made
from secondshift.interfaces.cli.main import called
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.replay import replay
from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.processes import carriers
from secondshift.runtime.gating import token_of


def events(folder: Path, *kinds: str) -> list[facts.Event]:
    ledger = open_ledger(folder / ".secondshift", readonly=True)
    try:
        return list(ledger.read(kinds=kinds or None))
    finally:
        ledger.close()


def state(folder: Path) -> State:
    ledger = open_ledger(folder / ".secondshift", readonly=True)
    try:
        assert replay(ledger).holds, replay(ledger)
        return load_state(ledger, folder / "none")
    finally:
        ledger.close()


def test_what_passes_becomes_the_baseline_and_each_measurement_is_a_fact(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, BETTER)
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "GATE PASS: e1 (gate-1" in said and "4 of 4 rules hold" in said and "acc/slice_b" in said
    found = state(tmp_path)
    assert found.baseline == "c2" and found.gates["gate-1"].verdict == "pass"
    assert len(events(tmp_path, "gate.checked")) == 6
    (moved,) = [e.payload for e in events(tmp_path, "baseline.moved") if e.payload.idea]
    assert (moved.gate, moved.because) == ("gate-1", "")
    order = [e.kind for e in events(tmp_path, "gate.ordered", "gate.checked", "gate.judged", "baseline.moved")][1:]
    assert order == ["gate.ordered", *["gate.checked"] * 6, "gate.judged", "baseline.moved"]


def test_a_worse_slice_blocks_although_the_mean_is_better_and_an_override_is_recorded_with_who_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, WORSE_SLICE)
    assert called(["accept", "e1", "--lang", "ko", "--study", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "게이트 차단: e1" in said and "acc/slice_b" in said
    assert state(tmp_path).baseline == "c1"
    assert called(["accept", "e1", "--because", "slice b is retired", "--json", "--study", str(tmp_path)]) == 0
    doc = json.loads(capsys.readouterr().out)
    assert doc["gate"]["verdict"] == "block" and len(doc["gate"]["rows"]) == 4
    assert len(events(tmp_path, "gate.ordered")) == 1, "what was measured whole is not measured again"
    assert state(tmp_path).baseline == "c2"
    moved = events(tmp_path, "baseline.moved")[-1].payload
    assert moved.because == "slice b is retired" and moved.gate == "gate-1" and moved.who
    assert "although the gate says block" in moved.why


def test_a_check_that_crashes_on_the_candidate_alone_blocks_and_may_be_mended(tmp_path: Path) -> None:
    made(tmp_path, {**BETTER, "crash": 1})
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 1
    first = state(tmp_path).gates["gate-1"]
    assert first.verdict == "block" and "it cannot be loaded" in first.reason
    model = tmp_path / ".secondshift" / "attempts" / "t2.a1" / "out" / "model.json"
    model.write_text(json.dumps(BETTER))
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    assert state(tmp_path).gates["gate-2"].verdict == "pass"


def test_an_artefact_that_is_gone_is_insufficient(tmp_path: Path) -> None:
    made(tmp_path, BETTER)
    (tmp_path / ".secondshift" / "attempts" / "t2.a1" / "out" / "model.json").unlink()
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 1
    assert state(tmp_path).gates["gate-1"].verdict == "insufficient"


def test_a_check_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    made(tmp_path, {**BETTER, "takes_s": 60}, study=STUDY.replace('"20s"', '"300ms"'))
    stray = "__import__('subprocess').Popen(['sleep', '99'], start_new_session=True)"
    check = tmp_path / "check.py"
    check.write_text(check.read_text().replace("time.sleep", f"{stray}; time.sleep"))
    began = time.monotonic()
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 1
    assert time.monotonic() - began < 30
    assert "longer than 0.3 s" in state(tmp_path).gates["gate-1"].reason
    assert not carriers({token_of(tmp_path / ".secondshift" / "gates" / "gate-1")})


def test_a_check_sees_neither_the_training_nor_what_this_process_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere/of/ours")
    monkeypatch.setenv("SECONDSHIFT_SEED", "7")
    made(tmp_path, BETTER, study=STUDY + '[launch]\nenv = { MARK = "1" }\n')
    (tmp_path / "check.py").write_text(
        "import os\nassert 'PYTHONPATH' not in os.environ and 'SECONDSHIFT_SEED' not in os.environ and os.environ['MARK'] == '1'\n"
        + (tmp_path / "check.py").read_text()
    )
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0


@pytest.mark.skipif(not confinement.available(), reason="this kernel cannot confine a process")
def test_a_check_can_alter_neither_the_study_nor_what_it_measures(tmp_path: Path) -> None:
    made(tmp_path, BETTER)
    check = tmp_path / "check.py"
    check.write_text(f"open({str(tmp_path / 'check.py')!r}, 'a').write('#')\n" + check.read_text())
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 1
    assert "Permission" in str(state(tmp_path).gates["gate-1"].results) and not check.read_text().endswith("#")


def test_a_gate_that_is_killed_in_the_middle_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    slow = {"takes_s": 0.4}
    file = made(tmp_path, {**BETTER, **slow}, {**BEFORE, **slow})
    (tmp_path / "check.py").write_text(
        "import os, sys\nwith open(os.environ['TMPDIR'] + '/runs.txt', 'a') as f: f.write(sys.argv[1] + chr(10))\n"
        + (tmp_path / "check.py").read_text()
    )
    home = tmp_path / ".secondshift" / "gates" / "gate-1"
    command = [sys.executable, "-P", "-m", "secondshift", "accept", "e1", "--study", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (home / "1.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    suites = [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if b"secondshift.runtime.suites" in _command(pid) and os.path.realpath(f"/proc/{pid}/fd/1") == str(home / "suite.log")
    ]  # fmt: skip
    for pid in suites:
        os.kill(pid, signal.SIGKILL)
    assert suites, "the process that measures outlives who started it"
    deadline = time.monotonic() + 10
    while carriers({token_of(home)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not carriers({token_of(home)}), "what it was running died with it"
    assert state(tmp_path).baseline == "c1" and "gate-1" in state(tmp_path).gates
    kept = {place.name: place.read_bytes() for place in home.glob("*.json")}
    assert called(["accept", "e1", "--study", str(file)]) == 0
    found = state(tmp_path)
    assert found.baseline == "c2" and found.gates["gate-1"].verdict == "pass"
    assert len(events(tmp_path, "gate.checked")) == 6 and len(events(tmp_path, "gate.ordered")) == 1
    assert all((home / name).read_bytes() == data for name, data in kept.items()), "what was measured was not measured again"
    runs = (home / "tmp" / "runs.txt").read_text().splitlines()
    assert 6 <= len(runs) <= 7, "at most the one that was killed ran twice"


def test_an_idea_that_did_not_hold_up_is_refused_without_a_run(tmp_path: Path) -> None:
    made(tmp_path, BETTER, state="undecided")
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 1
    assert not events(tmp_path, "gate.ordered")


def test_without_a_suite_the_gate_asks_nothing(tmp_path: Path) -> None:
    made(tmp_path, BETTER, study=STUDY.partition("[gate]")[0])
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    found = state(tmp_path)
    assert found.baseline == "c2" and not found.gates


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


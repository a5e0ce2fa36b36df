"""Keeping the machine awake never fails a shift, and says honestly what was done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secondshift.runtime import awake
from secondshift.runtime.awake import kept_awake

HOLD = """
import sys, time
from secondshift.runtime.awake import kept_awake
with kept_awake("test", command=("sh", "-c", "echo $$ > held; exec cat")) as said:
    print(said, flush=True)
    time.sleep(60)
"""


def gone(pid: int, limit_s: float = 5.0) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_the_hold_lasts_as_long_as_the_block() -> None:
    with kept_awake("test", command=("cat",)) as said:
        assert "keeps this machine from suspending" in said
        pid = int(said.rpartition("pid ")[2].rstrip(")."))
        os.kill(pid, 0)
    assert gone(pid)


def test_a_refusal_is_told_and_the_shift_goes_on() -> None:
    with kept_awake("test", command=("sh", "-c", "echo no bus here >&2; exit 1")) as said:
        assert "refused (no bus here)" in said and "may suspend" in said


def test_a_tool_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with kept_awake("test", command=("no-such-tool-anywhere",)) as said:
        assert "could not be started" in said
    monkeypatch.setattr(awake.shutil, "which", lambda _: None)
    with kept_awake("test") as said:
        assert "offers no way" in said


def test_a_tool_that_ignores_everything_is_ended() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    awake_for = time.monotonic()
    with kept_awake("test", command=(sys.executable, "-c", stubborn)) as said:
        pid = int(said.rpartition("pid ")[2].rstrip(")."))
    assert gone(pid) and time.monotonic() - awake_for < 10


def test_whatever_this_system_offers_the_answer_is_a_sentence() -> None:
    with kept_awake("test") as said:
        assert said.endswith(".") and ("suspend" in said)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_keeper_does_not_keep_the_machine_awake_for_ever(tmp_path: Path) -> None:
    source = str(Path(awake.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": source}
    keeper = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None and "keeps" in keeper.stdout.readline()
    keeper.send_signal(signal.SIGKILL)
    keeper.communicate(timeout=10)
    assert gone(int((tmp_path / "held").read_text()))

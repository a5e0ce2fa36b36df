"""`watch` asks where a run stands once its end is known: its tracker says so, or the command that it started is over."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.policies.captain.foreign import ended
from secondshift.runtime.watched.cells import Cells, End
from secondshift.watching.sightings import Asked
from secondshift.watching.streams import RunWatch

SRC = str(Path(__file__).resolve().parents[2] / "src")
DRAWN = random.Random(5)
VALUES = [0.5 + 2.0 * 0.95**step + (step >= 92) + DRAWN.uniform(-0.02, 0.02) for step in range(100)]  # it ends elevated


def test_a_run_is_judged_once_when_its_tracker_tells_that_it_ended() -> None:
    columns = {"step": list(range(100)), "loss": VALUES}
    running, over = RunWatch("a", "a", Asked()), RunWatch("b", "b", Asked())
    assert [one for one in running.take(Cells(count=100, columns=columns)) if one.action == "ask"] == []
    told = over.take(Cells(count=100, columns=columns, end=End(status="finished")))
    assert [(one.symptom, one.step) for one in told if one.action == "ask"] == [("slow_divergence", 99)]
    assert over.take(Cells()) == []


def test_what_a_command_printed_is_judged_when_it_is_over() -> None:
    script = f"for step, loss in enumerate({VALUES}): print(f'step {{step}} loss={{loss:.4f}}')"
    command = [sys.executable, "-m", "secondshift", "watch", "--json", "--", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": SRC, "SECONDSHIFT_LANG": "en"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [(one["symptom"], one["step"]) for one in told if one["action"] == "ask"] == [("slow_divergence", 99)]


@pytest.mark.parametrize(("code", "diagnosis"), [(-3, "ended_by_signal"), (131, "ended_by_signal"), (-6, "sigabrt")])
def test_a_typed_quit_is_a_signal_from_outside_and_an_abort_is_none(code: int, diagnosis: str) -> None:
    [told] = ended([], ["step=4 loss=1.0"], code=code, step=4)
    assert told.diagnosis == diagnosis

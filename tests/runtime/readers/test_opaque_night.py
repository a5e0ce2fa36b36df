"""A whole night of an unmodified script that only prints: its curves, the decisions on them and the brief."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.ledger.opening import open_ledger
from secondshift.records import events as facts

SOURCE = str(Path(__file__).parents[3] / "src")
SCRIPT = """
import random, sys, time
lr, seed = float(sys.argv[1]), int(sys.argv[2])
rng, loss = random.Random(seed), 4.0
print("training begins", file=sys.stderr)
for step in range(27):
    loss -= lr * loss
    time.sleep(0.02)
    print(f"step={step} val_loss={loss:.6f}")
"""
STUDY = """
command = "{python} train.py {{lr}} {{seed}}"
tier = "opaque"
[objective]
metric = "val_loss"
[horizon]
steps = 27
[search]
lr = {{ low = 0.01, high = 0.3, log = true, default = 0.2 }}
[budget]
trials = 6
[launch]
slots = 1
"""


@pytest.fixture
def run(tmp_path: Path):
    place = tmp_path / "study"
    place.mkdir()
    (place / "train.py").write_text(SCRIPT)
    (place / "secondshift.toml").write_text(STUDY.format(python=sys.executable))
    variables = {**os.environ, "PYTHONPATH": SOURCE, "SECONDSHIFT_HOST_DIR": str(tmp_path / "devices")}

    def verb(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "secondshift", *words], cwd=place, env=variables, capture_output=True, text=True,
            timeout=90, check=True,
        ).stdout  # fmt: skip

    return verb, place


@pytest.mark.slow
def test_a_script_that_only_prints_gets_its_curves_decisions_and_a_brief(run) -> None:
    verb, place = run
    verb("run")
    ledger = open_ledger(place / ".secondshift")
    try:
        payloads = [event.payload for event in ledger.read()]
        trials = [p.trial.id for p in payloads if isinstance(p, facts.TrialQueued)]
        whole = 0
        for trial in trials:
            series = ledger.series(trial, "val_loss", raw=True)
            assert list(series.steps) == list(range(len(series.steps))), "each step once, in order"
            assert list(series.values) == sorted(series.values, reverse=True)
            whole += len(series.steps) == 27
        logged = [p for p in payloads if isinstance(p, facts.MetricsLogged)]
        said = [p.decision for p in payloads if isinstance(p, facts.DecisionMade)]
    finally:
        ledger.close()
    assert len(trials) == 6 and 1 <= whole
    assert {p.fragment for p in logged} == {"output.log"} and all(p.points for p in logged)
    assert any(d.by == "halving" and d.verb in ("stop", "advance") for d in said)
    assert "val_loss" in verb("brief")

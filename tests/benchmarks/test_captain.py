"""The captain's benchmark scores as docs/captain/recoverable.md says."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

from captain.peers import PEERS  # noqa: E402  # the folder comes first
from captain.scoring import Expected, Table, judge, poisson_upper, wilson  # noqa: E402

from secondshift.policies.captain.symptoms.findings import Finding  # noqa: E402

EXPECTED = Expected(kind="bad_shard", fault=True, onset=100, acceptable=frozenset({"spike", "step_up"}),
                    right=frozenset({"spike"}), causes=frozenset({"bad_data"}), slow=False, held_out=False)  # fmt: skip

HEALTHY = Expected(kind="healthy", fault=False, onset=-1, acceptable=frozenset(), right=frozenset(), causes=frozenset(),
                   slow=False, held_out=False)  # fmt: skip


def finding(symptom: str, step: int, *, lasted: int = 128) -> Finding:
    return Finding(symptom=symptom, stream="loss", step=step, since=step - lasted, lasted=lasted, confidence=0.9, evidence={})  # type: ignore[arg-type]


def test_a_hit_is_an_acceptable_symptom_within_two_hundred_steps_of_the_onset() -> None:
    assert judge([finding("step_up", 300)], EXPECTED, 1000).hit
    assert not judge([finding("step_up", 301)], EXPECTED, 1000).hit
    assert not judge([finding("plateau", 150)], EXPECTED, 1000).hit


def test_the_first_finding_of_the_run_must_be_right_and_a_page_before_the_onset_is_false() -> None:
    late = judge([finding("spike", 120), finding("step_up", 130)], EXPECTED, 1000)
    assert (late.right, late.cause, late.pages, late.false_pages) == (True, True, 1, 0)
    early = judge([finding("step_up", 50), finding("spike", 120)], EXPECTED, 1000)
    assert (early.right, early.hit, early.false_pages) == (False, True, 1)


def test_repairs_are_acts_but_no_pages_and_notes_are_neither() -> None:
    told = [finding("slow_loader", 10, lasted=96), finding("slow_steps", 20)]
    score = judge(told, HEALTHY, 1000)
    assert (score.false_pages, score.false_acts, score.notes) == (0, 1, 1)
    young = judge([finding("step_up", 900, lasted=64)], HEALTHY, 1000)
    assert (young.false_pages, young.false_acts, young.notes) == (0, 1, 0)  # where going back is granted it is done
    assert Table(scores=[score]).summary()["false acts per 100k lookalike steps"] == 100.0


def test_intervals_are_those_of_the_textbooks() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert round(poisson_upper(0), 4) == 3.6889
    assert round(poisson_upper(3), 4) == 8.7673


def test_every_peer_tells_of_a_nan_or_of_worsening_evaluations() -> None:
    rows = [{"step": float(step), "loss": 1.0, "grad_norm": 1.0, "val_loss": 1.0 + step} for step in range(50)]
    rows[40]["loss"] = float("nan")
    assert [name for name, detect in PEERS.items() if not detect(rows, "min")] == []


def test_the_command_keeps_the_contract_of_benchmarks() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "captain.py"), "--only", "speed", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    (row,) = json.loads(done.stdout.splitlines()[-1]).values()
    assert set(row) == {"ours", "unit", "peers", "target", "holds"} and row["holds"] is (row["ours"] >= 2000)


def test_a_part_that_reads_the_incidents_says_what_is_missing() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "captain.py"), "--only", "rl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "say where it is with --data DIR" in done.stderr

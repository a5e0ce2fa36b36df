"""What is seen from outside a training script: hangs told apart, a disk that fills, checkpoints that fail, stragglers."""

from dataclasses import replace

import pytest

from secondshift.ledger.fold import fold
from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.observing import decide as observe
from secondshift.policies.captain.symptoms.beats import silence, straggler
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Row, follow, start
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial
from simulated_nights import study

GAP = 20.0  # seconds between two steps


def training(count: int) -> list[Row]:
    return [{"step": float(step), "loss": 1.0 / (step + 1), "time_s": step * GAP, "cpu": 1.0} for step in range(count)]


def quiet(after: int, state: str, cpu: float) -> list[Row]:
    """Samples of a process that logs no more, every five seconds."""
    return [
        {"step": float(after - 1), "time_s": (after - 1) * GAP + 5.0 * (1 + turn), "proc_state": float(ord(state)), "cpu": cpu}
        for turn in range(60)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "cpu", "cause"),
    [
        ("S", 0.0, "hang_lock"), ("D", 0.0, "hang_lock"), ("R", 0.99, "hang_busy"), ("S", 1.6, "hang_busy"),
        ("T", 0.0, "hang_stopped"),
    ],
)  # fmt: skip
def test_a_hang_is_found_within_five_normal_gaps_and_told_apart(state: str, cpu: float, cause: str) -> None:
    found = follow(start(), training(20) + quiet(20, state, cpu))[1]
    diagnosis = diagnose(found)
    assert found[0].symptom == "hang" and found[0].evidence["silent_s"] <= 5 * GAP
    assert diagnosis is not None and diagnosis.cause == cause
    assert len(found) == 2  # and again when it has lasted twice as long


def test_a_process_that_logs_on_does_not_hang_however_still_it_is() -> None:
    rows = [{**row, "proc_state": float(ord("S")), "cpu": 0.0} for row in training(60)]
    assert follow(start(), rows)[1] == []


def test_silence_with_no_word_of_the_process_stays_silence() -> None:
    assert [one.symptom for one in silence(now_s=200.0, last_beat_s=0.0, longest_gap_s=30.0, step=5)] == ["silence"]
    hang = silence(now_s=200.0, last_beat_s=0.0, longest_gap_s=30.0, step=5, state="stopped")
    assert [one.symptom for one in hang] == ["hang"] and "stopped" in hang[0].evidence


def disk(frees: list[float]) -> list[Finding]:
    return follow(start(), [{"step": float(10 * turn), "disk_free_mb": free} for turn, free in enumerate(frees)])[1]


def test_a_disk_that_fills_is_told_with_the_steps_that_are_left() -> None:
    found = disk([20_000.0 - 900.0 * turn for turn in range(20)])
    assert found[0].symptom == "disk_filling" and found[0].evidence["steps_to_full"] < 200
    assert "ask" in [rung(one) for one in found]


def test_a_disk_on_which_old_checkpoints_are_removed_does_not_fill() -> None:
    assert disk([20_000.0 - 900.0 * (turn % 4) for turn in range(80)]) == []
    assert disk([900_000.0 - 10.0 * turn for turn in range(80)]) == []  # fills, but in years


def test_the_last_gigabyte_is_told_once_and_again_at_half() -> None:
    found = disk([5000.0, 1000.0, 1000.0, 900.0, 400.0, 400.0])
    assert [one.evidence["free_mb"] for one in found] == [1000.0, 400.0]


def test_one_checkpoint_that_failed_is_noted_and_two_in_a_row_ask() -> None:
    def told(*failed: float) -> list[str]:
        rows: list[Row] = [{"step": float(turn), "checkpoint_failed": one} for turn, one in enumerate(failed)]
        return [rung(one) for one in follow(start(), rows)[1]]

    assert told(0.0, 1.0, 0.0, 1.0, 0.0) == ["note", "note"]
    assert told(0.0, 1.0, 1.0) == ["note", "ask"]


def test_device_memory_that_grows_is_a_leak_of_its_own() -> None:
    rows: list[Row] = [
        {"step": float(step), "loss": 1.0 / (step + 1), "rss_mb": 500.0, "gpu_mb": 4000.0 + 8.0 * max(0, step - 200)}
        for step in range(500)
    ]
    assert {(one.symptom, one.stream) for one in follow(start(), rows)[1]} == {("memory_leak", "gpu_mb")}


def test_the_worker_that_is_slower_than_its_peers_is_named() -> None:
    times = {f"rank{number}": [0.1 + 0.002 * ((number + turn) % 3) for turn in range(16)] for number in range(8)}
    assert straggler(times, step=90) == []
    times["rank5"] = [1.6 * value for value in times["rank5"]]
    assert [(one.symptom, one.stream) for one in straggler(times, step=90)] == [("slow_steps", "rank5")]
    assert straggler({"rank0": [0.1] * 9, "rank1": [0.9] * 9}, step=90) == []  # of two, who is the odd one?


def test_process_samples_in_any_cuts_give_the_same_state() -> None:
    rows = [*training(20), *quiet(20, "S", 0.0), {"step": 20.0, "disk_free_mb": 500.0, "checkpoint_failed": 1.0}]
    whole, expected = follow(start(), rows)
    for cut in (0, 7, 20, 33, len(rows) - 1):
        state, first = follow(start(), rows[:cut])
        state, second = follow(state, rows[cut:])
        assert (repr(state), first + second) == (repr(whole), expected)


@pytest.mark.parametrize(("health", "rests", "how"), [
    ("running", True, "waiting"), ("running", False, "busy"), ("blocked", False, "waiting"), ("stopped", True, "stopped"),
])  # fmt: skip
def test_what_its_processes_do_now_counts_and_not_a_health_from_before_the_silence(health, rests, how) -> None:
    heard = Attempt(id="t1.a1", trial="t1", number=1, status="running", started_at=0.5, last_log_at=100.0, longest_gap_s=0.1,
                    health=health)  # fmt: skip
    state = State(
        study=study(), shift=Shift(id="s1", started_at=0.0, slots=1), now_s=111.0, attempts={"t1.a1": heard},
        trials={"t1": Trial(id="t1", candidate="c1", seed=0, status="running", attempts=1, logged_step=40)}, open={"t1": True},
    )  # fmt: skip
    sampled = facts.MetricsLogged(attempt="t1.a1", trial="t1", fragment="machine.samples", start=0, end=9, points=2, crc=0,
                                  machine=True, rests=rests)  # fmt: skip
    later = fold(state, [facts.Event(seq=1, at=110.0, token=1, kind="metrics.logged", payload=sampled)])
    ((found,),) = [decision.findings for decision in observe(replace(later, now_s=111.0))]
    assert found.symptom == "hang" and how in found.evidence

"""A night of recorded curves: points come with the clock, and what the script of mishaps says goes wrong."""

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secondshift.errors import ConfigInvalid, DeviceBusy
from secondshift.records.orders import Order
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.executors.simulated import FRAGMENT, Mishap, SimulatedExecutor
from secondshift.testing.executor_conformance import attempt_of, collect_all, exit_of, notes_of, steps_of

CURVES = {"good": {"loss": np.linspace(1.0, 0.0, 100)}, "bad": {"loss": np.full(100, 2.0)}}


def order(trial: str = "good", *, number: int = 1, **changes: float) -> Order:
    plain = Order(
        attempt=f"{trial}.a{number}", trial=trial, number=number, token=1, command=("x",), cwd="/", folder="/",
        checkpoints="/", horizon_steps=100, until_step=100, grant_s=1e6, checkpoint_every_s=20.0,
    )  # fmt: skip
    return replace(plain, **changes)


def values(executor: SimulatedExecutor, ordered: Order) -> list[float]:
    chunks = collect_all(executor, attempt_of(ordered))
    return [value for chunk in chunks for batch in chunk.batches for value in batch.values]


def played(tmp_path: Path, *mishaps: Mishap, **settings: float) -> tuple[SimulatedExecutor, SimulatedClock]:
    clock = SimulatedClock(1000.0)
    executor = SimulatedExecutor(tmp_path, curves=CURVES, clock=clock, mishaps={"good": mishaps}, **settings)
    return executor, clock


def end(executor: SimulatedExecutor, ordered: Order) -> Exit:
    return exit_of(executor.poll([attempt_of(ordered)]))


def test_points_come_as_the_clock_moves_and_not_before(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, seconds_per_step=2.0, start_s=5.0)
    executor.submit(order())
    clock.sleep(6.9)
    assert steps_of(collect_all(executor, attempt_of(order()))) == []
    clock.sleep(0.1)
    assert steps_of(collect_all(executor, attempt_of(order()))) == [0]
    clock.sleep(6.0)
    assert steps_of(collect_all(executor, attempt_of(order()))) == [0, 1, 2, 3]
    assert values(executor, order()) == list(CURVES["good"]["loss"][:4])


def test_an_ended_attempt_took_as_long_as_its_steps(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, seconds_per_step=2.0)
    executor.submit(order(until_step=30))
    clock.sleep(59.9)
    assert [sign.kind for sign in executor.poll([attempt_of(order())])] == ["started"]
    clock.sleep(1000)
    assert (end(executor, order()).elapsed_s, end(executor, order()).code) == (60.0, 0)


def test_a_crash_resumes_from_the_last_periodic_checkpoint_and_the_curve_goes_on(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, Mishap(kind="crash", at_step=50))
    executor.submit(order())
    clock.sleep(100)
    assert (end(executor, order()).signal, end(executor, order()).elapsed_s) == (11, 50.0)
    first = collect_all(executor, attempt_of(order()))
    assert steps_of(first) == list(range(50))
    assert notes_of(first, "saved", "step")[-1] == 40
    again = order(number=2, from_step=40)
    executor.submit(again)
    clock.sleep(100)
    rest = collect_all(executor, attempt_of(again))
    assert (end(executor, again).code, steps_of(rest)) == (0, list(range(40, 100)))
    assert notes_of(rest, "restored", "step") == [40]


def test_a_pause_saves_the_step_it_is_at(tmp_path: Path) -> None:
    executor, clock = played(tmp_path)
    executor.submit(order())
    clock.sleep(33.5)
    executor.cancel("good.a1", mode="pause", token=1, grace_s=10)
    assert end(executor, order()).cause == "pause"
    chunks = collect_all(executor, attempt_of(order()))
    assert notes_of(chunks, "saved", "step")[-1] == notes_of(chunks, "closed", "steps_done")[0] == 33


@pytest.mark.parametrize(("kind", "code", "cause"), [("fail", 1, "self"), ("lost", None, "lost")])
def test_failures_happen_where_the_script_says(tmp_path: Path, kind: str, code: int | None, cause: str) -> None:
    executor, clock = played(tmp_path, Mishap(kind=kind, at_step=7, attempt=0))
    for number in (1, 2):
        executor.submit(order(number=number))
        clock.sleep(100)
        assert (end(executor, order(number=number)).code, end(executor, order(number=number)).cause) == (code, cause)


def test_a_hanging_attempt_makes_no_step_until_its_grant_is_used_up(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, Mishap(kind="hang", at_step=7))
    executor.submit(order(grant_s=500.0))
    clock.sleep(499)
    assert len(executor.poll([attempt_of(order())])) == 1
    clock.sleep(1)
    assert (end(executor, order()).cause, len(values(executor, order()))) == ("grant", 7)


def test_a_silent_attempt_trains_on_without_a_word(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, Mishap(kind="silent", at_step=7))
    executor.submit(order())
    clock.sleep(100)
    assert (end(executor, order()).code, len(values(executor, order()))) == (0, 7)


def test_a_spoilt_attempt_logs_nan_from_its_step_on(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, Mishap(kind="nan", at_step=97))
    executor.submit(order())
    clock.sleep(100)
    assert [math.isnan(value) for value in values(executor, order())][95:] == [False, False, True, True, True]


def test_noise_belongs_to_the_trial_and_survives_a_resume(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, noise=0.1)
    for ordered in (order(), order(number=2, from_step=50), order("bad")):
        executor.submit(ordered)
    clock.sleep(100)
    assert values(executor, order())[50:] == values(executor, order(number=2, from_step=50))
    noise = np.array(values(executor, order())) - CURVES["good"]["loss"]
    assert 0.05 < noise.std() < 0.2
    assert not np.allclose(noise, np.array(values(executor, order("bad"))) - 2.0)


def test_curves_are_read_from_a_file_beside_the_study(tmp_path: Path) -> None:
    np.savez(tmp_path / "curves.npz", **{"slow/loss": np.arange(100.0), "slow/acc": np.arange(100.0)})
    clock = SimulatedClock(0.0)
    executor = SimulatedExecutor(tmp_path, clock=clock)
    executor.submit(order())
    clock.sleep(3)
    batches = executor.collect(attempt_of(order()))[0].batches
    assert {batch.metric: list(batch.values) for batch in batches} == {"loss": [0, 1, 2], "acc": [0, 1, 2]}


def test_missing_curves_are_told_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"curves\.npz"):
        SimulatedExecutor(tmp_path)


def test_a_curve_shorter_than_the_horizon_is_refused(tmp_path: Path) -> None:
    executor, _ = played(tmp_path)
    with pytest.raises(ValueError, match="has 100 steps; expected at least the 101"):
        executor.submit(order(horizon_steps=101))


def test_a_parameter_may_name_the_curve_and_the_same_parameters_give_the_same_one(tmp_path: Path) -> None:
    executor, clock = played(tmp_path)
    named = replace(order("t1"), params={"curve": "bad"})
    free = [replace(order(f"t{number}"), params={"lr": 0.1}) for number in (2, 3)]
    for ordered in (named, *free):
        executor.submit(ordered)
    clock.sleep(5)
    assert values(executor, named) == [2.0] * 5
    assert values(executor, free[0]) == values(executor, free[1])


def test_devices_are_as_many_as_slots_and_come_back(tmp_path: Path) -> None:
    executor, clock = played(tmp_path, slots=2)
    executor.submit(replace(order(), devices=("sim-0",)))
    assert executor.devices() == ("sim-1",)
    with pytest.raises(DeviceBusy):
        executor.submit(replace(order("bad"), devices=("sim-0",)))
    clock.sleep(100)
    assert executor.devices() == ("sim-0", "sim-1")


def test_a_thousand_running_trials_are_polled_and_collected_in_milliseconds(tmp_path: Path) -> None:
    clock = SimulatedClock(0.0)
    executor = SimulatedExecutor(tmp_path, curves={"only": CURVES["good"]}, clock=clock, slots=1000)
    attempts = []
    for number in range(1000):
        ordered = replace(order(f"t{number}"), devices=(f"sim-{number}",))
        executor.submit(ordered)
        attempts.append(replace(attempt_of(ordered), status="running"))
    spent = []
    for _ in range(20):
        clock.sleep(2)
        begun = time.process_time()
        executor.poll(attempts)
        chunks = [executor.collect(attempt)[0] for attempt in attempts]
        spent.append(time.process_time() - begun)
        attempts = [seen(attempt, chunk.end) for attempt, chunk in zip(attempts, chunks, strict=True)]
    assert min(spent) < 0.03  # 5 ms on a quiet machine; the bound is for one that is shared


def seen(attempt: Attempt, end: int) -> Attempt:
    return replace(attempt, offsets={FRAGMENT: end})

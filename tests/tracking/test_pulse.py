"""Step time and memory, sampled as log calls pass by; the time a loader takes; changes that are announced."""

import os
import time

import pytest

import secondshift
from secondshift.tracking import pulse, runs
from secondshift.tracking.process import rss_mb
from secondshift.tracking.pulse import Pulse


class Clock:
    """A clock that only goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(pulse.time, "monotonic", lambda: self.now)

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_sample_is_the_mean_over_the_new_steps_since_the_one_before():
    found = Pulse()
    assert found.sample(10.0, 1) == {}
    assert found.sample(12.0, 5)["sys/step_s"] == 0.5
    assert found.sample(15.0, 6)["sys/step_s"] == 3.0 and found.due_at == 16.0


def test_time_on_checkpoints_and_a_jump_of_the_steps_are_not_the_steps_time():
    found = Pulse()
    found.sample(10.0, 1)
    found.away_s += 3.0
    assert found.sample(14.0, 2)["sys/step_s"] == 1.0
    found.restart()
    assert found.sample(20.0, 500) == {} and found.sample(22.0, 501)["sys/step_s"] == 2.0


def test_at_most_one_sample_a_second_comes_with_a_log_call_at_its_step(attempt, clock):
    attempt.order(horizon_steps=1000)
    run = secondshift.init()
    for step in range(100):
        clock.go(0.1)
        run.log(step, loss=1.0)
        run.log(step, more=1.0)
    steps = [step for step, _ in attempt.points("sys/step_s")]
    assert steps == list(range(10, 100, 10)) or steps == list(range(11, 100, 11))
    assert all(value == pytest.approx(0.1) for _, value in attempt.points("sys/step_s"))
    assert [step for step, _ in attempt.points("sys/rss_mb")] == steps
    assert attempt.points("sys/data_s") == []


def test_memory_is_that_of_this_process(attempt):
    with open("/proc/self/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert rss_mb() == pytest.approx(kib * 1024 / 1e6, rel=0.1)


def test_late_and_repeated_steps_and_short_runs_bring_no_sample(attempt, clock):
    run = secondshift.init()
    run.log(5, loss=1.0)
    for step in (5, 4, 3, 5):
        clock.go(2.0)
        run.log(step, loss=1.0)
    assert attempt.points("sys/step_s") == []


def test_off_shift_nothing_is_sampled_and_the_loader_is_handed_on(monkeypatch):
    monkeypatch.delenv("SECONDSHIFT_ATTEMPT", raising=False)
    monkeypatch.setattr(runs, "_current", None)
    monkeypatch.setattr(Pulse, "sample", lambda *_: pytest.fail("sampled"))
    monkeypatch.setattr(Pulse, "timed", lambda *_: pytest.fail("timed"))
    run = secondshift.init(horizon=5)
    run.log(1, loss=1.0)
    assert list(run.loading([1, 2])) == [1, 2]
    run.announce("lr_drop")
    run.close()


def test_the_wait_for_the_loader_is_told_from_the_step(attempt, clock):
    def slow():
        for batch in range(40):
            clock.go(0.3)
            yield batch

    run = secondshift.init()
    got = []
    for step, batch in enumerate(run.loading(slow())):
        clock.go(0.1)
        run.log(step, loss=1.0)
        got.append(batch)
    assert got == list(range(40))
    waits, steps = attempt.points("sys/data_s"), attempt.points("sys/step_s")
    assert len(waits) == len(steps) > 5
    assert all(value == pytest.approx(0.3) for _, value in waits)
    assert all(value == pytest.approx(0.4) for _, value in steps)


def test_what_a_loader_raises_goes_on_its_way(attempt):
    def broken():
        yield 1
        raise LookupError("a bad shard")

    run = secondshift.init()
    with pytest.raises(LookupError, match="a bad shard"):
        list(run.loading(broken()))


def test_nothing_is_sampled_while_points_of_the_script_wait_for_the_disk(attempt, clock, monkeypatch):
    run = secondshift.init()
    run.log(0, loss=1.0)
    real = os.write
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for step in range(1, 10):
        clock.go(2.0)
        run.log(step, loss=1.0)
    monkeypatch.setattr(os, "write", real)
    clock.go(2.0)
    run.log(10, loss=1.0)
    assert len(attempt.points("loss")) == 11 and [step for step, _ in attempt.points("sys/step_s")] == [10]


def test_a_forked_child_samples_its_own_steps(attempt, clock):
    run = secondshift.init()
    run.log(0, loss=1.0)
    clock.go(5.0)
    if (pid := os.fork()) == 0:
        run.log(50, loss=1.0)
        clock.go(5.0)
        run.log(51, loss=1.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert attempt.points("sys/step_s") == [(51, 5.0)]


def test_a_real_run_is_sampled(attempt):
    run = secondshift.init()
    until = time.monotonic() + 1.3
    step = 0
    while time.monotonic() < until:
        time.sleep(0.01)
        run.log(step, loss=1.0)
        step += 1
    (sampled,) = attempt.points("sys/step_s")
    assert 0.01 <= sampled[1] < 0.1


def test_an_announced_change_is_noted_once_with_its_step(attempt):
    run = secondshift.init()
    run.log(6, loss=1.0)
    run.announce("lr_drop")
    run.announce("lr_drop")
    run.announce("curriculum", 40)
    assert attempt.notes("announced") == [{"what": "lr_drop", "step": 7}, {"what": "curriculum", "step": 40}]


def test_announcing_never_raises_and_is_bounded(attempt):
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    run = secondshift.init()
    run.announce(Odd())  # type: ignore[arg-type]  # on purpose
    run.announce("x" * 1000, "soon")  # type: ignore[arg-type]  # on purpose
    run.announce("x" * 1000, 3)
    assert attempt.notes("announced") == [{"what": "x" * 200, "step": 3}]
    for step in range(1200):
        run.announce("each step", step)
    assert len(attempt.notes("announced")) == 1000
    run.close()
    run.announce("late", 5)
    assert "after close" in attempt.notes("dropped")[-1]["reason"]


def test_metrics_for_the_next_step_wait_for_it_and_the_last_of_each_counts(attempt):
    run = secondshift.init()
    run.log(0, loss=1.0)
    run.log_next({"layer/a/grad_norm": 1.0, "layer/b/grad_norm": 2.0})
    run.log_next({"layer/a/grad_norm": 3.0})
    run.log(0, loss=2.0)
    assert attempt.points("layer/a/grad_norm") == []
    run.log(5, loss=1.0)
    run.log(6, loss=1.0)
    assert attempt.points("layer/a/grad_norm") == [(5, 3.0)] and attempt.points("layer/b/grad_norm") == [(5, 2.0)]


def test_a_description_that_cannot_be_told_never_raises(attempt, capsys):
    run = secondshift.init()
    run.describe([{"name": "x" * 200_000}])
    run.describe([{"name": object()}])
    run.describe([{"name": "x"}])
    assert [note["layers"] for note in attempt.notes("described")] == ['[{"name": "x"}]']
    assert "100000 fit" in capsys.readouterr().err and "describe failed" in attempt.notes("dropped")[0]["reason"]

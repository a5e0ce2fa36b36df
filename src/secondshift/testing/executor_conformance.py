"""What every executor must do: tests that an executor of your own inherits and passes.

    class TestMyExecutor(ExecutorConformance):
        def make(self, folder):
            return MyExecutor(folder)

An executor that runs real commands needs no more; one that plays curves also gives its own `order` and `pass_time`.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

import secondshift
from secondshift.errors import DeviceBusy, LeaseLost
from secondshift.records.orders import Chunk, Order, Sign
from secondshift.records.studies import Value
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.executors.protocol import Executor, Mode

Ending = Literal["complete", "fail", "crash", "endless"]
HORIZON = 6
PATIENCE_S = 30.0

TRAINING = """
import os, signal, sys, time, secondshift
run, ending, start = secondshift.init(), sys.argv[1], 0
if found := run.restore():
    start = found.step
for step in range(start, run.horizon):
    run.log(step, loss=1.0 / (step + 1))
    if run.checkpoint_due(step):
        with run.checkpoint(step + 1) as folder:
            (folder / "state").write_text(str(step + 1))
        if run.stopping:
            break
    if ending == "endless":
        time.sleep(0.02)
if ending == "fail":
    print("the last words", flush=True)
    sys.exit(3)
if ending == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
run.close()
"""


class ExecutorConformance:
    """Inherit, name the class Test..., and say how one is made."""

    in_foreground = False  # submit returns only when the attempt has ended; such a one cannot be cancelled

    def make(self, folder: Path) -> Executor:
        """Make an executor of at least two devices for the study whose private folder this is."""
        raise NotImplementedError

    def impatient(self, folder: Path) -> Executor:
        """Make one that soon gives up an attempt that nobody claims; leave out if `make` does."""
        return self.make(folder)

    def pass_time(self) -> None:
        """Let a little time pass; a simulated clock is moved here."""
        time.sleep(0.01)

    def order(self, folder: Path, *, trial: str = "t1", ending: Ending = "complete", number: int = 1) -> Order:
        """Make the order of an attempt that trains six steps (or, `endless`, 100,000) and then ends in this way."""
        source = str(Path(secondshift.__file__).parents[1])
        folder.mkdir(parents=True, exist_ok=True)
        return Order(
            attempt=f"{trial}.a{number}",
            trial=trial,
            number=number,
            token=1,
            command=(sys.executable, "-c", TRAINING, ending),
            cwd=str(folder.parent),
            folder=str(folder / "attempts" / f"{trial}.a{number}"),
            checkpoints=str(folder / "trials" / trial / "checkpoints"),
            seed=7,
            horizon_steps=100_000 if ending == "endless" else HORIZON,
            until_step=100_000 if ending == "endless" else HORIZON,
            grant_s=PATIENCE_S,
            grace_s=10.0,
            env={"PYTHONPATH": source},
        )

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Give the private folder of a study, on a host that nobody else uses."""
        monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
        return tmp_path / ".secondshift"

    def test_a_command_that_succeeds_starts_and_ends_with_code_0(self, folder: Path) -> None:
        """Both signs come, the start before the end, and nobody is blamed for the end."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        signs = self.wait(executor, order)
        assert [sign.kind for sign in signs] == ["started", "ended"]
        exit = exit_of(signs)
        assert (exit.code, exit.signal, exit.cause, exit.leftovers) == (0, None, "self", 0)
        assert exit.elapsed_s >= 0

    def test_a_command_that_fails_ends_with_its_code_and_its_last_words(self, folder: Path) -> None:
        """A failure is the script's own, and is told with a message."""
        executor, order = self.make(folder), self.order(folder, ending="fail")
        executor.submit(order)
        exit = exit_of(self.wait(executor, order))
        assert exit.code and (exit.signal, exit.cause) == (None, "self")
        assert exit.message

    def test_a_signal_that_nobody_sent_is_told_as_the_signal(self, folder: Path) -> None:
        """A crash is neither a code nor our doing."""
        executor, order = self.make(folder), self.order(folder, ending="crash")
        executor.submit(order)
        exit = exit_of(self.wait(executor, order))
        assert (exit.code, exit.signal, exit.cause) == (None, signal.SIGSEGV, "self")

    def test_an_attempt_that_has_ended_stays_ended_in_the_same_way(self, folder: Path) -> None:
        """Asking again gives the same exit."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        first = exit_of(self.wait(executor, order))
        assert exit_of(executor.poll([attempt_of(order)])) == first

    def test_a_start_is_told_only_while_the_attempt_counts_as_ordered(self, folder: Path) -> None:
        """Once the loop has recorded the start, it is not told again."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        self.wait(executor, order)
        running = replace(attempt_of(order), status="running")
        assert [sign.kind for sign in executor.poll([running])] == ["ended"]

    def test_submitting_the_same_attempt_again_starts_nothing(self, folder: Path) -> None:
        """Neither while it runs nor after it has ended: the points are those of one run."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        executor.submit(order)
        self.wait(executor, order)
        executor.submit(order)
        self.wait(executor, order)
        assert steps_of(collect_all(executor, attempt_of(order))) == list(range(HORIZON))

    @pytest.mark.parametrize("limit", [1, 200, 1 << 20])
    def test_each_point_is_collected_once_whatever_the_limit(self, folder: Path, limit: int) -> None:
        """Chunks follow each other without gap or overlap, and nothing is left when they stop."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        self.wait(executor, order)
        chunks = collect_all(executor, attempt_of(order), limit=limit)
        assert steps_of(chunks) == list(range(HORIZON))
        for before, after in pairwise(chunks):
            assert before.fragment != after.fragment or before.end == after.start

    def test_a_clean_end_is_noted_in_the_stream(self, folder: Path) -> None:
        """The loop learns from the stream whether a script closed its run, and whether because it was asked to."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        self.wait(executor, order)
        assert notes_of(collect_all(executor, attempt_of(order)), "closed", "stopping") == [False]

    def test_a_used_up_grant_ends_the_attempt(self, folder: Path) -> None:
        """Time is never spent that was not granted, but for the grace."""
        executor = self.make(folder)
        order = replace(self.order(folder, ending="endless"), grant_s=1.0)
        executor.submit(order)
        exit = exit_of(self.wait(executor, order))
        assert exit.cause == "grant"
        assert 1.0 <= exit.elapsed_s < PATIENCE_S

    def test_until_step_ends_the_attempt_with_a_checkpoint_there(self, folder: Path) -> None:
        """A script leaves at its rung, and the next attempt goes on from there: one curve without gap or repetition."""
        executor, order = self.make(folder), replace(self.order(folder), until_step=4)
        executor.submit(order)
        exit = exit_of(self.wait(executor, order))
        first = collect_all(executor, attempt_of(order))
        assert (exit.code, exit.cause, notes_of(first, "saved", "step")[-1:]) == (0, "self", [4])
        again = replace(self.order(folder, number=2), from_step=4)
        executor.submit(again)
        self.wait(executor, again)
        assert steps_of(first) + steps_of(collect_all(executor, attempt_of(again))) == list(range(HORIZON))

    def test_an_attempt_that_was_never_submitted_ends_as_lost(self, folder: Path) -> None:
        """An order that was recorded just before a crash does not hang for ever, and cannot start late."""
        executor, order = self.impatient(folder), self.order(folder)
        assert exit_of(self.wait(executor, order)).cause == "lost"

    @pytest.mark.parametrize("mode", ["pause", "stop", "kill"])
    def test_cancel_ends_a_running_attempt_in_its_way(self, folder: Path, mode: Mode) -> None:
        """A cooperative script leaves with code 0 and a checkpoint; a killed one does not get to."""
        self.needs_background()
        executor, order = self.make(folder), self.order(folder, ending="endless")
        executor.submit(order)
        self.wait_for_points(executor, order)
        for _ in range(2):  # asking again changes nothing
            executor.cancel(order.attempt, mode=mode, token=1, grace_s=10.0)
        exit = exit_of(self.wait(executor, order))
        assert exit.cause == mode
        assert (exit.code, exit.signal) == ((None, signal.SIGKILL) if mode == "kill" else (0, None))
        assert notes_of(collect_all(executor, attempt_of(order)), "closed", "stopping") == (
            [] if mode == "kill" else [True]
        )

    def test_cancelling_what_has_ended_is_harmless(self, folder: Path) -> None:
        """The end that was recorded stays."""
        executor, order = self.make(folder), self.order(folder)
        executor.submit(order)
        before = exit_of(self.wait(executor, order))
        executor.cancel(order.attempt, mode="kill", token=1, grace_s=0.0)
        assert exit_of(self.wait(executor, order)) == before

    def test_a_larger_grant_lets_a_running_attempt_go_on(self, folder: Path) -> None:
        """Submitting again extends; it does not start a second process."""
        self.needs_background()
        executor, order = self.make(folder), replace(self.order(folder, ending="endless"), grant_s=2.0)
        executor.submit(order)
        executor.submit(replace(order, grant_s=3.0))
        exit = exit_of(self.wait(executor, order))
        assert (exit.cause, exit.elapsed_s >= 3.0) == ("grant", True)

    def test_a_stale_token_can_do_nothing(self, folder: Path) -> None:
        """Once a newer engine has spoken, an older one neither cancels nor starts."""
        self.needs_background()
        executor, order = self.make(folder), self.order(folder, ending="endless")
        executor.submit(replace(order, token=5))
        self.wait_for_points(executor, order)
        executor.submit(replace(order, token=6, grant_s=PATIENCE_S + 1))
        with pytest.raises(LeaseLost):
            executor.cancel(order.attempt, mode="kill", token=5, grace_s=0.0)
        for _ in range(20):
            self.pass_time()
        assert not [sign for sign in executor.poll([attempt_of(order)]) if sign.kind == "ended"]
        executor.cancel(order.attempt, mode="kill", token=6, grace_s=0.0)
        self.wait(executor, order)

    def test_a_device_is_held_until_its_attempt_has_ended(self, folder: Path) -> None:
        """Meanwhile it is not listed, and a second attempt on it is refused."""
        self.needs_background()
        executor = self.make(folder)
        device = executor.devices()[0]
        order = replace(self.order(folder, ending="endless"), devices=(device,))
        executor.submit(order)
        assert device not in executor.devices()
        with pytest.raises(DeviceBusy):
            executor.submit(replace(self.order(folder, trial="t2"), devices=(device,)))
        executor.cancel(order.attempt, mode="kill", token=1, grace_s=0.0)
        self.wait(executor, order)
        assert device in executor.devices()

    def needs_background(self) -> None:
        """Skip what cannot be seen where submit returns after the end."""
        if self.in_foreground:
            pytest.skip("this executor runs attempts in the foreground")

    def wait(self, executor: Executor, order: Order) -> list[Sign]:
        """Poll until the attempt has ended; return the signs, of which the start is told once."""
        attempt, signs = attempt_of(order), []
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for sign in executor.poll([attempt]):
                signs.append(sign)
                attempt = replace(attempt, status="running")
            if signs and signs[-1].kind == "ended":
                return signs
            self.pass_time()
        raise AssertionError(f"{order.attempt} did not end within {PATIENCE_S:g} s; signs so far: {signs}")

    def wait_for_points(self, executor: Executor, order: Order) -> None:
        """Wait until the script has logged something."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(chunk.batches for chunk in executor.collect(attempt_of(order))):
            assert time.monotonic() < deadline, f"{order.attempt} logged nothing in {PATIENCE_S:g} s: {said_by(order)}"
            self.pass_time()


def attempt_of(order: Order) -> Attempt:
    """Make the attempt that the loop has recorded for an order."""
    return Attempt(id=order.attempt, trial=order.trial, number=order.number, token=order.token, devices=order.devices)


def exit_of(signs: list[Sign]) -> Exit:
    """Return how the attempt ended."""
    exits = [sign.exit for sign in signs if sign.kind == "ended"]
    assert exits and exits[-1] is not None, f"no end in {signs}"
    return exits[-1]


def collect_all(executor: Executor, attempt: Attempt, *, limit: int = 1 << 20) -> list[Chunk]:
    """Collect until nothing comes any more, as the loop does."""
    found: list[Chunk] = []
    while chunks := executor.collect(attempt, limit=limit):
        assert all(chunk.end > chunk.start for chunk in chunks)
        found += chunks
        attempt = replace(attempt, offsets={**attempt.offsets, **{chunk.fragment: chunk.end for chunk in chunks}})
    return found


def steps_of(chunks: list[Chunk], metric: str = "loss") -> list[int]:
    """Return the steps of a metric in the order in which they came."""
    return [step for chunk in chunks for batch in chunk.batches if batch.metric == metric for step in batch.steps]


def notes_of(chunks: list[Chunk], kind: str, name: str) -> list[Value]:
    """Return one value of each note of a kind."""
    return [note.values[name] for chunk in chunks for note in chunk.notes if note.kind == kind]


def said_by(order: Order) -> str:
    """Return what an attempt has printed, for messages of tests."""
    path = os.path.join(order.folder, "output.log")
    return Path(path).read_text(errors="replace") if os.path.exists(path) else "(no output)"

"""Failures are judged by all that a script printed, not by its last lines alone."""

import pytest

from secondshift.policies.captain import failures
from secondshift.records.incidents import Care, Crash, Incident
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Trial

LATE = "[rank 3] other ranks wait\nstep: 40\nChildFailedError:\nexitcode  : 1 (pid: 4)"
STUDY = Study(
    name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=900, may=("retry_infrastructure",)
)


def judged(message: str, *signs: str, code: int | None = 1, signal: int | None = None, step: int = 40) -> Incident:
    crash = Crash(attempt="t1.a1", code=code, signal=signal, step=step, message=message, signs=signs)
    status = "failed" if signal is None else "paused"
    state = State(
        study=STUDY, shift=Shift(id="s1", started_at=0.0, slots=1, may=STUDY.may), care={"t1": Care(crash=(crash,))},
        trials={"t1": Trial(id="t1", candidate="c1", seed=0, status=status, logged_step=40)},
    )  # fmt: skip
    (opened,) = [decision for decision in failures.decide(state) if decision.verb == "open"]
    return opened.incidents[0]


def test_a_network_that_failed_is_given_time_before_the_first_try_already() -> None:
    (act,) = judged("step: 40\nTraceback (most recent call last):\nConnectionError: reset", "network").acts
    assert act.after == STUDY.cool_down_s
    (act,) = judged("step: 40", code=None, signal=9).acts
    assert act.after == 0.0


def test_a_root_far_above_the_last_lines_is_what_ended_it() -> None:
    assert judged(LATE).cause == "script_error"
    assert judged(LATE, "oom").cause == "oom"
    assert judged(LATE, "disk_full").cause == "disk_full"
    assert judged(LATE, "nccl_timeout", "oom").cause == "nccl_watchdog_after_cuda_error"


def test_a_root_in_the_last_lines_outweighs_what_was_caught_long_before() -> None:
    lost = judged("step: 40\nTraceback (most recent call last):\nConnectionError: reset", "network", "oom")
    assert lost.cause == "network" and lost.action != "not tried again"


@pytest.mark.parametrize(("signal", "cause"), [(6, "oom"), (9, "killed"), (11, "segfault")])
def test_an_abort_may_follow_from_what_was_printed_and_a_kill_does_not(signal: int, cause: str) -> None:
    assert judged("step: 40", "oom", code=None, signal=signal).cause == cause


def test_a_run_that_had_trained_was_launched_well_though_it_printed_nothing() -> None:
    """What the SDK logs is not printed: the step is known all the same."""
    assert judged("Traceback (most recent call last):\nZeroDivisionError: division by zero").cause == "script_error"
    early = judged("Traceback (most recent call last):\nZeroDivisionError: division by zero", step=-1)
    assert early.cause == "launch_config_error"


def test_a_file_that_may_not_grow_is_told_with_the_full_disk() -> None:
    assert judged("Traceback (most recent call last):\nOSError: [Errno 27] File too large").cause == "disk_full"


def test_an_abort_without_a_root_is_an_abort() -> None:
    assert judged("step: 40", "launch_config_error", code=None, signal=6).cause == "sigabrt"
    assert judged("step: 40", code=None, signal=6).cause == "sigabrt"

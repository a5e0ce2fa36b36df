"""Orders: what the engine asks an executor to run."""

import sys
from pathlib import Path

import pytest

from secondshift.records import events as facts
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Candidate, Trial
from secondshift.runtime import trying
from secondshift.runtime.acting import Hands, act, with_python
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.executors.simulated import SimulatedExecutor
from secondshift.runtime.repositories import TryLater


def program(folder: Path, name: str) -> Path:
    """A program that can be found in a folder."""
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_python_is_run_by_python3_where_no_python_is_found_and_by_our_own_where_neither_is(tmp_path: Path) -> None:
    path = str(tmp_path)
    assert with_python(("python", "t.py"), path) == (sys.executable, "t.py")
    three = program(tmp_path, "python3")
    assert with_python(("python", "t.py"), path) == (str(three), "t.py")
    program(tmp_path, "python")
    assert with_python(("python", "t.py"), path) == ("python", "t.py")


def test_any_other_program_is_run_as_it_was_named(tmp_path: Path) -> None:
    for command in (("python3.99", "t.py"), ("./train", "--x"), ()):
        assert with_python(command, str(tmp_path)) == command


def test_an_attempt_is_submitted_later_where_git_did_not_answer_and_refused_after_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> Order:
        raise TryLater("git worktree did not end well.")

    monkeypatch.setattr(trying, "placed", silent)
    study = Study(name="s", command="python t.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3)
    state = State(
        study=study, candidates={"c2": Candidate(id="c2", code="0" * 32)}, open={"t1": True},
        trials={"t1": Trial(id="t1", candidate="c2", seed=0, attempts=1)},
        attempts={"t1.a1": Attempt(id="t1.a1", trial="t1", number=1)},
    )  # fmt: skip
    executor = SimulatedExecutor(tmp_path, curves=lambda order: {}, clock=SimulatedClock(0.0), slots=1)
    hands = Hands(folder=tmp_path, place=tmp_path)
    for _ in range(trying.MOST_TRIES - 1):
        assert act(state, executor, hands) == []
    ended, _, stopped = act(state, executor, hands)
    assert isinstance(ended, facts.AttemptEnded) and ended.exit.cause == "refused"
    assert isinstance(stopped, facts.TrialClosed)
    assert stopped.reason == "git worktree did not end well. It was tried 5 times."

"""What the engine gives up when checkpoints pass the disk cap."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Study
from secondshift.records.trials import Checkpoint, Trial
from secondshift.runtime.pruning import overflow

STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=1000)


def state_of(steps: dict[str, list[int]], statuses: dict[str, str], cap_mb: float) -> State:
    trials = {t: Trial(id=t, candidate="c", seed=0, status=status) for t, status in statuses.items()}  # type: ignore[arg-type]
    kept = {t: tuple(Checkpoint(trial=t, step=s, folder="x", bytes=1_000_000) for s in saved) for t, saved in steps.items()}
    return State(study=replace(STUDY, launch=Launch(disk_cap_mb=cap_mb)), trials=trials, checkpoints=kept)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 30), st.integers(1, 31))
def test_an_open_trial_keeps_its_newest_and_what_it_could_be_taken_back_to(saves, cap_mb):
    steps = list(range(10, 10 * saves + 1, 10))
    gone = {fact.step for fact in overflow(state_of({"t1": steps}, {"t1": "running"}, cap_mb))}
    left = [step for step in steps if step not in gone]
    assert len(left) == max(1, min(saves, cap_mb)) and left[-1] == steps[-1]
    ages = [steps[-1] - step for step in reversed(left)][1:]
    assert all(elder <= 2 * younger for younger, elder in pairwise(ages))


def test_closed_trials_give_up_theirs_before_an_open_one_does():
    state = state_of({"t1": [10, 20], "t2": [10, 20]}, {"t1": "running", "t2": "complete"}, cap_mb=2)
    assert [(fact.trial, fact.step) for fact in overflow(state)] == [("t2", 10), ("t2", 20)]

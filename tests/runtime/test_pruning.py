"""What the engine gives up when checkpoints pass the disk cap."""

import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Study
from secondshift.records.trials import Attempt, Checkpoint, Trial
from secondshift.runtime.pruning import overflow, set_aside

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


def test_a_closed_trial_gives_up_its_best_last():
    state = state_of({"t1": [10, 20, 30]}, {"t1": "complete"}, cap_mb=1)
    values = (2.0, 1.0, 3.0)
    judged = tuple(replace(one, objective=value) for one, value in zip(state.checkpoints["t1"], values, strict=True))
    assert [fact.step for fact in overflow(replace(state, checkpoints={"t1": judged}))] == [10, 30]


def saved(folder, step: int, attempt: str) -> None:
    place = folder / "trials" / "t1" / "checkpoints" / f"step-{step}"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(json.dumps({"attempt": attempt}))


def left(folder) -> list[str]:
    return sorted(place.name for place in (folder / "trials" / "t1" / "checkpoints").iterdir())


def test_what_an_attempt_must_not_go_back_to_is_moved_aside_and_not_what_it_has_saved_itself(tmp_path):
    for step, attempt in ((10, "t1.a1"), (20, "t1.a1"), (30, "t1.a1"), (40, "t1.a2")):
        saved(tmp_path, step, attempt)
    ordered = Attempt(id="t1.a2", trial="t1", number=2, back_to=20)
    set_aside(tmp_path, ordered)
    set_aside(tmp_path, ordered)
    assert left(tmp_path) == ["step-10", "step-20", "step-40"]
    assert (tmp_path / "trials/t1/set-aside/before-t1.a2/step-30/manifest.json").exists()
    set_aside(tmp_path, replace(ordered, status="running", back_to=0))
    assert left(tmp_path) == ["step-10", "step-20", "step-40"], "a running attempt keeps what it saves"


def test_checkpoints_that_an_unproved_script_must_not_use_are_kept_beside_it(tmp_path):
    saved(tmp_path, 10, "t1.a1")
    set_aside(tmp_path, Attempt(id="t1.a2", trial="t1", number=2, alone=True))
    assert left(tmp_path) == [] and (tmp_path / "trials/t1/set-aside/before-t1.a2/step-10").is_dir()

"""The fold: its algebra, and how an attempt's end decides what its trial is."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.ledger.fold import fold
from secondshift.ledger.summaries import merge, summarise
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Candidate, Checkpoint, Exit, Trial

STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=9)


def events_of(payloads, start=1):
    return [
        facts.Event(seq=start + i, at=100.0 + i, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for i, p in enumerate(payloads)
    ]


def opening(trials=1):
    out = [facts.StudyOpened(study=STUDY), facts.ShiftStarted(shift=Shift(id="s1", started_at=100.0))]
    for n in range(1, trials + 1):
        out.append(facts.CandidateProposed(candidate=Candidate(id=f"c{n}"), decision="d"))
        out.append(facts.TrialQueued(trial=Trial(id=f"t{n}", candidate=f"c{n}", seed=0), decision="d"))
    return out


def ordered(trial="t1", number=1, from_step=0, until=9):
    attempt = f"{trial}.a{number}"
    return [
        facts.ChargeReserved(charge=attempt, trial=trial, device_s=10.0),
        facts.AttemptOrdered(
            attempt=attempt, trial=trial, number=number, token=1, devices=("cpu-0",), from_step=from_step,
            until_step=until, grant_s=10.0, decision="d",
        ),
        facts.AttemptStarted(attempt=attempt, supervisor=1, pid=2),
    ]  # fmt: skip


def logged(trial="t1", number=1, steps=range(9), start=0):
    values = [1.0 / (s + 1) for s in steps]
    return facts.MetricsLogged(
        attempt=f"{trial}.a{number}", trial=trial, fragment="f", start=start, end=start + 10, points=len(values), crc=0,
        metrics={"loss": summarise(steps, values)},
    )  # fmt: skip


def saved(step, trial="t1"):
    return facts.CheckpointSaved(checkpoint=Checkpoint(trial=trial, step=step, folder="x"))


def ended(trial="t1", number=1, device_s=4.0, **exit):
    attempt = f"{trial}.a{number}"
    return [
        facts.AttemptEnded(attempt=attempt, exit=Exit(**exit)),
        facts.ChargeSettled(charge=attempt, trial=trial, device_s=device_s),
    ]


def closed(stopping, trial="t1", number=1):
    return facts.AttemptClosed(attempt=f"{trial}.a{number}", clean=True, stopping=stopping)


NIGHT = [
    *opening(3), *ordered("t1"), logged("t1", steps=range(4)), saved(3), *ended("t1", signal=9),
    *ordered("t1", 2, from_step=3), logged("t1", 2, steps=range(3, 9)), closed(False, number=2), *ended("t1", 2, code=0),
    *ordered("t2"), *ended("t2", code=1, message="Traceback\nValueError: boom"),
    facts.RequestReceived(id="r1", verb="stop", who="a"), facts.ShiftEnded(shift="s1", reason="done"),
]  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.integers(0, len(NIGHT)), st.integers(0, len(NIGHT)))
def test_folding_in_parts_equals_folding_at_once(a, b):
    a, b = sorted((a, b))
    events = events_of(NIGHT)
    whole = fold(State(), events)
    assert fold(fold(fold(State(), events[:a]), events[a:b]), events[b:]) == whole
    assert fold(whole, events) == whole


def test_folding_leaves_the_earlier_state_untouched():
    events = events_of(NIGHT)
    early = fold(State(), events[:12])
    copy = fold(State(), events[:12])
    fold(early, events[12:])
    assert early == copy


def test_a_trial_killed_and_resumed_is_complete_with_both_charges():
    state = fold(State(), events_of(NIGHT))
    trial = state.trials["t1"]
    assert (trial.status, trial.attempts, trial.steps_done, trial.interruptions) == ("complete", 2, 9, 0)
    assert trial.device_s == 8.0
    assert trial.milestones[-1].step == 9
    assert state.charges == {} and state.spend.reserved_device_s == 0.0
    assert state.spend.settled_device_s == 12.0


def test_a_charge_settled_twice_counts_once():
    again = facts.ChargeSettled(charge="t1.a1", trial="t1", device_s=4.0)
    night = [*opening(), *ordered(), *ended(code=1), again]
    assert fold(State(), events_of(night)).spend.settled_device_s == 4.0


@pytest.mark.parametrize(
    ("before", "exit", "status"),
    [
        ([logged()], {"code": 0}, "complete"),
        ([logged(steps=range(5))], {"code": 0}, "complete"),
        ([], {"code": 0}, "failed"),
        ([logged(steps=range(3)), saved(3), closed(True)], {"code": 0}, "paused"),
        ([logged(steps=range(3))], {"signal": 9}, "paused"),
        ([logged(steps=range(3))], {"cause": "lost"}, "paused"),
        ([logged(steps=range(3))], {"code": 3}, "failed"),
        ([logged(steps=range(3)), saved(2)], {"signal": 15, "cause": "grant"}, "paused"),
        ([], {"cause": "refused"}, "queued"),
        ([logged()], {"cause": "stop", "signal": 15, "message": "output too large"}, "failed"),
        ([logged(), closed(True)], {"code": 0, "cause": "pause"}, "complete"),
    ],
)
def test_the_end_of_an_attempt_decides_what_its_trial_is(before, exit, status):
    state = fold(State(), events_of([*opening(), *ordered(), *before, *ended(**exit)]))
    assert state.trials["t1"].status == status
    assert state.trials["t1"].reason
    assert state.statuses[status] == 1 and sum(state.statuses.values()) == 1
    assert ("t1" in state.open) == state.trials["t1"].open()


def test_interruptions_count_only_without_progress():
    night = opening()
    for n in range(1, 4):
        night += [*ordered("t1", n), *ended("t1", n, signal=9)]
    state = fold(State(), events_of(night))
    assert state.trials["t1"].interruptions == 3
    night += [*ordered("t1", 4), saved(4), *ended("t1", 4, signal=9)]
    assert fold(State(), events_of(night)).trials["t1"].interruptions == 1


def test_a_pause_at_a_rung_is_a_milestone_and_a_kill_past_the_checkpoint_is_not():
    base = [*opening(), *ordered(until=3), logged(steps=range(3)), saved(3), closed(True), *ended(code=0)]
    assert [m.step for m in fold(State(), events_of(base)).trials["t1"].milestones] == [3]
    killed = [*opening(), *ordered(), logged(steps=range(5)), saved(3), *ended(signal=9)]
    assert fold(State(), events_of(killed)).trials["t1"].milestones == ()


def test_a_corrupt_checkpoint_takes_the_trial_back_to_the_one_before():
    night = [
        *opening(),
        *ordered(),
        logged(steps=range(6)),
        saved(3),
        saved(6),
        *ended(signal=9),
        *ordered(number=2, from_step=6),
    ]
    night.append(facts.CheckpointRejected(trial="t1", step=6, reason="sha256"))
    state = fold(State(), events_of(night))
    assert state.trials["t1"].steps_done == 3
    assert state.trials["t1"].logged_step == 2
    night.append(logged(number=2, steps=range(3, 5)))
    trial = fold(State(), events_of(night)).trials["t1"]
    assert trial.metrics["loss"].last == pytest.approx(1 / 5)


def test_a_new_revision_ends_what_waits_and_never_mixes():
    night = [*opening(2), *ordered("t1"), facts.StudyOpened(study=replace(STUDY, revision=2))]
    state = fold(State(), events_of(night))
    assert state.trials["t2"].status == "stopped" and state.trials["t1"].status == "running"
    state = fold(State(), events_of([*night, *ended("t1", signal=15, cause="stop")]))
    assert "running" not in {t.status for t in state.trials.values()}


def test_wall_time_adds_up_over_shifts():
    state = fold(State(), events_of(NIGHT))
    assert state.shift is None and state.spend.wall_s > 0


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=30),
    st.integers(0, 30),
)
def test_merging_summaries_equals_summarising_at_once(points, cut):
    a, b = points[:cut], points[cut:]
    whole = summarise(*zip(*points, strict=True))
    parts = summarise(*zip(*b, strict=True)) if b else None
    if a:
        first = summarise(*zip(*a, strict=True))
        parts = merge(first, parts) if parts else first
    assert parts is not None
    for name in ("points", "non_finite", "first_step", "last_step", "low", "high"):
        assert getattr(parts, name) == getattr(whole, name)
    assert parts.last == whole.last or (math.isnan(parts.last) and math.isnan(whole.last))


def test_a_trial_keeps_the_names_of_the_environments_it_ran_in_and_each_is_kept_once() -> None:
    marks = {"python": "3.12", "library.numpy": "2.1", "platform": "x", "code": "abc"}
    state = State(
        trials={f"t{n}": Trial(id=f"t{n}", candidate="c1", seed=0, status="running") for n in (1, 2)},
        attempts={f"t{n}.a1": Attempt(id=f"t{n}.a1", trial=f"t{n}", number=1) for n in (1, 2)},
    )
    starts = [
        ("t1.a1", marks),
        ("t2.a1", {**marks, "code": "def"}),
        ("t1.a1", {**marks, "python": "3.13"}),
        ("t1.a1", {}),
    ]
    for seq, (attempt, seen) in enumerate(starts, 1):
        fact = facts.AttemptStarted(attempt=attempt, supervisor=1, pid=2, fingerprint=seen)
        state = fold(state, [facts.Event(seq=seq, at=0.0, token=1, kind="attempt.started", payload=fact)])
    one, two = state.trials["t1"].fingerprints
    assert state.trials["t2"].fingerprints == (one,) and len(state.fingerprints) == 2
    assert state.fingerprints[one] == {"python": "3.12", "library.numpy": "2.1"}
    assert state.fingerprints[two]["python"] == "3.13"


def test_a_printed_metric_that_counts_batches_of_its_own_does_not_move_the_trial() -> None:
    def night(tier: str) -> int:
        study = replace(STUDY, tier=tier)
        both = facts.MetricsLogged(
            attempt="t1.a1", trial="t1", fragment="output.log", start=0, end=9, points=3, crc=0,
            metrics={"loss": summarise([0, 1], [0.5, 0.4]), "batch_loss": summarise([400], [0.1])},
        )  # fmt: skip
        return (
            fold(State(), events_of([facts.StudyOpened(study=study), *opening()[1:], *ordered(), both]))
            .trials["t1"]
            .logged_step
        )

    assert (night("opaque"), night("cooperative")) == (1, 400)


def test_the_reason_of_a_failure_is_what_the_script_said_last_and_not_what_the_sdk_added() -> None:
    said = "OSError: [Errno 27] File too large\nsecondshift: the attempt's folder cannot be written; points are held in memory"
    state = fold(State(), events_of([*opening(), *ordered(), *ended(code=1, message=said)]))
    assert state.trials["t1"].reason == "exit code 1: OSError: [Errno 27] File too large"

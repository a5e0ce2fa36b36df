"""The captain's first rules: give up the ever interrupted, stop the silent and the broken, end a hopeless night."""

import math
from dataclasses import replace

from secondshift import plugins
from secondshift.policies.captain import failure_rate, interruptions, non_finite, silence
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Launch
from secondshift.records.trials import Attempt, Summary, Trial
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import play

ASKED = study(SPACES["continuous"])
SHIFT = Shift(id="s1", started_at=0.0, slots=2)


def running(attempt: Attempt, trial: Trial) -> State:
    return State(
        study=replace(ASKED, launch=Launch(quiet_s=60.0)), shift=SHIFT, trials={trial.id: trial},
        open={trial.id: True}, attempts={attempt.id: attempt}, now_s=1000.0,
    )  # fmt: skip


def test_a_trial_killed_again_and_again_is_resumed_twice_and_then_given_up() -> None:
    night = play(
        ASKED, [f for _, f in plugins.deciders(ASKED)], curve=curve,
        mishap=lambda trial, step: "kill" if trial.id == "t3" and step == 5 else "",
    )  # fmt: skip
    trial = night.state.trials["t3"]
    assert (trial.status, trial.attempts) == ("failed", 3)
    assert "interrupted 3 times" in trial.reason
    assert len(night.state.trials) == 12


def test_only_more_interruptions_than_allowed_give_a_trial_up() -> None:
    trial = Trial(id="t1", candidate="c1", seed=0, status="paused", interruptions=2)
    state = State(study=ASKED, shift=SHIFT, trials={"t1": trial}, open={"t1": True})
    assert interruptions.decide(state) == []
    state = replace(state, trials={"t1": replace(trial, interruptions=3)})
    assert [d.verb for d in interruptions.decide(state)] == ["fail"]


def test_one_crash_never_ends_the_night_and_crashes_everywhere_do() -> None:
    deciders = [f for _, f in plugins.deciders(ASKED)]
    one = play(ASKED, deciders, curve=curve, mishap=lambda trial, step: "crash" if trial.id == "t1" else "")
    assert one.state.statuses["failed"] == 1
    assert len(one.state.trials) == 12
    every = play(ASKED, deciders, curve=curve, mishap=lambda trial, step: "crash")
    assert "trials failed" in every.reason
    assert len(every.state.trials) < 12


def test_the_failure_rate_counts_from_its_floor_and_above_its_share() -> None:
    def decided(failed: int, complete: int) -> list[str]:
        state = State(
            study=ASKED, shift=SHIFT, statuses={"failed": failed, "complete": complete, "queued": 9, "running": 9}
        )
        return [d.verb for d in failure_rate.decide(state)]

    assert decided(5, 0) == []
    assert decided(6, 0) == ["end"]
    assert decided(6, 6) == []
    assert decided(7, 6) == ["end"]


def test_a_running_trial_is_stopped_when_it_has_been_silent_for_longer_than_allowed() -> None:
    trial = Trial(id="t1", candidate="c1", seed=0, status="running")
    attempt = Attempt(id="t1.a1", trial="t1", number=1, status="running", started_at=900.0)
    assert [d.verb for d in silence.decide(running(attempt, trial))] == ["stop"]
    assert silence.decide(running(replace(attempt, last_log_at=950.0), trial)) == []
    assert silence.decide(running(replace(attempt, started_at=945.0), trial)) == []
    assert silence.decide(running(replace(attempt, asked="stop"), trial)) == []
    assert silence.decide(running(replace(attempt, status="ordered"), trial)) == []


def test_an_objective_that_is_no_number_stops_a_running_trial_only_where_that_is_granted() -> None:
    attempt = Attempt(id="t1.a1", trial="t1", number=1, status="running", started_at=1.0, last_log_at=990.0)
    for value, verbs in ((math.nan, ["stop"]), (math.inf, ["stop"]), (0.5, [])):
        metrics = {"loss": Summary(points=3, last_step=2, last=value)}
        state = running(attempt, Trial(id="t1", candidate="c1", seed=0, status="running", metrics=metrics))
        assert [d.verb for d in non_finite.decide(state)] == verbs
        assert state.study is not None
        assert non_finite.decide(replace(state, study=replace(state.study, may=("pause",)))) == []
        resumed = replace(state, attempts={"t1.a1": replace(attempt, last_log_at=0.0)})
        assert non_finite.decide(resumed) == []

"""Schedulers: who is promoted, who waits, who is stopped, and how the night ends."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import plugins
from secondshift.policies.models.standings import reached, rung_of, rungs, standings
from secondshift.policies.schedulers import budgets, fifo, halving
from secondshift.policies.searchers import uniform
from secondshift.records.nights import Shift
from secondshift.records.states import Spend, State
from secondshift.records.studies import Budget, Policy, Study
from secondshift.records.trials import Attempt, Candidate, Milestone, Summary, Trial
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import play

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=30)


def paused_at_first_rung(values: list[float], asked: Study, slots: int) -> State:
    """A state in which each trial is paused at the first rung (step 10) with one of the values."""
    trials = {
        f"t{n}": Trial(
            id=f"t{n}", candidate=f"c{n}", seed=0, status="paused", steps_done=10, logged_step=9, until_step=10,
            milestones=(Milestone(step=10, value=value),),
            metrics={"loss": Summary(points=10, last_step=9, last=value)},
        )
        for n, value in enumerate(values, 1)
    }  # fmt: skip
    return State(
        study=asked, shift=Shift(id="s1", started_at=0.0, slots=slots), now_s=1.0, trials=trials,
        candidates={t.candidate: Candidate(id=t.candidate, params={"rate": 0.0007 * n}) for n, t in enumerate(trials.values(), 1)},
        open=dict.fromkeys(trials, True), statuses={"paused": len(trials)},
        free_devices=tuple(f"cpu-{n}" for n in range(slots)),
    )  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=200)
@given(values=VALUES, eta=st.integers(2, 4))
def test_halving_never_promotes_outside_the_best_one_in_eta(values: list[float], eta: int) -> None:
    asked = replace(study(SPACES["continuous"], trials=None), policy=Policy(eta=eta, min_steps=10))
    state = paused_at_first_rung(values, asked, slots=40)
    promoted = [d.subject for d in halving.decide(state) if d.verb == "start"]
    finite = {n: v for n, v in enumerate(values, 1) if math.isfinite(v)}
    assert len(promoted) == min(len(values) // eta, len(finite))
    chosen = {int(name[1:]) for name in promoted}
    rest = [v for n, v in finite.items() if n not in chosen]
    assert all(values[n - 1] <= min(rest, default=math.inf) for n in chosen)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(values=VALUES, slots=st.integers(1, 5))
def test_a_goal_of_max_mirrors_a_goal_of_min_with_negated_values(values: list[float], slots: int) -> None:
    lower = paused_at_first_rung(values, study(SPACES["continuous"], goal="min"), slots)
    higher = paused_at_first_rung([-v for v in values], study(SPACES["continuous"], goal="max"), slots)
    assert [(d.verb, d.subject) for d in halving.decide(lower)] == [(d.verb, d.subject) for d in halving.decide(higher)]


def test_whole_nights_of_min_and_of_negated_max_take_the_same_course() -> None:
    for tier in ("cooperative", "resumable", "opaque"):
        course = []
        for goal, sign in (("min", 1.0), ("max", -1.0)):
            asked = study(SPACES["continuous"], goal=goal, tier=tier)  # type: ignore[arg-type]  # literals
            night = play(
                asked,
                [halving.decide, uniform.decide, budgets.decide],
                curve=lambda p, s, sign=sign: sign * curve(p, s),
            )
            course.append([(d.verb, d.subject, d.until_step) for decisions in night.decided for d in decisions])
        assert course[0] == course[1]


def test_rungs_grow_by_eta_from_the_first_and_stay_below_the_horizon() -> None:
    asked = study(SPACES["empty"])
    assert rungs(asked) == (10, 30)
    assert rungs(replace(asked, policy=Policy(eta=2, min_steps=7))) == (7, 14, 28, 56)
    assert rungs(replace(asked, horizon_steps=3)) == (1,)
    assert rungs(replace(asked, policy=Policy(min_steps=90))) == ()


def test_halving_trains_far_less_than_fifo_for_the_same_trials() -> None:
    steps = {}
    for scheduler in (halving, fifo):
        asked = study(SPACES["continuous"], scheduler=scheduler.NAME, trials=27)
        steps[scheduler.NAME] = play(asked, [scheduler.decide, uniform.decide, budgets.decide], curve=curve).steps
    assert steps["halving"] < 0.5 * steps["fifo"]


def test_an_interrupted_trial_goes_on_before_promotions_and_new_starts() -> None:
    state = paused_at_first_rung([0.1, 0.2, 0.3, 0.4], study(SPACES["continuous"]), slots=1)
    hurt = replace(state.trials["t4"], steps_done=4, logged_step=5, interruptions=1, milestones=())
    fresh = Trial(id="t5", candidate="c5", seed=0)
    state = replace(state, trials={**state.trials, "t4": hurt, "t5": fresh}, open={**state.open, "t5": True})
    assert [d.subject for d in halving.decide(state)] == ["t4"]
    without = replace(state, trials={**state.trials, "t4": replace(hurt, interruptions=4)})
    assert [d.subject for d in halving.decide(without)] == ["t1"]
    not_granted = replace(state, study=replace(study(SPACES["continuous"]), may=("pause",)))
    assert [d.subject for d in halving.decide(not_granted)] == ["t1"]


def test_with_no_candidate_to_come_the_best_paused_trial_is_run_to_the_end_and_then_the_shift_ends() -> None:
    asked = replace(study(SPACES["without defaults"], trials=2), command="x --x {x}")  # and so without a baseline
    night = play(asked, [halving.decide, uniform.decide, budgets.decide], curve=curve)
    last = [d for decisions in night.decided for d in decisions if d.verb == "start"][-1]
    assert last.until_step == 90
    assert "run to the end" in last.reason
    assert night.state.statuses["complete"] == 1
    assert "exhausted" in night.reason


def test_trials_of_an_earlier_revision_are_neither_compared_nor_started() -> None:
    state = paused_at_first_rung([0.1, 0.2, 0.3], study(SPACES["continuous"]), slots=3)
    asked = replace(study(SPACES["continuous"]), revision=2)
    assert halving.decide(replace(state, study=asked)) == []
    assert all(len(rung.trials) == 0 for rung in standings(replace(state, study=asked), asked, rungs(asked)))


def test_an_opaque_script_is_stopped_at_a_rung_and_never_paused() -> None:
    night = play(
        study(SPACES["continuous"], tier="opaque", trials=20),
        [halving.decide, uniform.decide, budgets.decide],
        curve=curve,
    )
    verbs = {d.verb for decisions in night.decided for d in decisions}
    assert {"advance", "stop"} <= verbs
    assert "pause" not in verbs


def test_a_script_that_runs_past_its_rung_is_judged_whatever_its_tier_says() -> None:
    state = paused_at_first_rung([0.1, 0.2, 0.3, 0.4], study(SPACES["continuous"]), slots=4)
    played = play(
        study(SPACES["continuous"], trials=4), [halving.decide, uniform.decide], curve=curve, ticks=2, stride=3
    )
    attempt = next(iter(played.state.attempts.values()))
    runaway = replace(state.trials["t4"], status="running", logged_step=15, milestones=())
    state = replace(state, attempts={attempt.id: replace(attempt, trial="t4")}, trials={**state.trials, "t4": runaway})
    assert [(d.verb, d.subject) for d in halving.decide(state) if d.subject == "t4"] == [("pause", "t4")]
    leaving = replace(state, trials={**state.trials, "t4": replace(runaway, logged_step=9)})
    assert not [d for d in halving.decide(leaving) if d.subject == "t4"]


def test_each_limit_ends_the_shift_with_its_own_reason() -> None:
    state = paused_at_first_rung([0.1], study(SPACES["continuous"]), slots=1)
    shift, asked = state.shift, state.study
    assert shift and asked and budgets.decide(state) == []
    late = replace(state, shift=replace(shift, deadline_at=0.5))
    spent = replace(state, study=replace(asked, budget=Budget(device_s=10.0)), spend=Spend(settled_device_s=9.5))
    money = Budget(money_usd=1.0, usd_per_device_s=0.1, device_s=1e6)
    poor = replace(state, study=replace(asked, budget=money), spend=Spend(settled_device_s=10.0))
    long = replace(state, study=replace(asked, budget=Budget(wall_s=5.0)), spend=Spend(wall_s=4.5))
    done = replace(state, study=replace(asked, budget=Budget(trials=1)), open={}, statuses={"stopped": 1})
    for case, word in (
        (late, "deadline"),
        (spent, "device time"),
        (poor, "money"),
        (long, "wall"),
        (done, "All 1 trials of the budget have ended: 1 stopped."),
    ):
        (decision,) = budgets.decide(case)
        assert decision.verb == "end"
        assert word in decision.reason
        assert budgets.decide(replace(case, ending="already")) == []


def test_a_later_shift_takes_up_what_an_earlier_one_paused() -> None:
    asked = study(SPACES["continuous"])
    deciders = [f for _, f in plugins.deciders(asked)]
    first = play(asked, deciders, curve=curve, deadline_s=100.0)
    assert "deadline" in first.reason
    assert not first.state.attempts
    second = play(asked, deciders, curve=curve, before=first.state)
    assert second.state.statuses["complete"] >= 1
    assert len(second.state.trials) == 12


def test_the_rung_of_a_trial_is_the_highest_it_reached() -> None:
    assert [rung_of((10, 30), steps) for steps in (0, 9, 10, 29, 30, 89)] == [-1, -1, 0, 0, 1, 1]
    assert reached(Trial(id="t", candidate="c", seed=0, steps_done=4, logged_step=7)) == 8


def test_a_trial_killed_between_its_last_checkpoint_and_its_exit_is_let_finish() -> None:
    for scheduler in (halving, fifo):
        asked = study(SPACES["continuous"], scheduler=scheduler.NAME, trials=3)
        night = play(
            asked,
            [scheduler.decide, uniform.decide, budgets.decide],
            curve=curve,
            mishap=lambda trial, step: "kill" if step == 90 and trial.interruptions == 0 else "",
            ticks=300,
        )
        assert night.reason
        assert night.state.statuses["complete"] == (1 if scheduler is halving else 3)


def test_a_running_opaque_trial_goes_on_only_among_the_best_one_in_eta_rounded_up() -> None:
    asked = study(SPACES["continuous"], tier="opaque", trials=None)

    def fate(place: int, count: int) -> str:
        state = paused_at_first_rung([float(n) for n in range(1, count + 1)], asked, slots=4)
        judged = replace(state.trials[f"t{place}"], status="running", steps_done=0, logged_step=9, milestones=())
        attempt = Attempt(id=f"t{place}.a1", trial=judged.id, number=1, status="running", until_step=10)
        state = replace(state, trials={**state.trials, judged.id: judged}, attempts={attempt.id: attempt})
        return next(d.verb for d in halving.decide(state) if d.subject == judged.id)

    assert [fate(place, 3) for place in (1, 2, 3)] == ["advance", "stop", "stop"]
    assert [fate(place, 4) for place in (1, 2, 3)] == ["advance", "advance", "stop"]
    assert fate(1, 1) == "advance"


def test_fifo_resumes_no_more_than_the_free_slots_hold() -> None:
    state = paused_at_first_rung([0.4, 0.3, 0.2, 0.1], study(SPACES["continuous"], scheduler="fifo"), slots=2)
    assert [(d.subject, d.until_step) for d in fifo.decide(state)] == [("t1", 90), ("t2", 90)]


def with_the_defaults(state: State, name: str) -> State:
    assert state.study is not None
    defaults = {p.name: p.default for p in state.study.space.parameters if p.default is not None}
    changed = Candidate(id=state.trials[name].candidate, params=defaults)
    return replace(state, candidates={**state.candidates, changed.id: changed})


def test_the_baseline_is_run_to_the_end_however_bad_it_is() -> None:
    state = paused_at_first_rung([0.1, 0.2, 0.3, 0.4, math.nan], study(SPACES["continuous"]), slots=4)
    told = [(d.subject, d.until_step) for d in halving.decide(with_the_defaults(state, "t4"))]
    assert told == [("t4", 90), ("t1", 30)]
    assert [d.subject for d in halving.decide(with_the_defaults(state, "t5"))] == ["t1"], "one without a value waits"


def test_a_baseline_that_cannot_pause_is_not_stopped_at_a_rung() -> None:
    asked = study(SPACES["continuous"], tier="opaque", trials=20)
    night = play(asked, [halving.decide, uniform.decide, budgets.decide], curve=curve)
    plain = {c.id for c in night.state.candidates.values() if asked.space.is_baseline(c.params)}
    assert [t.status for t in night.state.trials.values() if t.candidate in plain] == ["complete"]
    assert "stopped" in {t.status for t in night.state.trials.values()}

"""Audits: who may be drawn, how probably, at what cost, and that estimates made from them are right on average."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.models import audits
from secondshift.policies.models.givingup import given_up
from secondshift.policies.models.warping import warp
from secondshift.policies.schedulers import auditing, budgets, freezethaw, halving
from secondshift.policies.searchers import uniform
from secondshift.records.forecasts import Audit, Forecast
from secondshift.records.states import State
from secondshift.records.studies import Budget, Study
from secondshift.records.trials import Summary, Trial
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import Night, play

CHANCES = st.lists(st.floats(0.0, 0.01) | st.just(math.nan), min_size=1, max_size=30)
FULL = 90.0  # device-seconds of a full training in these nights


def asked(trainings: float, *, scheduler: str = "halving", tier: str = "cooperative", share: float = 0.05, goal: str = "min"):
    plain = study(SPACES["continuous"], scheduler=scheduler, tier=tier, goal=goal, trials=None)  # type: ignore[arg-type]  # literals
    return replace(plain, budget=Budget(device_s=FULL * trainings), policy=replace(plain.policy, audit_share=share))


@cache
def night(trainings: float = 45.0, tier: str = "cooperative", share: float = 0.05, goal: str = "min") -> Night:
    sign = 1.0 if goal == "min" else -1.0
    return play(
        asked(trainings, tier=tier, share=share, goal=goal), [auditing.decide, halving.decide, uniform.decide, budgets.decide],
        curve=lambda params, step: sign * curve(params, step), ticks=3000,
    )  # fmt: skip


def one(number: int = 1, *, population: int = 10, probability: float = 0.1, **changes) -> Audit:
    return replace(Audit(trial=f"t{number}", number=number, probability=probability, population=population), **changes)


def said(low: float, middle: float, high: float, by: str = audits.OUTLOOK) -> Forecast:
    return Forecast(trial="t1", step=10, horizon=90, low=low, middle=middle, high=high, by=by)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(chances=CHANCES)
def test_probabilities_sum_to_one_and_everybody_has_one_worth_counting(chances: list[float]) -> None:
    found = audits.probabilities(chances)
    assert math.isclose(found.sum(), 1.0)
    assert found.min() >= audits.EVEN / len(chances) - 1e-12, "a weight could be larger than two"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(chances=CHANCES, seed=st.integers(0, 1000))
def test_a_draw_says_the_right_thing_on_average_whatever_the_probabilities_are(chances: list[float], seed: int) -> None:
    truth = np.random.default_rng(seed).exponential(size=len(chances))
    found = audits.probabilities(chances)
    weights = [one(population=len(chances), probability=float(p)).weight() for p in found]
    assert math.isclose(float(found @ (weights * truth)), float(truth.mean()), rel_tol=1e-9)
    assert math.isclose(float(found @ weights), 1.0, rel_tol=1e-9)


def test_the_weighted_mean_of_many_draws_comes_to_the_mean_of_all_and_the_plain_one_does_not() -> None:
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.0, 0.01, 40)
    regrets = 30 * chances  # the more promising, the more was lost by giving it up
    found = audits.probabilities(list(chances))
    drawn = rng.choice(40, size=20_000, p=found)
    every = [one(population=40, probability=float(found[at])) for at in drawn]
    weighted, plain = audits.hajek([float(regrets[at]) for at in drawn], every), float(regrets[drawn].mean())
    assert abs(weighted - regrets.mean()) < 0.002, "off by more than four standard errors"
    assert plain > regrets.mean() + 0.015, "this population could not tell a weighted from a plain mean"


@pytest.mark.parametrize("tier", ["cooperative", "resumable", "opaque"])
@pytest.mark.parametrize("goal", ["min", "max"])
def test_a_night_of_45_trainings_audits_two_to_their_end_and_keeps_within_a_twentieth(tier: str, goal: str) -> None:
    found = night(tier=tier, goal=goal)
    drawn = found.state.audits.values()
    assert [a.number for a in drawn] == [1, 2] and all(a.outcome == "ended" for a in drawn)
    assert all(found.state.trials[a.trial].status == "complete" for a in drawn)
    assert 0 < audits.audited_s(found.state) <= 0.05 * found.state.spend.settled_device_s
    assert audits.reckoning(found.state).regret == 0.0, "what halving stops in these nights was worse for good"


def test_both_goals_draw_the_same_and_see_the_same() -> None:
    lower, higher = (night(tier="opaque", goal=goal).state.audits.values() for goal in ("min", "max"))
    assert [(a.trial, a.probability, a.value) for a in lower] == [(a.trial, a.probability, -a.value) for a in higher]


def test_nothing_is_audited_before_twenty_trainings_at_their_end_or_where_nobody_wants_it() -> None:
    assert not night(20.0).state.audits and not night(share=0.0).state.audits
    for state in night().seen:
        first = audits.searched_s(state) < auditing.FIRST * FULL
        assert not (first and state.audits)


def test_the_first_draw_waits_for_twenty_trainings_however_cheap_the_rest_would_be() -> None:
    """A share so large that one training would fit sooner; the study file allows no more than a twentieth."""
    found = night(share=0.2)
    first = next(s for s, made in zip(found.seen, found.decided, strict=True) if any(d.verb == "audit" for d in made))
    assert audits.searched_s(first) >= auditing.FIRST * FULL == 20 * FULL


def test_who_nobody_hopes_for_may_be_drawn_too() -> None:
    assert audits.probabilities([0.0, 0.01]).min() == 0.25
    assert audits.probabilities([math.nan, math.nan]).min() == 0.5


def test_at_every_moment_audits_have_cost_no_more_than_their_share_and_one_runs_at_a_time() -> None:
    for tier in ("cooperative", "resumable", "opaque"):
        for state in night(tier=tier).seen:
            assert audits.audited_s(state) <= 0.05 * FULL * 45.0
            assert sum(not a.outcome for a in state.audits.values()) <= 1


def test_it_is_silent_where_no_device_time_is_capped() -> None:
    state = next(s for s, made in zip(night().seen, night().decided, strict=True) if any(d.verb == "audit" for d in made))
    assert auditing.decide(state)
    assert not auditing.decide(replace(state, study=replace(state.study, budget=Budget())))  # type: ignore[arg-type]  # a study
    money = Budget(money_usd=4.5, usd_per_device_s=0.001)
    assert auditing.decide(replace(state, study=replace(state.study, budget=money)))  # type: ignore[arg-type]  # a study


def test_the_same_state_draws_the_same_trial_and_another_number_draws_another() -> None:
    state = next(s for s, made in zip(night().seen, night().decided, strict=True) if any(d.verb == "audit" for d in made))
    first = auditing.decide(state)
    assert first == auditing.decide(state)
    subjects = {auditing.decide(replace(state, study=replace(state.study, seed=seed)))[0].subject for seed in range(30)}  # type: ignore[arg-type]
    assert len(subjects) > 5, "the seed of the study hardly matters"


def test_one_that_costs_more_than_audits_may_is_stopped_and_counts_in_nothing() -> None:
    state = next(s for s in night().seen if any(a.trial in (t.id for t in s.running()) for a in s.audits.values()))
    name = next(iter(state.audits))
    dear = replace(state.trials[name], device_s=state.trials[name].device_s + 0.05 * FULL * 45.0)
    state = replace(state, trials={**state.trials, name: dear})
    assert [(d.verb, d.subject) for d in auditing.decide(state)] == [("stop", name)]
    stopped = replace(dear, status="stopped")
    state = replace(state, trials={**state.trials, name: stopped}, attempts={})
    (over,) = (a for d in auditing.decide(state) for a in d.audits if a.outcome)
    assert over.outcome == "cut" and over.held() is None
    assert audits.reckoning(replace(state, audits={name: over})).ended == 0


def test_one_that_was_cut_short_goes_on_as_an_audit() -> None:
    state = next(s for s in night().seen if any(a.trial in (t.id for t in s.running()) for a in s.audits.values()))
    name = next(a.trial for a in state.audits.values() if not a.outcome)
    left = replace(state.trials[name], status="paused", interruptions=1)
    state = replace(state, trials={**state.trials, name: left}, attempts={}, free_devices=("cpu-0", "cpu-1"))
    (again,) = auditing.decide(state)
    assert (again.verb, again.subject, again.until_step) == ("start", name, 90)


def ending(value: float, status: str = "complete", goal: str = "min", **changes) -> Audit:
    """How the audit of a trial is recorded that ended so, beside another that came to 0.5."""
    ours = Trial(id="t1", candidate="c1", seed=0, status=status, metrics={"loss": Summary(points=9, last=value)})  # type: ignore[arg-type]
    other = Trial(id="t2", candidate="c2", seed=0, status="paused", metrics={"loss": Summary(points=9, last=0.5)})
    base = night(20.0).seen[0]
    state = replace(
        base, study=replace(asked(45.0, goal=goal)), trials={"t1": replace(ours, **changes), "t2": other}, attempts={},
        audits={"t1": one()},
    )  # fmt: skip
    (decision,) = auditing.decide(replace(state, ending="over"))
    return decision.audits[0]


def test_how_an_audit_ended_is_held_against_the_best_of_all_others() -> None:
    better, worse = ending(0.2), ending(0.8)
    assert (better.outcome, better.best) == ("ended", 0.5) and math.isclose(better.regret, 0.3)
    assert (worse.outcome, worse.regret) == ("ended", 0.0)
    assert math.isclose(ending(0.8, goal="max").regret, 0.3) and ending(0.2, goal="max").regret == 0.0
    assert ending(math.nan, "stopped").outcome == ending(math.inf, "failed").outcome == "diverged"
    assert ending(0.2, "failed").outcome == ending(0.2, assisted=True).outcome == ending(0.2, revision=2).outcome == "cut"


def with_audits(*found: Audit) -> State:
    return State(study=asked(45.0), audits={a.trial: a for a in found})


def test_the_scheduler_believes_itself_less_the_further_away_ends_were() -> None:
    near = [one(n, forecast=said(0.0, 1.0, 2.0), outcome="ended", value=1.1) for n in range(1, 6)]
    far = [replace(a, value=3.0) for a in near]
    assert audits.widening(with_audits()) == audits.widening(with_audits(*near)) == 1.0
    factor = audits.widening(with_audits(*far))
    assert math.isclose(factor, (audits.PRETENDED + 5 * 2.0) / (audits.PRETENDED + 5))
    assert audits.widening(with_audits(*[replace(a, value=1000.0) for a in near])) <= audits.WIDEST
    assert audits.widening(with_audits(*[replace(a, forecast=said(0.0, 1.0, 2.0, by="analogues")) for a in far])) == 1.0
    again = [replace(a, widened=2.0, forecast=said(-1.0, 1.0, 3.0)) for a in far]
    assert math.isclose(audits.widening(with_audits(*again)), factor), "a forecast that was widened counts as it was before"


def test_a_diverged_end_was_foreseen_only_where_anything_as_bad_was() -> None:
    open_end = one(forecast=said(0.0, 1.0, math.inf), outcome="diverged")
    closed = one(forecast=said(0.0, 1.0, 2.0), outcome="diverged")
    assert open_end.held() is True and audits.error(open_end) == 0.0
    assert closed.held() is False and audits.error(closed) == math.inf
    assert audits.widening(with_audits(closed)) == (audits.PRETENDED + audits.WIDEST) / (audits.PRETENDED + 1)


def test_coverage_of_all_weighs_both_kinds_by_how_many_they_stand_for() -> None:
    ended = {f"e{n}": Trial(id=f"e{n}", candidate="c", seed=0, status="complete", metrics={"loss": Summary(points=9, last=1.0)})
             for n in range(4)}  # fmt: skip
    made = {name: (said(0.0, 1.0, 2.0),) for name in ended}
    made = {name: (replace(f[0], step=30),) for name, f in made.items()}
    missed = one(1, population=12, probability=1 / 12, forecast=said(0.0, 1.0, 2.0), outcome="ended", value=9.0)
    state = replace(with_audits(missed), trials=ended, forecasts=made)
    found = audits.reckoning(state)
    assert (found.own_held, found.held, found.given_up) == (1.0, 0.0, 12)
    assert math.isclose(found.coverage, 4 / 16)
    heavy = one(2, population=12, probability=1 / 24, forecast=said(0.0, 1.0, 2.0), outcome="ended", value=1.0)
    assert math.isclose(audits.reckoning(replace(state, audits={"t1": missed, "t2": heavy})).held, 2 / 3)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(values=st.lists(st.floats(-100.0, 100.0), min_size=3, max_size=40), at=st.floats(-3.0, 3.0))
def test_a_value_of_the_scale_goes_back_to_the_loss_that_has_it(values: list[float], at: float) -> None:
    losses = np.array(values)
    scale = warp(losses, losses[:1])
    assert scale is not None
    back = scale.back(at)
    if math.isinf(back):
        assert float(scale(np.array(max(values)))) < at
    elif back > scale.low:
        assert float(scale(np.array(back))) >= at
        assert float(scale(np.array(back - 1e-6 * (1 + abs(back))))) <= at + 1e-6 or back - scale.low < 1e-6 * (1 + abs(back))
    else:
        assert float(scale(np.array(scale.low))) >= at


def test_freeze_thaw_gives_up_what_it_would_not_thaw_and_says_how_it_would_end() -> None:
    plan: Study = asked(60.0, scheduler="freezethaw", tier="resumable")
    seen = play(plan, [freezethaw.decide, uniform.decide, budgets.decide], curve=curve, ticks=120).seen[-1]
    found = given_up(seen, plan)
    assert found and all(g.chance < freezethaw.HOPELESS for g in found)
    for g in found:
        assert g.forecast is not None and g.forecast.by == audits.OUTLOOK
        assert g.forecast.low <= g.forecast.middle <= g.forecast.high
    baseline = next(t.id for t in seen.trials.values() if plan.space.is_baseline(seen.candidates[t.candidate].params))
    assert baseline not in [g.trial for g in found]

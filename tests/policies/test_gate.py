"""A suite's judgement: what is better never blocks, what is too little never passes, and a mean hides no slice."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.gate import ordering, promoting
from secondshift.policies.gate.intervals import of_difference, of_mean, wilson
from secondshift.policies.gate.judging import judged
from secondshift.records.events import RequestReceived
from secondshift.records.gates import GateRun, Measured, Promotion, Side, rule_of
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Check, Gate, Objective, Study
from secondshift.records.trials import Trial

RANK = {"block": 0, "insufficient": 1, "pass": 2}


def run(
    require: tuple[str, ...], ours: list[dict[str, float]], theirs: list[dict[str, float]], *, repeats: int | None = None
) -> GateRun:
    """A run of one check with these metrics, one dict a repeat."""
    sides: list[tuple[Side, list[dict[str, float]]]] = [("candidate", ours), ("baseline", theirs)]
    results = [
        Measured(check="c", side=side, repeat=k, metrics=one, artefact=side)
        for side, values in sides
        for k, one in enumerate(values)
    ]
    return GateRun(
        id="gate-1", idea="e1", candidate="c2", baseline="c1", trial="t2", baseline_trial="t1",
        commands={"c": ("check", "{artefact}")}, rules={"c": require}, results=tuple(results),
        repeats=repeats if repeats is not None else max(3, len(ours)),
    )  # fmt: skip


def each(name: str, *values: float, **more: float) -> list[dict[str, float]]:
    return [{name: value, **more} for value in values]


def verdict(*args, **more) -> str:
    return judged(run(*args, **more)).verdict


def test_a_slice_that_got_worse_blocks_although_the_mean_got_better() -> None:
    rules = ("acc >= baseline", "acc/slice_* >= baseline - 0.02")
    before = [{"acc": 0.80 + e, "acc/slice_a": 0.85 + e, "acc/slice_b": 0.75 + e} for e in (0.0, 0.001, -0.001)]
    after = [{"acc": 0.86 + e, "acc/slice_a": 0.97 + e, "acc/slice_b": 0.65 + e} for e in (0.0, 0.001, -0.001)]
    found = judged(run(rules, after, before))
    said = {row.metric: row.verdict for row in found.rows}
    assert said == {"acc": "pass", "acc/slice_a": "pass", "acc/slice_b": "block"}
    assert found.verdict == "block" and "acc/slice_b" in found.reason
    (row,) = [row for row in found.rows if row.verdict == "block"]
    assert row.before == pytest.approx(0.75) and row.after == pytest.approx(0.65) and row.high < -0.02


def test_one_repeat_is_insufficient_however_good_it_looks() -> None:
    assert verdict(("latency_ms <= 20",), each("latency_ms", 0.1), [], repeats=1) == "insufficient"
    assert verdict(("latency_ms <= 20",), each("latency_ms", 0.1, 0.1), [], repeats=2) == "insufficient"
    assert verdict(("latency_ms <= 20",), each("latency_ms", 0.1, 0.1, 0.1), [], repeats=3) == "pass"


@pytest.mark.parametrize(("values", "said"), [
    ((10.0, 11.0, 10.5, 10.2), "pass"), ((19.0, 19.9, 21.5, 17.0), "insufficient"), ((30.0, 31.0, 29.0, 30.5), "block"),
])  # fmt: skip
def test_a_limit_is_judged_by_its_interval(values: tuple[float, ...], said: str) -> None:
    assert verdict(("latency_ms <= 20",), each("latency_ms", *values), []) == said


def test_few_cases_are_insufficient_and_many_are_not() -> None:
    few = each("acc", *[0.95] * 3, **{"cases/acc": 20.0})
    many = each("acc", *[0.95] * 3, **{"cases/acc": 20000.0})
    assert verdict(("acc >= 0.9",), few, []) == "insufficient"
    assert verdict(("acc >= 0.9",), many, []) == "pass"
    same = each("acc", *[0.94] * 3, **{"cases/acc": 20.0}), each("acc", *[0.94] * 3, **{"cases/acc": 20000.0})
    assert verdict(("acc >= baseline - 0.01",), few, same[0]) == "insufficient"
    assert verdict(("acc >= baseline - 0.01",), many, same[1]) == "pass"


def test_golden_cases_pass_with_none_wrong_and_block_with_one() -> None:
    assert verdict(("failures <= 0",), each("failures", 0, 0, 0), []) == "pass"
    assert verdict(("failures <= 0",), each("failures", 1, 1, 1), []) == "block"


def test_a_difference_that_is_exactly_what_is_allowed_passes() -> None:
    assert verdict(("acc >= baseline - 0.01",), each("acc", 0.9, 0.9, 0.9), each("acc", 0.91, 0.91, 0.91)) == "pass"


def test_what_crashes_on_the_candidate_alone_blocks_and_what_crashes_on_both_says_nothing() -> None:
    whole = run(("acc >= baseline",), each("acc", 1, 1, 1), each("acc", 1, 1, 1))
    crashed = [replace(one, failed="exit 1", metrics={}) if one.side == "candidate" else one for one in whole.results]
    assert judged(replace(whole, results=tuple(crashed))).verdict == "block"
    both = [replace(one, failed="exit 1", metrics={}) for one in whole.results]
    assert judged(replace(whole, results=tuple(both))).verdict == "insufficient"
    alone = [one for one in crashed if one.side == "candidate"]
    assert judged(replace(whole, results=tuple(alone))).verdict == "insufficient"


def test_a_number_that_is_none_blocks_and_one_that_is_missing_is_insufficient() -> None:
    fine = each("acc", 0.9, 0.9, 0.9)
    assert verdict(("acc >= baseline",), each("acc", 0.9, math.nan, 0.9), fine) == "block"
    assert verdict(("acc >= baseline",), fine, each("acc", 0.9, math.nan, 0.9)) == "insufficient"
    assert verdict(("acc >= baseline",), each("other", 0.9, 0.9, 0.9), fine) == "insufficient"
    lost = [*fine[:2], {"other": 1.0}]
    assert verdict(("acc >= 0.5",), lost, fine) == "insufficient"
    assert verdict(("acc/slice_* >= baseline",), fine, [{**one, "acc/slice_b": 1.0} for one in fine]) == "insufficient"


def test_an_artefact_that_changed_on_the_way_never_passes() -> None:
    whole = run(("failures <= 0",), each("failures", 0, 0, 0), [])
    first, *rest = whole.results
    assert judged(replace(whole, results=(replace(first, artefact="other"), *rest))).verdict == "insufficient"
    assert judged(replace(whole, trial="", results=())).verdict == "insufficient"
    assert judged(replace(whole, commands={}, rules={})).verdict == "insufficient"


VALUES = st.lists(st.floats(-100, 100, allow_nan=False, width=32), min_size=3, max_size=8)
RULES = st.sampled_from(["m >= baseline - 0.5", "m <= baseline + 0.5", "m >= 1", "m <= 1", "m >= baseline", "m <= baseline"])


@settings(max_examples=400, deadline=None)
@given(ours=VALUES, theirs=VALUES, rule=RULES, gains=st.lists(st.floats(0, 50, width=32), min_size=8, max_size=8))
def test_a_better_candidate_never_turns_pass_into_block_nor_a_shifted_one_into_worse(
    ours: list[float], theirs: list[float], rule: str, gains: list[float]
) -> None:
    sign = 1.0 if ">=" in rule else -1.0
    theirs = (theirs * 3)[: len(ours)]
    before = verdict((rule,), each("m", *ours), each("m", *theirs))
    better = [value + sign * gain for value, gain in zip(ours, gains, strict=False)]  # in each repeat by another amount
    after = verdict((rule,), each("m", *better), each("m", *theirs))
    assert not (before == "pass" and after == "block")
    shifted = verdict((rule,), each("m", *(value + sign * gains[0] for value in ours)), each("m", *theirs))
    assert RANK[shifted] >= RANK[before]


@settings(max_examples=300, deadline=None)
@given(
    share=st.floats(0, 1), gain=st.floats(0, 1), other=st.floats(0, 1), cases=st.integers(1, 5000),
    rule=st.sampled_from(["m >= baseline - 0.05", "m >= 0.6", "m >= baseline"]),
)  # fmt: skip
def test_a_better_share_of_the_same_cases_is_never_judged_worse(
    share: float, gain: float, other: float, cases: int, rule: str
) -> None:
    theirs = each("m", *[other] * 3, **{"cases/m": cases})
    worse = verdict((rule,), each("m", *[share] * 3, **{"cases/m": cases}), theirs)
    better = verdict((rule,), each("m", *[min(1.0, share + gain)] * 3, **{"cases/m": cases}), theirs)
    assert RANK[better] >= RANK[worse]


@settings(max_examples=300, deadline=None)
@given(ours=VALUES, theirs=VALUES, rule=RULES, left=st.integers(0, 7))
def test_fewer_repeats_than_were_planned_never_pass(ours: list[float], theirs: list[float], rule: str, left: int) -> None:
    theirs = (theirs * 3)[: len(ours)]
    kept = min(left, len(ours) - 1)
    assert verdict((rule,), each("m", *ours[:kept]), each("m", *theirs[:kept]), repeats=len(ours)) == "insufficient"


def test_intervals_of_five_repeats_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    draws = rng.normal(3.0, 2.0, size=(4000, 10))
    means = [of_mean(row[:5]) for row in draws]
    assert np.mean([one.low <= 3.0 <= one.high for one in means]) == pytest.approx(0.95, abs=0.012)
    pairs = [of_difference(row[:5], row[5:]) for row in draws]
    assert np.mean([one.low <= 0.0 <= one.high for one in pairs]) > 0.94
    shares = rng.binomial(200, 0.9, size=4000) / 200
    assert np.mean([low <= 0.9 <= high for low, high in (wilson(p, 200) for p in shares)]) > 0.93


@pytest.mark.parametrize(("text", "expected"), [
    ("latency_ms <= 20", ("latency_ms", False, 20.0, False)), ("acc >= baseline - 0.01", ("acc", True, -0.01, True)),
    ("acc/slice_*>=baseline", ("acc/slice_*", True, 0.0, True)), ("loss <= baseline + 1e-3", ("loss", False, 1e-3, True)),
    ("x >= -2.5", ("x", True, -2.5, False)),
])  # fmt: skip
def test_a_rule_is_taken_apart(text: str, expected: tuple) -> None:
    rule = rule_of(text)
    assert rule is not None and (rule.metric, rule.at_least, rule.bound, rule.relative) == expected


@pytest.mark.parametrize("text", ["acc", "acc > 1", "acc == 1", "acc >= best", ">= 1", "acc >= baseline * 2", "acc <= nan"])
def test_what_is_no_rule_is_none(text: str) -> None:
    assert rule_of(text) is None


def asked(verb: str = "accept", **args) -> RequestReceived:
    return RequestReceived(id="r1", verb=verb, who="kim", args={"idea": "e1", **args}, asked_at=0.0)


def state(request: RequestReceived, **changes) -> State:
    study = Study(
        name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=1,
        gate=Gate(suite=(Check(name="c", command=("a",), require=("x <= 1",)),)),
    )  # fmt: skip
    trials = [("t1", "c1", 0), ("t2", "c2", 5), ("t3", "c1", 5), ("t4", "c2", 6)]
    known = {
        name: Trial(id=name, candidate=candidate, seed=seed, revision=1, status="complete") for name, candidate, seed in trials
    }
    idea = Idea(id="e1", text="x", author="kim", candidate="c2", baseline="c1", state="held up")
    return replace(
        State(study=study, baseline="c1", ideas={"e1": idea}, trials=known, requests={"r1": request}), **changes
    )


def test_a_suite_is_ordered_on_two_trials_of_one_seed_and_once() -> None:
    before = state(asked())
    (decision,) = ordering.decide(before)
    (run,) = decision.gates
    assert (run.trial, run.baseline_trial) == ("t2", "t3")
    assert not ordering.decide(replace(before, gates={"gate-1": replace(run, id="gate-1")}))


def test_nobody_asks_again_until_it_passes_but_a_broken_check_may_be_mended() -> None:
    before = state(asked())
    (run,) = ordering.decide(before)[0].gates
    results = tuple(
        Measured(check="c", side=side, repeat=k, metrics={"x": 2.0}, artefact=side)
        for side in ("candidate", "baseline")
        for k in range(5)
    )
    blocked = judged(replace(run, id="gate-1", request="r0", results=results))
    assert blocked.verdict == "block"
    assert not ordering.decide(replace(before, gates={"gate-1": blocked}))
    broken = judged(replace(blocked, results=(replace(results[0], failed="exit 1"), *results[1:])))
    assert ordering.decide(replace(before, gates={"gate-1": broken}))


def test_what_is_refused_anyway_costs_no_run() -> None:
    refuted = replace(state(asked()).ideas["e1"], state="refuted")
    assert not ordering.decide(state(asked(), ideas={"e1": refuted}))
    assert ordering.decide(state(asked(because="I must"), ideas={"e1": refuted}))
    assert not ordering.decide(state(asked(), baseline="c2"))
    assert not ordering.decide(state(asked("stop")))


def test_of_two_releases_to_one_place_the_second_is_refused_and_a_failed_one_holds_no_place() -> None:
    before = state(asked("promote"))
    assert before.study is not None
    before = replace(before, study=replace(before.study, gate=Gate()))
    second = replace(asked("promote"), id="r2")
    elsewhere = replace(asked("promote", to="/out"), id="r3")
    found = promoting.decide(replace(before, requests={one.id: one for one in (asked("promote"), second, elsewhere)}))
    assert [bool(one.promotions) for one in found] == [True, False, True] and "under way" in found[1].refused
    known = Promotion(id="promotion-1", idea="e1", candidate="c2", trial="t2", to="/out", place="/out")
    for outcome, free in (("", False), ("released", False), ("failed", True)):
        one = replace(known, outcome=outcome)
        (decision,) = promoting.decide(replace(before, requests={"r3": elsewhere}, promotions={one.id: one}))
        assert bool(decision.promotions) is free is not bool(decision.refused)

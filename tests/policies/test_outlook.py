"""What curves say of how trials will end: the same whichever way the metric goes, and from honest curves only."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.forecasters import fitting
from secondshift.policies.models import outlook as models
from secondshift.policies.models.joint import prior
from secondshift.policies.models.outlook import (
    BEST_CURVES,
    MEMO,
    MOST_CURVES,
    MOST_POINTS,
    REFIT,
    improvement,
    outlook,
    seen,
)
from secondshift.policies.schedulers import freezethaw
from secondshift.policies.searchers import model
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Objective, Parameter, Policy, Space
from secondshift.records.trials import Inheritance
from thawing_states import changed, state, study, trial

VALUES = st.lists(st.lists(st.integers(-64, 64).map(lambda n: n / 8), min_size=1, max_size=6), min_size=1, max_size=8)


def falling(floor: float, steps: int) -> list[float]:
    return [floor + 1.0 / (step + 1) for step in range(steps)]


def mirrored(asked: State) -> State:
    """The same with the metric and the goal turned round."""
    assert asked.study is not None
    turned = {name: replace(one, values=tuple(-v for v in one.values)) for name, one in asked.curves.items()}
    trials = {
        name: replace(one, metrics={m: replace(s, last=-s.last, low=-s.high, high=-s.low) for m, s in one.metrics.items()})
        for name, one in asked.trials.items()
    }
    goal = replace(asked.study, objective=replace(asked.study.objective, goal="max"))
    return replace(asked, study=goal, curves=turned, trials=trials)


def told(decisions: Sequence[Decision]) -> list[tuple[str, str, int, dict]]:
    return [(one.verb, one.subject, one.until_step, dict(one.params)) for one in decisions]


@settings(derandomize=True, deadline=None, max_examples=25)
@given(values=VALUES, at=st.sampled_from(["best", "final"]))
def test_a_goal_of_max_decides_as_a_goal_of_min_with_negated_values(values: list[list[float]], at: str) -> None:
    asked = study(objective=Objective(metric="loss", at=at))  # type: ignore[arg-type]  # a literal
    lower = state(asked, values, slots=3)
    higher = mirrored(lower)
    known, turned = seen(lower), seen(higher)
    assert known is not None and turned is not None
    np.testing.assert_array_equal(known.points.value, turned.points.value)
    assert known.best == turned.best
    decide: Callable[[State], list[Decision]]
    for decide in (freezethaw.decide, model.decide):
        assert told(decide(lower)) == told(decide(higher))


def test_a_trial_that_failed_without_a_value_is_a_bad_result_and_not_a_missing_one() -> None:
    asked = changed(state(study(), [falling(0.1, 5), falling(0.2, 5), []]), "t3", status="failed")
    known = seen(asked)
    assert known is not None and known.trials == ("t1", "t2", "t3")
    worst = known.points.value[known.points.curve == 2]
    assert len(worst) == 1 and worst[0] > np.max(known.points.value[known.points.curve < 2])
    waiting = seen(changed(asked, "t3", status="queued"))
    assert waiting is not None and waiting.trials == ("t1", "t2")


def test_what_diverged_is_as_bad_as_what_failed_and_spoils_nothing_else() -> None:
    known = seen(state(study(), [falling(0.1, 5), [0.9, math.nan, math.inf], falling(0.2, 5)]))
    assert known is not None
    value, curve = known.points.value, known.points.curve
    assert np.all(np.isfinite(value))
    assert np.all(value[curve == 1][1:] > np.max(value[curve != 1]))
    assert value[curve == 1][0] < np.max(value[curve == 1])  # its first value was fine


def test_with_the_best_value_counting_a_run_that_diverges_keeps_what_it_had() -> None:
    known = seen(state(study(objective=Objective(metric="loss", at="best")), [falling(0.1, 5), [0.9, math.nan, 1.2]]))
    assert known is not None
    assert len(set(known.points.value[known.points.curve == 1])) == 1


def test_a_trial_that_breaks_a_guard_is_bad_at_every_step() -> None:
    asked = study(objective=Objective(metric="loss", guards=("loss <= 2",)))
    known = seen(state(asked, [falling(0.5, 5), [3.0, 0.1, 0.1]]))
    assert known is not None
    value, curve = known.points.value, known.points.curve
    assert np.min(value[curve == 1]) > np.max(value[curve == 0])
    assert known.best == np.min(value[curve == 0])


@pytest.mark.parametrize(
    "aid",
    [{"assisted": True}, {"inherits": Inheritance(trial="t1", step=3)}, {"pair": 0}, {"revision": 9}],
    ids=["assisted", "inherited", "fresh seed", "earlier revision"],
)
def test_what_cannot_be_compared_with_others_is_left_out(aid: dict) -> None:
    asked = changed(state(study(), [falling(0.5, 5), falling(0.1, 5)]), "t2", **aid)
    known = seen(asked)
    assert known is not None and known.trials == ("t1",)
    alone = seen(state(study(), [falling(0.5, 5)], params=[{"x": 0.25}]))
    assert alone is not None and np.array_equal(known.points.value, alone.points.value)


def test_without_a_finite_value_there_is_no_outlook() -> None:
    assert seen(state(study(), [])) is None
    assert outlook(state(study(), [[math.nan], [math.inf]])) is None
    assert seen(State()) is None


def test_of_many_points_each_curve_keeps_its_newest_and_the_best_curves_keep_most() -> None:
    curves = [falling(0.01 * n, 20 + n % 7) for n in range(60)]
    known = seen(state(study(), curves))
    assert known is not None
    assert len(known.points.value) == MOST_POINTS
    assert np.all(np.diff(known.points.curve) >= 0)
    newest = [known.points.step[known.points.curve == row].max() for row in range(60)]
    assert newest == [len(values) for values in curves]
    kept = np.bincount(known.points.curve, minlength=60)
    assert kept[0] > 10 and kept[-1] == 1


def test_of_many_curves_the_best_are_looked_at_and_an_even_choice_of_the_rest() -> None:
    count = 3 * MOST_CURVES
    known = seen(state(study(), [falling((n * 7 % count) / count, 2) for n in range(count)]))
    assert known is not None and BEST_CURVES < len(known.trials) <= MOST_CURVES
    places = sorted(int(name[1:]) - 1 for name in known.trials)
    assert [f"t{place + 1}" for place in places] == list(known.trials)  # oldest first
    ranks = sorted(place * 7 % count for place in places)
    assert ranks[:BEST_CURVES] == list(range(BEST_CURVES))
    assert ranks[-1] == count - 1 and max(np.diff(ranks)) < 0.05 * count  # the worst among them, and no gap
    assert len(known.points.value) <= MOST_POINTS


def test_settings_are_kept_as_a_memo_and_fitted_again_only_when_there_is_enough_to_see() -> None:
    curves = [falling(0.1 * n, 4) for n in range(5)]
    asked = state(study(), curves)
    [decision] = fitting.decide(asked)
    assert (decision.verb, decision.subject) == ("fit", MEMO)
    assert fitting.decide(replace(asked, fitting={MEMO: "d1"})) == []  # one is on its way
    kept = replace(asked, memos={MEMO: models.fitted(models.job(asked))})
    memo = json.loads(kept.memos[MEMO])
    known = seen(kept)
    assert known is not None and memo["points"] == 20
    found, count = models.settings(kept, known)
    assert count == 20 and found.tolist() == memo["settings"]
    assert not np.allclose(found, prior(1)[0])
    assert fitting.decide(kept) == []
    for steps, due in ((5, False), (6, True)):  # 25 points and 30; 28 are 1.4 times as many
        grown = replace(state(study(), [falling(0.1 * n, steps) for n in range(5)]), memos=kept.memos)
        more = seen(grown)
        assert more is not None and models.due(grown, more) == due == (len(more.points.value) >= REFIT * 20)


@pytest.mark.parametrize("memo", ["", "{", '{"revision": 2, "points": 20, "settings": [1]}', '{"revision": 1, "settings": [1, 2]}'])
def test_a_memo_of_another_revision_or_space_is_none(memo: str) -> None:
    asked = replace(state(study(), [falling(0.1 * n, 4) for n in range(5)]), memos={MEMO: memo})
    known = seen(asked)
    assert known is not None
    found, count = models.settings(asked, known)
    assert count == 0 and np.array_equal(found, prior(1)[0])
    assert len(fitting.decide(asked)) == 1


def test_nobody_fits_what_nobody_looks_at() -> None:
    asked = state(study(policy=Policy(searcher="random", scheduler="halving")), [falling(0.1 * n, 4) for n in range(5)])
    assert fitting.decide(asked) == []


def test_what_is_on_its_way_counts_as_if_it_came_out_as_expected() -> None:
    asked = state(study(), [falling(0.1 * n, 4) for n in range(5)])
    plain, believing = outlook(asked), outlook(asked, coming=[("t1", 50)])
    assert plain is not None and believing is not None
    (mean, spread), (same, smaller) = plain.of(["t1"], [50]), believing.of(["t1"], [50])
    assert same[0] == pytest.approx(mean[0], abs=0.05)
    assert smaller[0] < 0.5 * spread[0]
    new = replace(asked, trials={**asked.trials, "t9": trial(9, [], status="running")},
                  candidates={**asked.candidates, "c9": replace(asked.candidates["c1"], id="c9")})  # fmt: skip
    with_new = outlook(new, coming=[("t9", 4)])
    assert with_new is not None and with_new.rows["t9"] == 5


def test_parameters_that_say_how_trials_end_are_learned_from() -> None:
    rng = np.random.default_rng(0)
    params = [{"x": float(x)} for x in rng.random(25)]
    asked = state(study(), [falling(abs(one["x"] - 0.3), 20) for one in params], params=params)
    kept = replace(asked, memos={MEMO: fitting.decide(asked)[0].memo})
    view = outlook(kept)
    assert view is not None
    mean, _ = view.of_new(np.array([[0.3], [0.6], [0.95]]), 100)
    assert mean[0] < mean[1] < mean[2]


def test_choices_have_no_order_and_what_is_not_set_is_no_choice() -> None:
    kind = Parameter(name="kind", kind="categorical", choices=("a", "b", "c"))
    depth = Parameter(name="depth", kind="int", low=1, high=9, when={"kind": ("b",)})
    ground = models.region(Space(parameters=(kind, depth)))
    at = models.features(ground, [{"kind": "a"}, {"kind": "b", "depth": 9}, {"kind": "c"}])
    apart = np.linalg.norm(at[:, None, :3] - at[None, :, :3], axis=2)
    assert len(np.unique(apart[np.triu_indices(3, 1)].round(9))) == 1
    assert at[0, 3] == at[2, 3] != at[1, 3]
    assert models.features(models.region(Space()), [{}, {}]).shape == (2, 1)


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (-2.0, 0.3), (3.0, 0.5)])
def test_expected_improvement_is_the_mean_of_what_falls_below_the_best(mean: float, spread: float) -> None:
    drawn = mean + spread * np.random.default_rng(0).standard_normal(400_000)
    expected = float(np.mean(np.maximum(0.5 - drawn, 0.0)))
    assert improvement(np.array([mean]), np.array([spread]), 0.5)[0] == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_it_knows_whether_parameters_tell_curves_apart() -> None:
    ordered = [falling(0.05 * n, 3) for n in range(16)]
    shuffled = [ordered[n * 7 % 16] for n in range(16)]
    for curves, least, most in ((ordered, 0.8, 1.0), (shuffled, -1.0, 0.3)):
        found = outlook(state(study(), curves))
        assert found is not None and least <= found.told() <= most
    few = outlook(state(study(), ordered[:4]))
    assert few is not None and few.told() == -1.0

"""Runs of earlier studies tell where to look, and never how good anything is."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secondshift.policies.forecasters import fitting
from secondshift.policies.models.earlier import LEAST_ROOM, MOST_EARLIER
from secondshift.policies.models.hindsight import ends
from secondshift.policies.models.outlook import MEMO, MOST_POINTS, due, fitted, foreseen, job, outlook, seen
from secondshift.policies.models.thawing import bench
from secondshift.policies.schedulers import freezethaw
from secondshift.policies.searchers import model
from secondshift.records.decisions import Decision
from secondshift.records.pastruns import Imported
from secondshift.records.states import State
from secondshift.records.studies import Objective, Policy, Study
from thawing_states import changed, curve, state, study, trial

SPREAD = [n / 11 for n in range(12)]


def falling(floor: float, steps: int) -> list[float]:
    return [floor + 1.0 / (step + 1) for step in range(steps)]


def asking(**changes: Any) -> Study:  # Any: a field of Study
    """A study that asks for a warm start."""
    return study(**{"policy": Policy(searcher="model", scheduler="freezethaw", warm_start=True), **changes})


def with_past(known: State, places: Sequence[float], best: float, *, level: float = 500.0, source: str = "csv") -> State:
    """The state with imported runs at some places of x, the better the nearer to `best`, on another level."""
    first = len(known.imported) + 1
    runs, curves = {}, {}
    for n, x in enumerate(places, first):
        values = [level + 100.0 * value for value in falling(abs(x - best), 30)]
        past = trial(n, values, id=f"p{n}", status="stopped", params={"x": x})
        runs[past.id] = Imported(trial=past, source=source, run=f"old#{n}", name=past.id, digest=str(n))
        curves[past.id] = curve(values)
    return replace(known, imported={**known.imported, **runs}, curves={**known.curves, **curves})


def fitted_to(known: State) -> State:
    return replace(known, memos={MEMO: fitted(job(known))})


def liked(known: State, seeds: int) -> list[Decision]:
    """What the model itself would look at, with several seeds."""
    assert known.study is not None
    asked = [replace(known, study=replace(known.study, seed=seed)) for seed in range(seeds)]
    return [one for seen in asked for one in model.decide(seen) if "promises most" in one.reason]


def test_the_first_candidates_are_looked_for_where_earlier_runs_were_good() -> None:
    known = fitted_to(with_past(state(asking(), [], slots=8), SPREAD, 0.3))
    found = liked(known, 6)
    assert len(found) >= 6
    assert np.median([abs(float(one.params["x"]) - 0.3) for one in found]) < 0.1
    assert all("this one promises most by what 12 imported runs came to; " in one.reason for one in found)


def test_the_best_earlier_runs_are_tried_first_as_they_were_each_once() -> None:
    first = model.decide(fitted_to(with_past(state(asking(), [], slots=2), SPREAD, 0.3)))
    assert [one.params["x"] for one in first] == [SPREAD[3], SPREAD[4]], "the nearest to 0.3"
    assert first[0].reason.startswith("Of 12 imported runs p4 is among the best, and it is tried as it was")
    outside = model.decide(fitted_to(with_past(state(asking(), [], slots=2), [*SPREAD, 4.0], 4.0)))
    assert [one.params["x"] for one in outside] == [SPREAD[11], SPREAD[10]], "4.0 is none of this space"
    again = state(asking(), [[0.5, 0.4]], slots=2, params=[{"x": SPREAD[3]}])
    later = model.decide(fitted_to(with_past(again, SPREAD, 0.3)))
    assert later[0].params["x"] == SPREAD[4] and "as it was" in later[0].reason and "as it was" not in later[1].reason
    cold = model.decide(with_past(state(study(policy=Policy(searcher="model", scheduler="freezethaw")), [], slots=2), SPREAD, 0.3))
    assert not any("imported" in one.reason for one in cold), "nothing of this is done unasked"


def test_some_of_the_first_candidates_are_drawn_at_random_all_the_same() -> None:
    known = fitted_to(with_past(state(asking(), [], slots=12), SPREAD, 0.3))
    random = [one for one in model.decide(known) if one.reason.startswith("Drawn at random")]
    assert 2 <= len(random) <= 10


def test_a_proposal_says_that_imported_runs_had_a_say() -> None:
    places = [{"x": x} for x in SPREAD]
    asked = asking(policy=Policy(searcher="model", scheduler="halving", warm_start=True))
    own = state(asked, [falling(abs(one["x"] - 0.3), 4) for one in places], slots=12, params=places)
    told = liked(fitted_to(with_past(own, SPREAD, 0.3)), 2)
    assert told and all(", where 12 imported runs had a say; " in one.reason for one in told)
    alone = liked(fitted_to(own), 2)
    assert alone and not any("imported" in one.reason for one in alone)


def test_what_earlier_runs_came_to_is_never_the_best_seen() -> None:
    own = state(asking(), [falling(5.0, 6), falling(6.0, 6)])
    plain, warm = seen(own), seen(with_past(own, SPREAD, 0.3, level=-1000.0))
    assert plain is not None and warm is not None
    assert warm.best == plain.best
    np.testing.assert_array_equal(warm.points.value[: len(plain.points.value)], plain.points.value)


def test_another_level_or_unit_of_earlier_values_changes_nothing() -> None:
    own = state(asking(), [falling(5.0, 6), falling(6.0, 6)])
    low, high = (seen(with_past(own, SPREAD, 0.3, level=level)) for level in (-1024.0, 1024.0))
    assert low is not None and high is not None
    np.testing.assert_allclose(low.points.value, high.points.value, atol=1e-6)


def test_runs_of_two_earlier_studies_are_each_on_a_scale_of_their_own() -> None:
    known = seen(with_past(with_past(state(asking(), [falling(5.0, 6)]), SPREAD, 0.3), SPREAD, 0.7, level=9e5, source="mlflow"))
    assert known is not None and known.earlier == 24
    rows = np.array([name in {f"p{n}" for n in range(1, 13)} for name in known.trials])[known.points.curve]
    own = known.points.curve == 0
    assert abs(float(known.points.value[rows].mean()) - float(known.points.value[~rows & ~own].mean())) < 0.2


def test_earlier_runs_that_tell_nothing_are_unlearned() -> None:
    """The lengthscale of the column `another study` becomes short where good is elsewhere now, and stays where it is not."""
    own = [falling(abs(x - 0.3), 8) for x in SPREAD]
    params = [{"x": x} for x in SPREAD]
    found = {}
    for best in (0.3, 0.9):
        known = fitted_to(with_past(state(asking(), own, params=params), SPREAD, best))
        view = outlook(known)
        assert view is not None
        found[best] = float(view.joint.settings[1])
        means, _ = view.of_new(view.placed([{"x": 0.3}, {"x": 0.9}]), 100)
        assert means[0] < means[1]
    assert found[0.9] < found[0.3]


def test_no_more_than_some_take_part_and_the_studys_own_points_come_first() -> None:
    own = [falling(0.01 * n, 20) for n in range(60)]
    known = seen(with_past(state(asking(), own), [n / 150 for n in range(150)], 0.3))
    assert known is not None
    assert known.earlier == MOST_EARLIER and len(known.points.value) <= MOST_POINTS
    of_past = known.of_past()[known.points.curve]
    assert int(np.sum(of_past)) == LEAST_ROOM
    assert np.all(np.diff(known.points.curve) >= 0)
    few = seen(with_past(state(asking(), own[:2]), [n / 150 for n in range(150)], 0.3))
    assert few is not None and int(np.sum(few.of_past()[few.points.curve])) == 3 * MOST_EARLIER


def test_a_scheduler_thaws_none_of_them_and_counts_none() -> None:
    own = state(asking(), [falling(0.5, 6)] * 5)
    warm = with_past(own, SPREAD, 0.3)
    assert warm.study is not None and own.study is not None
    assert bench(warm, warm.study) == bench(own, own.study)
    assert {one.subject for one in freezethaw.decide(warm) if one.verb == "start"} <= set(own.trials)
    assert seen(state(asking(), [[math.nan]])) is None and seen(with_past(state(asking(), [[math.nan]]), SPREAD, 0.3)) is None


def test_looking_back_is_at_the_studys_own_trials() -> None:
    own = state(asking(horizon_steps=6), [falling(0.1 * n, 6) for n in range(14)])
    for name in ("t1", "t2", "t3"):
        own = changed(own, name, status="complete")
    found = ends(with_past(own, SPREAD, 0.3))
    assert found is not None and set(found.trials) == set(own.trials) and found.trained == 3


@pytest.mark.parametrize("why", ["revision", "curve"])
def test_runs_of_another_revision_or_without_a_value_take_no_part(why: str) -> None:
    own = state(asking(), [falling(0.5, 6)] * 5)
    warm = with_past(own, SPREAD, 0.3)
    if why == "revision":
        past = {n: replace(one, trial=replace(one.trial, revision=7)) for n, one in warm.imported.items()}
        warm = replace(warm, imported=past)
    else:
        warm = replace(warm, curves=own.curves)
    assert model.decide(warm) == model.decide(own) and freezethaw.decide(warm) == freezethaw.decide(own)


def test_settings_are_fitted_to_earlier_runs_alone_and_again_when_the_study_has_a_few_points() -> None:
    none = with_past(state(asking(), []), SPREAD, 0.3)
    assert [one.verb for one in fitting.decide(none)] == ["fit"]
    after = fitted_to(none)
    assert not fitting.decide(after)
    known = foreseen(after)
    assert known is not None and known.own() == () and not due(after, known)
    later = replace(with_past(state(asking(), [falling(0.5, 2)]), SPREAD, 0.3), memos=after.memos)
    assert [one.verb for one in fitting.decide(later)] == ["fit"]


def test_a_goal_of_max_decides_as_a_goal_of_min_with_negated_values() -> None:
    known = with_past(state(asking(), [falling(0.5, 6)] * 4, slots=3), SPREAD, 0.3)
    turned = replace(
        known, study=asking(objective=Objective(metric="loss", goal="max")),
        curves={name: replace(one, values=tuple(-v for v in one.values)) for name, one in known.curves.items()},
    )  # fmt: skip
    assert [dict(one.params) for one in model.decide(known)] == [dict(one.params) for one in model.decide(turned)]


def test_without_being_asked_for_nothing_is_taken_from_imported_runs() -> None:
    cold = state(study(), [falling(0.5, 6)] * 5)
    known = seen(with_past(cold, SPREAD, 0.3))
    assert known is not None and known.earlier == 0
    assert model.decide(with_past(cold, SPREAD, 0.3)) == model.decide(cold)

"""How deep a first look goes, what share of the steps goes into looks, and who waits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from secondshift.policies.models.thawing import AT_FIRST, AT_LEAST, DEEP_AGAIN, ENOUGH, LATER, bench, depth
from secondshift.records.curves import Curve
from secondshift.records.studies import Objective
from thawing_states import changed, curve, queued, state, study, trial


def falling(floor: float, steps: int) -> list[float]:
    return [floor + 1.0 / (step + 1) for step in range(steps)]


def test_first_looks_get_their_share_of_the_steps_and_no_more() -> None:
    asked = study()
    found = bench(state(asked, [falling(0.1 * n, 4) for n in range(5)]), asked)  # 20 steps, all of them first looks
    assert (found.looked, found.done, found.look) == (20, 20, 4)
    assert found.share(0) == pytest.approx(LATER + AT_FIRST)
    assert found.share(10_000) == pytest.approx(LATER)
    assert found.first_looks() == 0
    assert replace(found, looked=10).first_looks() == 1
    assert replace(found, waiting=()).first_looks() == 1  # nobody could go on instead
    assert replace(found, waiting=(), endless=False).first_looks() == 0
    assert replace(found, slots=0).first_looks() == 0


def test_of_several_slots_so_many_look_that_the_share_holds_when_all_have_run() -> None:
    asked = study()
    found = replace(bench(state(asked, [falling(0.1 * n, 4) for n in range(40)], slots=16), asked), looked=40)
    looks = found.first_looks()
    assert 0 < looks < 16
    given = AT_LEAST * found.look  # the first ones are no debt
    assert 40 - given + looks * found.look <= found.share(160) * (160 - given + 16 * found.look) + found.look
    alone = replace(found, waiting=found.waiting[:3], looked=160)
    assert alone.first_looks() == 13  # three go on, the others have nobody who could


def test_what_was_cut_short_takes_its_slot_before_all_others() -> None:
    asked = study()
    seen = changed(state(asked, [falling(0.1, 4), falling(0.2, 4)], slots=2), "t1", until_step=8)
    found = bench(seen, asked)
    assert [one.id for one in found.cut] == ["t1"] and [one.id for one in found.waiting] == ["t2"]
    assert found.first_looks() <= 1


def test_a_look_begins_at_two_parts_of_the_horizon() -> None:
    asked = study()
    assert depth(state(asked, []), asked) == 4
    assert depth(state(replace(asked, horizon_steps=10), []), replace(asked, horizon_steps=10)) == 2
    assert depth(state(replace(asked, horizon_steps=1), []), replace(asked, horizon_steps=1)) == 1
    own = replace(asked, policy=replace(asked.policy, min_steps=7))
    assert depth(state(own, []), own) == 14


def agreeing(count: int, steps: int) -> list[list[float]]:
    """Curves of which the first step tells the order of all others."""
    return [falling(n / count, steps) for n in range(count)]


def reversing(count: int, steps: int, until: int) -> list[list[float]]:
    """Curves whose order turns round at each doubling of the steps, up to a step."""
    return [
        [(n if int(math.log2(step)) % 2 and step <= until else count - n) / count for step in range(1, steps + 1)]
        for n in range(count)
    ]


def test_a_look_is_as_shallow_as_its_ranks_allow_and_deep_again_now_and_then() -> None:
    asked = study()
    depths = [depth(state(asked, agreeing(count, 8)), asked) for count in range(30, 30 + DEEP_AGAIN)]
    assert sorted(depths) == [2, 2, 2, 4]


def test_a_look_goes_as_deep_as_ranks_change() -> None:
    asked = study()
    assert depth(state(asked, reversing(30, 16, until=16)), asked) == 16  # nobody has done 32 yet
    assert depth(state(asked, reversing(30, 100, until=8)), asked) == 16
    assert depth(state(asked, reversing(30, 100, until=100)), asked) == 32  # not past half of the horizon


def test_where_no_depth_tells_anything_looks_stay_shallow() -> None:
    asked = study()
    noise = np.random.default_rng(0).standard_normal((30, 100))
    assert depth(state(asked, noise.tolist()), asked) == 4
    short = replace(asked, horizon_steps=3)
    assert depth(state(short, noise[:, :3].tolist()), short) == 2


def test_few_curves_change_no_depth() -> None:
    asked = study()
    assert depth(state(asked, agreeing(ENOUGH - 1, 8)), asked) == 4
    assert depth(state(asked, reversing(ENOUGH - 1, 8, until=8)), asked) == 4


def test_a_metric_that_is_logged_rarely_makes_looks_as_deep_as_its_first_value() -> None:
    asked = study()
    assert depth(state(asked, [falling(0.1 * n, 2) for n in range(5)], every=10), asked) == 20


def test_the_goal_turns_nothing_round() -> None:
    curves = reversing(30, 100, until=8)
    lower, higher = study(), study(objective=Objective(metric="loss", goal="max"))
    mirrored = [[-value for value in values] for values in curves]
    assert depth(state(lower, curves), lower) == depth(state(higher, mirrored), higher) == 16


def test_curves_of_imported_runs_of_earlier_revisions_and_of_fresh_seeds_are_none_of_the_search() -> None:
    asked = study()
    seen = state(asked, [falling(0.1, 4)])
    others = {"p1": Curve(steps=(50, 100), values=(1.0, 0.5)), "t8": curve(falling(0.1, 4), every=25), "t9": curve([1.0], every=50)}
    trials = {**seen.trials, "t8": trial(8, [1.0], pair=0), "t9": trial(9, [1.0], revision=7)}
    with_others = replace(seen, curves={**seen.curves, **others}, trials=trials)
    assert depth(with_others, asked) == depth(seen, asked) == 4
    assert bench(with_others, asked).done == 4


def test_a_trial_that_goes_on_does_a_quarter_more_and_at_least_one_part() -> None:
    found = bench(state(study(), []), study())
    assert [found.further(steps) for steps in (2, 4, 20, 90, 99)] == [4, 6, 25, 100, 100]


def test_what_runs_counts_as_done_to_where_it_may_go() -> None:
    asked = study()
    seen = changed(state(asked, [falling(0.1, 4), falling(0.2, 4)]), "t1", status="running", until_step=10)
    found = bench(seen, asked)
    assert found.coming == (("t1", 10),)
    assert (found.looked, found.done) == (8, 14)


def test_queued_trials_are_looked_at_even_when_no_more_candidates_come() -> None:
    asked = replace(study(), budget=replace(study().budget, trials=3))
    seen = queued(state(asked, [falling(0.1, 4)], slots=3), 2)
    found = bench(seen, asked)
    assert not found.endless
    assert replace(found, waiting=()).first_looks() == 2


def test_what_breaks_a_guard_waits_for_nothing() -> None:
    asked = study(objective=Objective(metric="loss", guards=("loss <= 1.0",)))
    seen = state(asked, [falling(0.1, 4), falling(0.2, 4)])
    assert [one.id for one in bench(seen, asked).waiting] == []  # both began above 1
    fine = state(asked, [[0.5, 0.4], falling(0.2, 4)])
    assert [one.id for one in bench(fine, asked).waiting] == ["t1"]

"""What full training had come to, and which parameters matter: estimated from what is known, and not from less."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.models.hindsight import Ends, counterfactual, ends, unwarped
from secondshift.policies.models.importance import importance, shares
from secondshift.policies.models.warping import warp
from secondshift.records.curves import Curve
from secondshift.records.states import State
from secondshift.records.studies import Goal, Objective, Parameter, Space, Study
from secondshift.records.trials import Candidate, Summary, Trial

H = 16
SPACE = Space(
    parameters=(
        Parameter(name="lr", kind="float", low=1e-4, high=1.0, log=True, default=0.01),
        Parameter(name="idle", kind="float", low=0.0, high=1.0, default=0.5),
        Parameter(name="act", kind="categorical", choices=("a", "b", "c"), default="a"),
    )
)


def studied(n: int, trained: int, goal: Goal = "min", *, noise: bool = False) -> State:
    """Ends depend on lr alone (or on chance alone); the first `trained` trials came to theirs, the others to a quarter."""
    rng = np.random.default_rng(5)
    trials, candidates, curves = {}, {}, {}
    for number in range(n):
        name, lr = f"t{number + 1}", float(10 ** rng.uniform(-4, 0))
        end = float(rng.uniform(0.2, 1.0)) if noise else 0.2 + 0.1 * (math.log10(lr) + 2) ** 2
        values = [end + 2.0 / (step + 1) ** 1.5 for step in range(H)]
        values = [v if goal == "min" else -v for v in values][: H if number < trained else H // 4]
        params = {"lr": lr, "idle": float(rng.uniform()), "act": "abc"[int(rng.integers(3))]}
        candidates[f"c{number}"] = Candidate(id=f"c{number}", params=params)
        summary = Summary(points=len(values), last_step=len(values) - 1, last=values[-1], low=min(values), low_step=1,
                          high=max(values), high_step=0)  # fmt: skip
        status = "complete" if number < trained else "paused"
        trials[name] = Trial(id=name, candidate=f"c{number}", seed=0, status=status, metrics={"loss": summary})
        curves[name] = Curve(steps=tuple(range(1, len(values) + 1)), values=tuple(values))
    study = Study(name="s", command="x", folder=".", objective=Objective(metric="loss", goal=goal), horizon_steps=H, space=SPACE)
    return State(study=study, trials=trials, candidates=candidates, curves=curves)


def test_what_was_trained_to_its_end_counts_as_it_is_and_the_rest_as_expected() -> None:
    found = ends(studied(20, 6))
    assert found and found.trained == 6 and len(found.trials) == 20
    assert all(found.spreads[:6] == 0) and all(found.spreads[6:] > 0)


@pytest.mark.parametrize(("n", "trained"), [(0, 0), (1, 1), (11, 11), (30, 2)])
def test_of_too_few_trials_nothing_is_said(n: int, trained: int) -> None:
    state = studied(n, trained)
    assert counterfactual(state) is None and importance(state) is None


def test_where_all_were_trained_the_best_of_all_of_them_is_the_best_there_is() -> None:
    state = studied(16, 16)
    found = counterfactual(state)
    lasts = [trial.metrics["loss"].last for trial in state.trials.values()]
    assert found and found.middle[-1] == pytest.approx(min(lasts)) == pytest.approx(found.high[-1])
    assert found.middle[0] == pytest.approx(float(np.median(lasts)), abs=0.06)


@pytest.mark.parametrize("goal", ["min", "max"])
def test_more_trainings_never_come_to_less_and_the_median_lies_within(goal: Goal) -> None:
    found = counterfactual(studied(20, 6, goal))
    assert found
    sign = 1.0 if goal == "min" else -1.0
    for line in (found.low, found.middle, found.high):
        assert all(sign * later <= sign * earlier + 1e-12 for earlier, later in pairwise(line))
    assert all(low <= middle <= high for low, middle, high in zip(found.low, found.middle, found.high, strict=True))


def test_the_same_facts_give_the_same_answers() -> None:
    assert counterfactual(studied(20, 6)) == counterfactual(studied(20, 6))
    assert importance(studied(20, 6)) == importance(studied(20, 6))


def test_failed_trials_and_ends_that_are_no_number_count_as_the_worst() -> None:
    state = studied(20, 8)
    broken = replace(state.trials["t1"], metrics={"loss": replace(state.trials["t1"].metrics["loss"], last=math.nan)})
    failed = replace(state.trials["t20"], status="failed")
    found = ends(replace(state, trials={**state.trials, "t1": broken, "t20": failed}))
    assert found and found.means[0] == found.means[-1] == max(found.means)


def test_the_parameter_that_matters_is_named_and_the_idle_ones_get_hardly_anything() -> None:
    found = importance(studied(60, 60))
    assert found and found.shares[0][0] == "lr" and found.shares[0][1] > 0.6 and found.explained > 0.8
    assert all(share < 0.1 for _, share in found.shares[1:]) and (found.trials, found.trained) == (60, 60)


def test_of_noise_no_parameter_is_named() -> None:
    found = importance(studied(60, 60, noise=True))
    assert found and found.shares == () and found.explained < 0.1


def test_parameters_that_never_varied_and_equal_ends_are_no_error() -> None:
    scale = warp(np.arange(3.0), np.arange(3.0))
    assert scale is not None
    found = Ends(trials=("t",) * 12, means=np.zeros(12), spreads=np.zeros(12), scale=scale, trained=12)
    assert shares(("a",), np.random.default_rng(0).random((12, 1)), found).shares == ()
    varied = replace(found, means=np.arange(12.0))
    assert shares(("a",), np.full((12, 1), 0.5), varied).shares == ()


@settings(derandomize=True, deadline=None, max_examples=50)
@given(losses=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_scale_can_be_taken_back_and_never_leaves_what_was_seen(losses: list[float]) -> None:
    made = warp(np.array(losses), np.array(losses[:1]))
    assert made is not None
    back = unwarped(made, np.linspace(-9, 9, 40))
    assert min(losses) <= back.min() and back.max() <= max(losses) and all(np.diff(back) >= 0)
    assert unwarped(made, made(np.array([min(losses)])))[0] == min(losses)

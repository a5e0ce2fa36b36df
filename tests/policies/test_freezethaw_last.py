"""A budget that runs out leaves a full result: what is left at the end goes to the likely best."""

from dataclasses import replace

import pytest

from secondshift.policies.forecasters import fitting
from secondshift.policies.schedulers import budgets, freezethaw
from secondshift.policies.searchers import model
from secondshift.records.studies import Budget
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import Night, play


def night(device_s: float, slots: int = 1) -> Night:
    asked = study(SPACES["without defaults"], searcher="model", scheduler="freezethaw", trials=None)
    asked = replace(asked, budget=Budget(device_s=device_s))
    deciders = [fitting.decide, freezethaw.decide, model.decide, budgets.decide]
    return play(asked, deciders, curve=curve, slots=slots, stride=3, tick_s=3.0)


@pytest.mark.parametrize("device_s", [150.0, 300.0, 500.0])
@pytest.mark.parametrize("slots", [1, 2])
def test_what_is_left_brings_the_likely_best_to_its_end(device_s: float, slots: int) -> None:
    played = night(device_s, slots)
    assert played.reason, "the night did not end"
    complete = [trial for trial in played.state.trials.values() if trial.status == "complete"]
    assert complete, f"{played.steps} steps, and nothing came to its end: {played.reason}"
    lows = [trial.metrics["loss"].last for trial in played.state.trials.values() if "loss" in trial.metrics]
    assert min(trial.metrics["loss"].last for trial in complete) <= sorted(lows)[min(2, len(lows) - 1)]


def test_more_than_that_is_searched_with() -> None:
    played = night(500.0)
    assert len(played.state.trials) >= 5

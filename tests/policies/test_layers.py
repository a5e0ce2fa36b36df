"""Statistics of layers become evidence of an incident, and name dead units as its cause."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.incidents import layer
from secondshift.policies.captain.layers import KEPT, Trail, Trails, explained, standing_out
from secondshift.records import events as facts
from secondshift.records.incidents import LayerSign
from secondshift.replay import replay
from simulated_nights import Order, falling, on_curve

STEPS, ONSET = 1200, 500
BEFORE = ((100, 1.0), (200, 1.2), (300, 0.9))


def signs(kind: str, after: float, before: tuple[tuple[int, float], ...] = BEFORE) -> list[LayerSign]:
    return list(standing_out({("fc", kind): (*before, (600, after))}, ONSET))


@pytest.mark.parametrize("kind", ["grad_norm", "activation_rms", "update_ratio"])
def test_a_layer_stands_out_by_four_times_the_usual_or_a_quarter_or_no_number_at_all(kind: str) -> None:
    assert not signs(kind, 3.5) and not signs(kind, 0.3)
    for value in (4.5, 0.2, 0.0, math.inf):
        (found,) = signs(kind, value)
        assert (found.layer, found.value, found.usual, found.step) == ("fc", value, 1.0, 600)
    assert signs(kind, math.nan)


def test_units_that_died_stand_out_by_their_share_and_explain_a_loss_that_got_worse() -> None:
    few = ((100, 0.0), (200, 0.02))
    assert not signs("dead", 0.2, few)
    (some,), (most,) = signs("dead", 0.4, few), signs("dead", 0.9, few)
    assert explained("bad_data", [some]) == "bad_data" and explained("bad_data", [most]) == "dead_units"
    assert explained("bad_numbers", [most]) == "bad_numbers" and explained("bad_data", []) == "bad_data"


def test_without_samples_from_both_sides_of_the_trouble_nothing_is_said() -> None:
    assert not standing_out({("fc", "grad_norm"): BEFORE}, ONSET)
    assert not standing_out({("fc", "grad_norm"): ((450, 1.0), (600, 99.0))}, ONSET)


def test_the_most_striking_layers_come_first_and_only_a_few_are_named() -> None:
    many = {(f"l{n}", "grad_norm"): (*BEFORE, (600, 5.0 + n)) for n in range(9)}
    found = standing_out({**many, ("nan", "activation_rms"): (*BEFORE, (600, math.nan))}, ONSET)
    assert [one.layer for one in found] == ["nan", "l8", "l7", "l6"]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=400))
def test_a_trail_is_short_spans_the_run_and_ends_with_the_newest_sample(steps: list[int]) -> None:
    trail, at = Trail(), np.cumsum(steps).tolist()
    for step in at:
        trail.push(step, float(step))
    kept = trail.samples()
    assert kept[0][0] == at[0] and kept[-1][0] == at[-1] and len(kept) <= KEPT + 1
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})


def test_what_a_run_left_behind_by_going_back_is_forgotten_and_other_metrics_are_none_of_its_business() -> None:
    trails = Trails()
    trails.push("layer/a/b/dead", [10, 20, 30, 15], [0.1, 0.2, 0.3, 0.4])
    trails.push("layer/odd", [1], [1.0])
    trails.push("layer/a/scale", [1], [1.0])
    assert trails.samples() == {("a/b", "dead"): ((10, 0.1), (15, 0.4))}


def dying(order: Order) -> dict[str, np.ndarray]:
    """The units of one layer die at the onset, for good, and the loss is up from there on."""
    loss, dead = falling(int(order.trial[1:]), STEPS), np.full(STEPS, 0.01)
    if order.trial == "t1":
        loss[ONSET:] += 0.8
        dead[ONSET:] = 0.97
    return {"loss": loss, "layer/fc1/dead": dead, "layer/fc2/dead": np.full(STEPS, 0.01)}


def test_an_incident_shows_the_layer_that_died_and_calls_it_by_its_cause(tmp_path, monkeypatch) -> None:
    night = on_curve(tmp_path, monkeypatch, dying, steps=STEPS, may=("retry_infrastructure", "pause"))
    night.run()
    (opened,) = night.payloads(facts.IncidentOpened)
    (sign,) = opened.incident.layers
    assert (sign.layer, sign.kind, sign.value, sign.usual) == ("fc1", "dead", 0.97, 0.01)
    assert opened.incident.cause == "dead_units" and "dead units" in opened.incident.finding
    assert replay(night.ledger).holds


def test_a_layer_is_told_in_either_language_and_by_the_name_it_has() -> None:
    sign = LayerSign(layer="blocks.0.cause_x", kind="dead", step=600, value=0.97, usual=0.01)
    assert tell(layer(sign)) == "Layer blocks.0.cause_x at step 600: share of units that get no gradient 0.97, usually 0.01."
    assert "blocks.0.cause_x" in tell(layer(sign), "ko") and "0.97" in tell(layer(replace(sign, kind="grad_norm")), "ko")

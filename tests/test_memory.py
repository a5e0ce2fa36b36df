"""Curves are a cache: whoever opens the ledger later sees what the engine saw that lived through the night."""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.memory import Memory
from secondshift.policies.models.curvekeeping import Curvekeeper
from secondshift.records import events as facts
from secondshift.records.curves import PLACES, Curve
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Budget, Objective, Policy
from secondshift.replay import replay
from simulated_nights import Night, study

THAWING = Policy(searcher="model", scheduler="freezethaw")


def batch(steps: list[int], values: list[float], *, trial: str = "t1", metric: str = "loss") -> Batch:
    return Batch(trial=trial, attempt=f"{trial}.a1", metric=metric, steps=array("q", steps), values=array("d", values))


def kept(*batches: Batch, horizon: int = 27) -> Curve:
    keeper = Curvekeeper()
    for one in batches:
        keeper.take(study(horizon_steps=horizon), [one])
    return keeper.curves()["t1"]


def test_steps_count_what_is_done_and_come_in_order_whatever_order_they_were_logged_in() -> None:
    assert kept(batch([2, 0], [0.3, 0.9]), batch([1], [0.5])) == Curve(steps=(1, 2, 3), values=(0.9, 0.5, 0.3))


def test_of_a_step_that_is_repeated_the_newest_value_counts() -> None:
    assert kept(batch([0, 1, 2], [0.9, 0.5, 0.3]), batch([1, 2], [0.6, 0.4])) == Curve(steps=(1, 2, 3), values=(0.9, 0.6, 0.4))


def test_of_a_long_horizon_each_stretch_keeps_its_last_step() -> None:
    steps = list(range(1000))
    whole = kept(batch(steps, [float(s) for s in steps]), horizon=1000)
    assert len(whole.steps) == PLACES
    assert whole.steps == tuple(range(5, 1001, 5)) and whole.values == tuple(float(s) for s in range(4, 1000, 5))
    late = kept(batch([9], [9.0]), batch([7], [7.0]), horizon=1000)  # an older step that comes late
    assert late == Curve(steps=(10,), values=(9.0,))


@pytest.mark.parametrize("seed", range(4))
def test_it_does_not_matter_how_points_are_cut_into_batches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, values = rng.integers(0, 500, 80).tolist(), rng.random(80).tolist()
    cuts = [0, *sorted(rng.integers(0, 80, 5).tolist()), 80]
    parts = [batch(steps[a:b], values[a:b]) for a, b in pairwise(cuts)]
    assert kept(*parts, horizon=500) == kept(batch(steps, values), horizon=500)


def test_other_metrics_are_none_of_it_and_a_new_objective_or_horizon_begins_with_nothing() -> None:
    keeper = Curvekeeper()
    keeper.take(study(), [batch([0], [1.0]), batch([0], [7.0], metric="acc")])
    assert keeper.curves() == {"t1": Curve(steps=(1,), values=(1.0,))}
    keeper.take(None, [batch([1], [1.0])])
    assert keeper.curves()["t1"].steps == (1,)
    keeper.take(study(objective=Objective(metric="acc", goal="max")), [batch([1], [8.0], metric="acc")])
    assert keeper.curves() == {"t1": Curve(steps=(2,), values=(8.0,))}
    keeper.take(study(objective=Objective(metric="acc", goal="max"), horizon_steps=9), [])
    assert keeper.curves() == {}


def test_curves_that_were_handed_out_do_not_change() -> None:
    keeper = Curvekeeper()
    keeper.take(study(), [batch([0], [1.0])])
    before = keeper.curves()
    keeper.take(study(), [batch([1], [0.5])])
    assert before == {"t1": Curve(steps=(1,), values=(1.0,))}
    assert keeper.curves()["t1"].steps == (1, 2)


def logged(trial: str, steps: int) -> facts.MetricsLogged:
    return facts.MetricsLogged(
        attempt=f"{trial}.a1", trial=trial, fragment="f", start=0, end=steps, points=steps, crc=0, metrics={}
    )


def event(payload: facts.Payload) -> facts.Event:
    return facts.Event(seq=1, at=0.0, token=1, kind=facts.KIND_OF[type(payload)], payload=payload)


def test_nobody_reads_the_points_of_the_past_before_a_policy_wants_curves() -> None:
    reads: list[int] = []

    def earlier() -> Iterator[Batch]:
        reads.append(1)
        return iter([batch([0], [1.0])])

    memory = Memory(earlier)
    plain, wanting = State(study=study()), State(study=study(policy=THAWING))
    memory.take(plain.study, [event(logged("t1", 1))], [batch([0], [1.0])])
    assert memory.filled_in(plain).curves == {} and not reads
    assert memory.filled_in(State()).curves == {}
    assert memory.filled_in(wanting).curves == {"t1": Curve(steps=(1,), values=(1.0,))}
    memory.take(wanting.study, [event(logged("t1", 1))], [batch([1], [0.5])])
    assert memory.filled_in(wanting).curves["t1"].steps == (1, 2)
    assert reads == [1]


def test_a_trial_whose_earlier_points_are_caught_up_with_is_not_counted_twice() -> None:
    memory = Memory()
    asked = study(policy=THAWING)
    memory.take(asked, [event(logged("t1", 2))], [batch([0, 1], [1.0, 0.5])])
    memory.catch_up(asked, [event(logged("t1", 1))], [batch([0], [9.0])], "t1")
    assert memory.filled_in(State(study=asked)).curves["t1"] == Curve(steps=(1, 2), values=(1.0, 0.5))


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A freeze-thaw night in a real ledger, in which an engine dies now and then."""
    (tmp_path / "spool/tmp").mkdir(parents=True)
    made = Night(tmp_path, study(budget=Budget(trials=8), policy=THAWING), ledger=open_ledger(tmp_path))
    for _ in range(3):
        made.run(ticks=25)
        made.take_over(fold(State(), made.ledger.read()))
    made.run()
    yield made
    made.ledger.close()


def test_a_night_of_freeze_thaw_replays_and_every_engine_sees_the_same_curves(night: Night) -> None:
    state = night.engine.state
    assert state.shift is None and len(state.trials) == 8
    report = replay(night.ledger)
    assert report.holds, report
    assert report.ticks > 10
    asked = replace(state, study=study(policy=THAWING))
    lived = night.engine.keeper.filled_in(asked).curves
    opened = Memory(night.ledger.batches).filled_in(asked).curves
    whole = Memory()
    whole.take(state.study, [], list(night.ledger.batches()))
    assert lived == opened == whole.filled_in(asked).curves
    assert set(lived) == set(state.trials)
    for name, curve in lived.items():
        assert curve.steps[-1] == state.trials[name].logged_step + 1
        assert curve.values[-1] == state.trials[name].metrics["loss"].last
    memos, orders = night.payloads(facts.MemoRemembered), night.payloads(facts.DecisionMade)
    fitted = [one.fit for one in memos if '"settings"' in one.memo]
    assert fitted and set(fitted) <= {one.decision.id for one in orders if one.decision.verb == "fit"}

"""Whole simulated nights in which somebody needs the devices: trials leave, come back, and nothing is lost."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from secondshift.records import events as facts
from secondshift.records.studies import Policy
from secondshift.replay import replay
from secondshift.runtime.executors.simulated import SimulatedExecutor
from simulated_nights import EVENING, Night, curve, study


class Needed(SimulatedExecutor):
    """Devices that others need between two moments of the night (seconds since it began)."""

    needs: Mapping[str, tuple[float, float]] = {}  # replaced, never changed

    def _now(self) -> list[str]:
        return [name for name, (a, b) in self.needs.items() if a <= self.clock.wall() - EVENING < b]

    def devices(self) -> tuple[str, ...]:
        now = self._now()
        return () if "host" in now else tuple(name for name in super().devices() if name not in now)

    def troubles(self) -> Mapping[str, str]:
        return {f"yield:{name}": f"{name} is needed" for name in self._now()}


@pytest.fixture(autouse=True)
def private(tmp_path):
    for name in ("spool/tmp", "attempts", "trials"):
        (tmp_path / name).mkdir(parents=True)


def night_with(tmp_path, question, **needs) -> Night:
    night = Night(tmp_path, question)
    night.executor = night.engine.executor = Needed(tmp_path, curves=curve, clock=night.host, slots=3)
    night.executor.needs = needs
    return night


@pytest.mark.parametrize("scheduler", ["halving", "fifo"])
def test_the_whole_machine_is_given_back_and_the_night_goes_on_afterwards(tmp_path, scheduler) -> None:
    question = study(policy=Policy(searcher="random", scheduler=scheduler))
    night = night_with(tmp_path, question, host=(10.0, 3600.0))
    state = night.run()
    assert len(state.trials) == 12 and state.statuses["complete"] >= 1 and not state.statuses.get("failed")
    started = [e.at - EVENING for e in night.ledger.read() if isinstance(e.payload, facts.AttemptOrdered)]
    assert not [at for at in started if 12.0 < at < 3600.0] and max(started) > 3600.0
    [incident] = [p.incident for p in night.payloads(facts.IncidentOpened)]
    assert incident.subject == "yield:host" and len(night.payloads(facts.IncidentClosed)) == 1
    assert not [t for t in state.trials.values() if t.interruptions], "to make way is no interruption"
    assert replay(night.ledger).holds


def test_only_the_trial_on_the_device_that_is_needed_leaves_and_another_device_takes_it(tmp_path) -> None:
    question = study(policy=Policy(searcher="random", scheduler="fifo"))
    night = night_with(tmp_path, question, **{"sim-1": (8.0, 10_000.0)})
    state = night.run()
    asked = {p.attempt for p in night.payloads(facts.AttemptAsked)}
    devices = {p.attempt: p.devices for p in night.payloads(facts.AttemptOrdered)}
    assert [devices[attempt] for attempt in asked] == [("sim-1",)]
    assert state.statuses["complete"] == 12


def test_without_the_authority_to_pause_a_stranger_moves_nobody(tmp_path) -> None:
    night = night_with(tmp_path, replace(study(), may=("retry_infrastructure",)), **{"sim-1": (2.0, 10_000.0)})
    night.run()
    assert not [p for p in night.payloads(facts.DecisionMade) if p.decision.by == "yielding"]

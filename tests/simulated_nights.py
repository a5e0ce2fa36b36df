"""Whole nights in milliseconds: the real engine, a real ledger, the simulated executor, and a clock that fast-forwards."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secondshift.engine import Engine
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.executors.simulated import SimulatedExecutor
from secondshift.runtime.shiftclock import ShiftClock

EVENING = 1_800_000_000.0  # UTC seconds
SPACE = Space(parameters=(Parameter(name="lr", kind="float", low=1e-4, high=1.0, log=True, default=0.01),))


def curve(order: Order) -> dict[str, np.ndarray]:
    """A loss that falls towards a floor set by how far lr is from 0.03."""
    lr = float(order.params.get("lr", 0.01))
    floor = 0.1 + 0.1 * abs(math.log10(lr / 0.03))
    steps = np.arange(order.horizon_steps)
    return {"loss": floor + np.exp(-(steps + 1) / 8.0), "acc": 1.0 - floor - np.exp(-(steps + 1) / 8.0)}


def study(**changes) -> Study:
    """A study of 27 steps with a search space of one parameter."""
    base = Study(
        name="night", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=27,
        space=SPACE, budget=Budget(trials=12), policy=Policy(searcher="random", scheduler="halving"), launch=Launch(slots=3),
    )  # fmt: skip
    return replace(base, **changes)


class Night:
    """An engine with everything around it, and its clock."""

    def __init__(
        self, folder: Path, question: Study, *, ledger: Ledger | None = None, mishaps=None, slots: int = 3
    ) -> None:
        self.folder = folder
        self.host = SimulatedClock(EVENING)
        self.ledger = ledger or MemoryLedger()
        self.executor = SimulatedExecutor(folder, curves=curve, clock=self.host, slots=slots, mishaps=mishaps)
        self.engine = self.take_over()
        self.engine.record([facts.StudyOpened(study=question)])

    def take_over(self, state: State | None = None) -> Engine:
        """A new engine on the same ledger, as after a crash of the one before."""
        lease = self.ledger.take_lease(Holder(host="here", pid=1), how_dead=lambda lease: True)
        self.engine = Engine(
            ledger=self.ledger, state=replace(state or State(), token=lease.token), executor=self.executor,
            clock=ShiftClock(self.host, "boot-1"), hands=Hands(folder=self.folder, place=self.folder),
        )  # fmt: skip
        self.engine.record([facts.LeaseTaken(token=lease.token, holder="here:1", how=lease.how)])
        return self.engine

    def run(self, hours: float = 8.0, ticks: int = 20_000) -> State:
        """Work the shift to its end, or for so many ticks."""
        self.engine.begin(EVENING + hours * 3600)
        for _ in range(ticks):
            if self.engine.state.shift is None:
                break
            if not self.engine.tick():
                self.host.sleep(0.5)
        return self.engine.state

    def payloads(self, kind: type) -> list:
        """All recorded facts of one kind."""
        return [event.payload for event in self.ledger.read() if isinstance(event.payload, kind)]


def acknowledging(night: Night) -> Night:
    """Let every script of a night say that it does what it is asked, as a cooperating one would."""
    record = night.engine.record

    def both(payloads, batches=()) -> None:
        record(payloads, batches)
        record([
            facts.DirectiveApplied(trial=fact.trial, attempt=fact.attempt, directive=name, step=0)
            for fact in payloads if isinstance(fact, facts.AttemptOrdered)
            for name, asked in (("skip", fact.directives.skip), ("lr_scale", fact.directives.lr_scale != 1.0)) if asked
        ])  # fmt: skip

    night.engine.record = both
    return night


def falling(seed: int, steps: int) -> np.ndarray:
    """A loss that falls with noise."""
    noise = np.random.default_rng(seed).normal(size=steps)
    return 0.5 + 2.0 * np.exp(-np.arange(steps) / 300) + 0.03 * noise


def until(night: Night, so: Callable[[], object], ticks: int = 40_000) -> Night:
    """Let a night go on until something is so. Raises AssertionError where it never is."""
    for _ in range(ticks):
        if so():
            return night
        if not night.engine.tick():
            night.host.sleep(0.5)
    raise AssertionError("it never came to be")


def raised(order: Order, *, steps: int, onset: int, trials: tuple[str, ...] = ("t1",), skipped: bool) -> dict[str, np.ndarray]:
    """A loss that steps up at `onset` in some trials; with `skipped`, not where the script skips the steps from there."""
    loss = falling(int(order.trial[1:]), steps)
    if order.trial in trials and not (skipped and order.directives.skip):
        loss[onset:] += 0.8
    return {"loss": loss}


def on_curve(
    folder: Path, monkeypatch: pytest.MonkeyPatch, curve: Callable[[Order], dict[str, np.ndarray]], *, steps: int,
    may: tuple[str, ...],
) -> Night:
    """A night of two trials on a curve, under a captain with this authority, whose script does what it is asked."""
    monkeypatch.setattr(f"{__name__}.curve", curve)
    (folder / "spool/tmp").mkdir(parents=True)
    question = study(
        horizon_steps=steps, budget=Budget(trials=2), policy=Policy(searcher="random", scheduler="fifo"), may=may,
        launch=Launch(slots=2, checkpoint_every_s=20),
    )  # fmt: skip
    return acknowledging(Night(folder, question, slots=2))

"""Our three executors do what every executor must do."""

from pathlib import Path

import numpy as np

from secondshift.records.orders import Order
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors.inline import InlineExecutor
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.executors.simulated import Mishap, SimulatedExecutor
from secondshift.testing.executor_conformance import HORIZON, Ending, ExecutorConformance


class TestInlineExecutor(ExecutorConformance):
    in_foreground = True

    def make(self, folder: Path) -> InlineExecutor:
        return InlineExecutor(folder)


class TestLocalExecutor(ExecutorConformance):
    def make(self, folder: Path) -> LocalExecutor:
        return LocalExecutor(folder, pool=DevicePool(["cpu-0", "cpu-1"]))

    def impatient(self, folder: Path) -> LocalExecutor:
        return LocalExecutor(folder, pool=DevicePool(["cpu-0"]), claim_timeout_s=0.1)


class TestSimulatedExecutor(ExecutorConformance):
    def make(self, folder: Path) -> SimulatedExecutor:
        self.clock = SimulatedClock(1000.0)
        mishaps = {
            "fail": [Mishap(kind="fail", at_step=HORIZON - 1)],
            "crash": [Mishap(kind="crash", at_step=HORIZON - 1)],
        }
        curves = {"only": {"loss": 1.0 / (1.0 + np.arange(100_000))}}
        return SimulatedExecutor(folder, curves=curves, clock=self.clock, seconds_per_step=0.02, mishaps=mishaps)

    def pass_time(self) -> None:
        self.clock.sleep(0.01)

    def order(self, folder: Path, *, trial: str = "t1", ending: Ending = "complete", number: int = 1) -> Order:
        trial = ending if ending in ("fail", "crash") else trial
        return super().order(folder, trial=trial, ending=ending, number=number)

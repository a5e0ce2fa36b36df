"""A simulated night: the real engine and a real ledger, with recorded curves in place of training, on a clock of its own."""

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np

from secondshift.engine import Engine
from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.executors.simulated import Mishap, SimulatedExecutor
from secondshift.runtime.shiftclock import ShiftClock

EVENING = 1_800_000_000.0  # UTC seconds
HOURS, SLOTS, STEPS, STEP_S = 10.0, 8, 81, 9.0
KINDS = ("fail", "crash", "lost", "nan", "hang")
SPACE = Space(
    parameters=(
        Parameter(name="lr", kind="float", low=1e-5, high=1e-1, log=True, default=1e-3),
        Parameter(name="width", kind="categorical", choices=(64, 128, 256, 512), default=128),
        Parameter(name="layers", kind="int", low=1, high=8, default=2),
        Parameter(name="dropout", kind="float", low=0.0, high=0.5, default=0.0),
        Parameter(name="optimiser", kind="categorical", choices=("adamw", "sgd", "lion"), default="adamw"),
    )
)


def curve(order: Order) -> dict[str, np.ndarray]:
    """A loss that falls towards a floor set by the parameters, with noise of the trial's own."""
    given = {p.name: order.params.get(p.name, p.default) for p in SPACE.parameters}
    floor = 1.2 + 0.25 * abs(math.log10(float(str(given["lr"])) / 2e-3)) ** 1.5 - 0.05 * math.log2(int(str(given["width"])) / 64)
    floor += 0.02 * (int(str(given["layers"])) - 5) ** 2 + 0.3 * float(str(given["dropout"])) ** 2
    floor += {"adamw": 0.0, "sgd": 0.12, "lion": 0.03}[str(given["optimiser"])]
    chance = np.random.default_rng([order.seed, len(order.params), int(floor * 1e6)])
    steps = np.arange(order.horizon_steps)
    values = floor + 2.6 * np.exp(-(steps + 1) / 14.0) + 0.02 * chance.standard_normal(len(steps))
    return {"val_loss": values, "train_loss": values - 0.1}


def mishaps(trials: int, share: float, seed: int) -> dict[str, tuple[Mishap, ...]]:
    """What goes wrong in some of the trials."""
    chance = random.Random(seed)
    hit = [f"t{n}" for n in range(1, trials + 1) if chance.random() < share]
    return {t: (Mishap(kind=chance.choice(KINDS), at_step=chance.randrange(1, STEPS // 3)),) for t in hit}  # type: ignore[arg-type]  # one of KINDS


def play(
    folder: Path, trials: int, *, share: float = 0.02, deaths: int = 0, seed: int = 0,
    evening: float = EVENING, hours: float = HOURS,
) -> tuple[Ledger, State]:  # fmt: skip
    """Work a simulated night in `folder`, the study's private one; `share` of the trials meets a mishap.

    deaths: how often another engine has to take over. evening: when it begins, UTC seconds. hours: how much of it is played;
    a night that is not over by then is left as it stands. The ledger is left open.
    """
    for name in ("spool/tmp", "attempts", "trials", "briefs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    study = Study(
        name=f"simulated night of {trials} trials", command="python train.py", folder=".",
        objective=Objective(metric="val_loss", min_effect=0.01), horizon_steps=STEPS, space=SPACE,
        budget=Budget(trials=trials, device_s=SLOTS * HOURS * 3600.0), policy=Policy(searcher="random", max_failure_rate=0.9),
        launch=Launch(slots=SLOTS, quiet_s=600.0),
    )  # fmt: skip
    host, ledger = SimulatedClock(evening), open_ledger(folder)
    executor = SimulatedExecutor(
        folder, curves=curve, clock=host, slots=SLOTS, seconds_per_step=STEP_S, mishaps=mishaps(trials, share, seed)
    )

    def engine(state: State) -> Engine:
        lease = ledger.take_lease(Holder(host="simulated", pid=1), how_dead=lambda lease: True)
        made = Engine(
            ledger=ledger, state=replace(state, token=lease.token), executor=executor,
            clock=ShiftClock(host, "boot-1"), hands=Hands(folder=folder, place=folder),
        )  # fmt: skip
        made.record([facts.LeaseTaken(token=lease.token, holder="simulated:1", how=lease.how)])
        return made

    working = engine(State())
    working.record([facts.StudyOpened(study=study)])
    working.begin(evening + HOURS * 3600)
    dies = sorted(random.Random(seed + 1).uniform(0.05, 0.4) * HOURS * 3600 for _ in range(deaths))
    stop = math.inf if hours >= HOURS else evening + hours * 3600
    while working.state.shift is not None and host.wall() < stop:
        if dies and host.wall() - evening > dies[0]:
            dies.pop(0)
            working = engine(working.state)
        if not working.tick():
            host.sleep(5.0)
    return ledger, working.state

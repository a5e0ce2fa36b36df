"""What a tick of the engine costs with a thousand trials running, and starting a local trial beyond starting a process."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from overhead import peers
from overhead.rows import Plan, Row, percentile, spread
from overhead.studies import HORIZON, study, take_lease
from overhead.study_rows import Past
from secondshift.engine import Engine
from secondshift.ledger.snapshots import load_state
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.records import events as facts
from secondshift.records.orders import Order
from secondshift.records.trials import Attempt
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.executors.simulated import SimulatedExecutor
from secondshift.runtime.shiftclock import ShiftClock

RUNNING = 1000  # trials
COMMAND = ("/bin/true",)


def tick_row(plan: Plan, past: Past) -> Row:
    """One tick, wall clock, with 1,000 running and 10,000 past trials, the ledger on disk; at three rates of logging."""
    folder, count = past.copy(plan.place / "tick"), plan.count(40, 150)
    with closing(SqliteLedger(folder)) as ledger:
        night = _Night.begun(folder, ledger)
        plan.say(f"tick: {RUNNING:,} trials run")
        typical = [night.tick_ms(tick_s=0.1) for _ in range(count)]
        quiet = [night.tick_ms(tick_s=0.0) for _ in range(count // 2)]
        busy = [night.tick_ms(tick_s=1.0) for _ in range(count // 2)]
        if len(night.engine.state.attempts) < RUNNING * 0.9:
            raise RuntimeError(f"only {len(night.engine.state.attempts)} trials ran; nothing was measured")
    noise = spread(typical)
    return Row(
        name="tick with 1,000 running and 10,000 past trials", unit="ms", limit=50, ours=noise.median, spread=noise,
        peers={"Ray Tune": peers.cited(30_000.0, "tens of seconds between steps at 4,000 trials")},
        also={
            "p95": percentile(typical, 95),
            "nobody logged, median": statistics.median(quiet),
            "all 1,000 logged since the last tick, median": statistics.median(busy),
        },
        how=f"median of {count} ticks of 0.1 s; each trial logs a step a second, one ends about each second",
    )  # fmt: skip


@dataclass(kw_only=True)
class _Night:
    """An engine with a thousand simulated trials under way."""

    engine: Engine
    clock: SimulatedClock

    @classmethod
    def begun(cls, folder: Path, ledger: SqliteLedger) -> "_Night":
        """Fill all slots, with starts spread over a horizon's time so that trials do not log and end all at once."""
        clock = SimulatedClock(2e9)
        steps = np.arange(HORIZON)
        executor = SimulatedExecutor(
            folder, curves=lambda order: {"val_loss": 1.0 / (steps + 1 + order.seed)}, clock=clock, slots=RUNNING
        )
        state = replace(load_state(ledger, folder / "cache" / "state.bin"), token=take_lease(ledger))
        hands = Hands(folder=folder, place=folder)
        engine = Engine(ledger=ledger, state=state, executor=executor, clock=ShiftClock(clock, "boot"), hands=hands)
        opened = study(slots=RUNNING, scheduler="fifo")
        engine.record(
            [facts.LeaseTaken(token=state.token, holder="here:1", how="released"), facts.StudyAmended(study=opened)]
        )
        engine.begin(None)
        night = cls(engine=engine, clock=clock)
        for wave in range(20):
            _allow(engine, (wave + 1) * RUNNING // 20)
            night.tick_ms(tick_s=0.05)
            while len(engine.state.attempts) < (wave + 1) * RUNNING // 20:
                night.tick_ms(tick_s=0.0)
        return night

    def tick_ms(self, *, tick_s: float) -> float:
        """Let time pass, tick once, and return what the tick took."""
        self.clock.sleep(tick_s)
        began = time.perf_counter()
        self.engine.tick()
        return (time.perf_counter() - began) * 1000


def _allow(engine: Engine, slots: int) -> None:
    """Let so many trials run at once from now on."""
    shift = engine.state.shift
    if shift is not None:
        engine.state = replace(engine.state, shift=replace(shift, slots=slots))


def start_row(plan: Plan) -> Row:
    """`/bin/true` through the local executor, from submit to its end being seen, minus the same command by subprocess.run."""
    count = plan.count(15, 51)
    folder = plan.place / "local"
    folder.mkdir()
    through, bare, beyond = [], [], []
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("print('trivial')\n")  # what the snapshot of the code finds
    with _local(folder / "study") as executor:
        _started(executor, folder, 0)
        for number in range(1, count + 1):
            began = time.perf_counter()
            subprocess.run(COMMAND, check=True, timeout=30)
            bare.append((time.perf_counter() - began) * 1000)
            through.append(_started(executor, folder, number))
            beyond.append(through[-1] - bare[-1])
    noise = spread(beyond)
    return Row(
        name="start of a trivial local trial beyond a subprocess", unit="ms", limit=50, ours=noise.median, spread=noise,
        peers={"Ray Tune, CPU": peers.cited(171.0), "Ray Tune, wall": peers.cited(2300.0)},
        also={"through the executor": spread(through).median, "bare subprocess.run": spread(bare).median},
        how=f"median of {count} differences, taking turns; submit to the end seen by poll, asked each millisecond",
    )  # fmt: skip


@contextmanager
def _local(folder: Path) -> Iterator[LocalExecutor]:
    """An executor with devices of its own, so that nothing else on this host is in its way."""
    folder.mkdir()
    executor = LocalExecutor(folder, pool=DevicePool(("bench-0",), folder=folder / "devices"))
    try:
        yield executor
    finally:
        executor.close()


def _started(executor: LocalExecutor, folder: Path, number: int) -> float:
    """Run one trial; return milliseconds from submit to its end."""
    name = f"t{number}.a1"
    attempt = Attempt(id=name, trial=f"t{number}", number=1, devices=("bench-0",))
    order = Order(
        attempt=name, trial=f"t{number}", number=1, token=1, command=COMMAND, cwd=str(folder / "code"),
        folder=str(executor.folder / "attempts" / name),
        checkpoints=str(executor.folder / "trials" / f"t{number}" / "checkpoints"), devices=("bench-0",),
    )  # fmt: skip
    began = time.perf_counter()
    executor.submit(order)
    while time.perf_counter() - began < 30:
        ended = [sign for sign in executor.poll([attempt]) if sign.kind == "ended"]
        if ended:
            if ended[0].exit is None or ended[0].exit.code != 0:
                raise RuntimeError(f"{name} ended with {ended[0].exit}; expected exit code 0. Nothing was measured.")
            spent = (time.perf_counter() - began) * 1000
            _wait_free(executor)
            return spent
        time.sleep(0.001)
    raise RuntimeError(f"{name} did not end within 30 s; see {order.folder}")


def _wait_free(executor: LocalExecutor) -> None:
    """The device is free once the supervisor has gone, a moment after it recorded the end."""
    deadline = time.monotonic() + 10
    while not executor.devices() and time.monotonic() < deadline:
        time.sleep(0.001)

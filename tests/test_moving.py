"""A real training on a device that became slow goes on on another one: real processes, pretended devices, SIMULATED step times."""

import sys
import time
from pathlib import Path

import pytest

import secondshift
from secondshift.engine import Engine
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Policy, Study
from secondshift.replay import replay
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import HostClock
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.shiftclock import ShiftClock

STEPS, SLOW_FROM = 1000, 150
LIMIT_S = 60.0
SCRIPT = f"""
import json, os, random, time
from pathlib import Path
import secondshift

run = secondshift.init(horizon={STEPS})
device = json.loads(Path(os.environ["SECONDSHIFT_ATTEMPT"], "order.json").read_text())["devices"][0]
restored = run.restore()
start = restored.step if restored else 0
noise = random.Random(start)
for step in range(start, run.horizon):
    slow = device == "GPU-a" and step >= {SLOW_FROM}
    took = (1.0 if slow else 0.1) * noise.uniform(0.97, 1.03)
    run.log(step, loss=1.0 + 2.0 / (step + 1) + noise.gauss(0.0, 0.01), step_time=took)
    if run.checkpoint_due(step):
        with run.checkpoint(step + 1) as folder:
            (folder / "state").write_text(str(step))
        if run.stopping:
            break
    time.sleep(0.003)
run.close()
"""


@pytest.mark.timeout(120)
def test_a_real_training_leaves_a_slow_device_and_goes_on_from_where_it_saved(tmp_path: Path, monkeypatch) -> None:
    for name in ("spool/tmp", "attempts", "trials"):
        (tmp_path / ".secondshift" / name).mkdir(parents=True)
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(Path(secondshift.__file__).parents[1]))
    study = Study(
        name="moving", command=f"{sys.executable} train.py", folder=str(tmp_path), objective=Objective(metric="loss"),
        horizon_steps=STEPS, budget=Budget(trials=1), policy=Policy(searcher="random", scheduler="fifo"), may=("requeue",),
        launch=Launch(slots=2, checkpoint_every_s=0.5),
    )  # fmt: skip
    private, ledger, clock = tmp_path / ".secondshift", MemoryLedger(), HostClock()
    executor = LocalExecutor(private, pool=DevicePool(["GPU-a", "GPU-b"], folder=tmp_path / "locks"), fingerprint=lambda _: {})
    lease = ledger.take_lease(Holder(host="here", pid=1), how_dead=lambda lease: True)
    engine = Engine(
        ledger=ledger, state=State(token=lease.token), executor=executor, clock=ShiftClock(clock, "boot-1"),
        hands=Hands(folder=private, place=tmp_path),
    )  # fmt: skip
    engine.record([facts.LeaseTaken(token=lease.token, holder="here:1", how=lease.how), facts.StudyOpened(study=study)])
    engine.begin(None)
    until = time.monotonic() + LIMIT_S
    while engine.state.shift is not None and time.monotonic() < until:
        engine.tick()
        time.sleep(0.02)
    told = [event.payload for event in ledger.read()]
    orders = [fact for fact in told if isinstance(fact, facts.AttemptOrdered)]
    assert [order.devices for order in orders] == [("GPU-a",), ("GPU-b",)]
    [left] = [fact for fact in told if isinstance(fact, facts.AttemptAsked)]
    assert left.mode == "pause" and not left.now and orders[1].from_step > SLOW_FROM
    acts = [fact.incident.acts[-1] for fact in told if isinstance(fact, facts.IncidentAmended)]
    assert acts[-1].outcome == "worked" and "where it was slow" in acts[-1].seen
    trial = engine.state.trials["t1"]
    assert trial.status == "complete" and trial.metrics["loss"].points == STEPS, "no step was trained twice, none was lost"
    assert replay(ledger).holds

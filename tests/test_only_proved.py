"""Whole nights of scripts that save: what was not proved is not used, whatever happens to the night."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from secondshift import config, shifts
from secondshift.interfaces.brief.write import write_brief
from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.orders import Order
from secondshift.records.proofs import Finding, Proof
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Policy, Study
from secondshift.replay import replay
from secondshift.runtime.executors.simulated import Mishap
from secondshift.runtime.prooffiles import write_proof
from simulated_nights import Night, study

PROVED = study(offered="cooperative", proof="proved", launch=Launch(slots=3, checkpoint_every_s=0.1))
UNPROVED = replace(PROVED, tier="opaque", proof="missing")
ONE = {"budget": Budget(trials=1), "policy": Policy(searcher="random", scheduler="fifo")}
LOST = {"t1": [Mishap(kind="lost", at_step=13)]}


def ordered(night: Night) -> list[facts.AttemptOrdered]:
    return night.payloads(facts.AttemptOrdered)


def submitted(night: Night) -> list[Order]:
    """What the executor is given from now on."""
    orders: list[Order] = []
    give = night.executor.submit

    def submit(order: Order) -> None:
        orders.append(order)
        give(order)

    night.executor.submit = submit  # type: ignore[method-assign]  # looked at, and passed on
    return orders


def amend(night: Night, question: Study, when: Callable[[State], bool]) -> None:
    """Have the study file say something else, once `when` holds."""
    done: list[bool] = []

    def reload(state: State) -> list[facts.Payload]:
        if done or not when(state):
            return []
        done.append(True)
        return [facts.StudyAmended(study=question, changed=("tier", "proof"))]

    night.engine.reload = reload


def test_an_unproved_script_that_breaks_off_begins_again_at_its_first_step(tmp_path: Path) -> None:
    night = Night(tmp_path, replace(UNPROVED, **ONE), mishaps=LOST)
    orders = submitted(night)
    state = night.run()
    trial = state.trials["t1"]
    assert [(o.from_step, o.alone) for o in ordered(night)] == [(0, True), (0, True)]
    assert len({order.checkpoints for order in orders}) == 2 and {order.until_step for order in orders} == {27}
    assert all(order.checkpoints == f"{order.folder}/checkpoints" for order in orders)
    assert not night.payloads(facts.CheckpointSaved) and not state.checkpoints.get("t1")
    assert (trial.status, trial.metrics["loss"].points) == ("complete", 27)
    assert night.ledger.series("t1", "loss").steps.tolist() == list(range(27))
    assert replay(night.ledger).holds


def test_a_proved_script_goes_on_where_it_was(tmp_path: Path) -> None:
    night = Night(tmp_path, replace(PROVED, **ONE), mishaps=LOST)
    state = night.run()
    first, second = ordered(night)
    assert (first.from_step, first.alone, second.alone) == (0, False, False) and second.from_step >= 12
    assert state.trials["t1"].status == "complete" and night.ledger.series("t1", "loss").steps.tolist() == list(range(27))


def test_halving_stops_what_it_may_not_pause(tmp_path: Path) -> None:
    night = Night(tmp_path, UNPROVED)
    state = night.run()
    assert state.statuses["complete"] >= 1 and state.statuses["stopped"] >= 1 and not state.statuses.get("paused", 0)
    assert {fact.mode for fact in night.payloads(facts.AttemptAsked)} == {"stop"}
    assert all(order.number == 1 for order in ordered(night)) and replay(night.ledger).holds


def test_the_end_of_a_shift_interrupts_an_unproved_trial_and_the_next_begins_it_again(tmp_path: Path) -> None:
    night = Night(tmp_path, replace(UNPROVED, **ONE))
    state = night.run(hours=3 / 3600)
    trial = state.trials["t1"]
    assert trial.status == "paused" and trial.steps_done == 0 and trial.logged_step > 0
    assert "starts again from its first step" in trial.reason
    night.engine.begin(None)
    for _ in range(2000):
        if night.engine.state.shift and not night.engine.tick():
            night.host.sleep(0.5)
    assert [o.from_step for o in ordered(night)] == [0, 0]
    trial = night.engine.state.trials["t1"]
    assert trial.status == "complete" and trial.metrics["loss"].points == 27
    reasons = [d.decision.reason for d in night.payloads(facts.DecisionMade) if d.decision.verb == "start"]
    assert "from its first step" in reasons[1] and "goes on" not in reasons[1]


def test_a_proof_that_appears_counts_from_the_next_attempt_on(tmp_path: Path) -> None:
    mishaps = {"t1": [Mishap(kind="lost", at_step=13), Mishap(kind="lost", at_step=20, attempt=2)]}
    night = Night(tmp_path, replace(UNPROVED, **ONE), mishaps=mishaps)
    amend(night, replace(PROVED, **ONE), lambda state: any(t.logged_step > 4 for t in state.trials.values()))
    state = night.run()
    one, two, three = ordered(night)
    assert [one.alone, two.alone, three.alone] == [True, False, False]
    assert (one.from_step, two.from_step) == (0, 0), "what the first one saved was promised to nobody"
    assert three.from_step >= 19
    assert {fact.checkpoint.attempt for fact in night.payloads(facts.CheckpointSaved)} == {"t1.a2", "t1.a3"}
    assert state.trials["t1"].status == "complete" and replay(night.ledger).holds


def test_a_proof_that_goes_stale_counts_from_the_next_attempt_on(tmp_path: Path) -> None:
    night = Night(tmp_path, replace(PROVED, **ONE), mishaps=LOST)
    amend(night, replace(UNPROVED, proof="stale", **ONE), lambda state: bool(state.checkpoints.get("t1")))
    old = tmp_path / "trials" / "t1" / "checkpoints" / "step-9"
    old.mkdir(parents=True)
    state = night.run()
    one, two = ordered(night)
    assert [(one.alone, one.from_step), (two.alone, two.from_step)] == [(False, 0), (True, 0)]
    assert night.payloads(facts.CheckpointPruned) and not old.exists(), "nothing of before is left to be restored"
    trial = state.trials["t1"]
    assert (trial.status, trial.metrics["loss"].points) == ("complete", 27) and not state.checkpoints.get("t1")
    assert replay(night.ledger).holds


def test_a_trial_paused_at_a_rung_is_promoted_from_its_first_step_once_the_proof_is_gone(tmp_path: Path) -> None:
    night = Night(tmp_path, replace(PROVED, seed=1))
    amend(night, replace(UNPROVED, proof="stale", seed=1), lambda state: state.statuses.get("paused", 0) >= 1)
    state = night.run()
    again = [order for order in ordered(night) if order.number > 1 and order.alone]
    assert again and all(order.from_step == 0 for order in again)
    assert state.statuses["complete"] >= 1
    for trial in state.trials.values():
        if trial.status == "complete" and trial.id in {order.trial for order in again}:
            assert night.ledger.series(trial.id, "loss").steps.tolist() == list(range(27))
    assert replay(night.ledger).holds


def test_studies_recorded_before_proofs_go_on_as_they_were(tmp_path: Path) -> None:
    night = Night(tmp_path, study(tier="opaque", **ONE), mishaps=LOST)
    night.run()
    assert not any(order.alone for order in ordered(night))


SCRIPT = """\
import time
import secondshift

run = secondshift.init()
run.params(lr=0.1)
start = 0
if kept := run.restore():
    start = int((kept.path / "at").read_text())
for step in range(start, run.horizon):
    run.log(step, loss=1.0 / (step + 1))
    time.sleep(0.03)
    if step % 5 == 4 or run.checkpoint_due(step):
        with run.checkpoint(step + 1) as folder:
            (folder / "at").write_text(str(step + 1))
    if run.stopping:
        break
run.close()
"""
STUDY = """\
command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 40
[search]
lr = [0.1, 0.2]
[resume]
trust = {trust}
[policy]
searcher = "grid"
scheduler = "fifo"
[launch]
slots = 1
grace_s = 5
[budget]
trials = 1
wall_hours = 0.01
"""


@dataclass
class Worked:
    state: State
    ledger: Ledger
    folder: Path

    def of(self, kind: type) -> list:
        return [event.payload for event in self.ledger.read() if isinstance(event.payload, kind)]

    def brief(self) -> str:
        return (self.folder / "briefs" / "s1.md").read_text("utf-8")


def struck(folder: Path) -> threading.Thread:
    """Kill the script of the first attempt once it has saved ten steps."""

    def work() -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for root in ("attempts/t1.a1", "trials/t1"):
                if (folder / root / "checkpoints" / "step-10").is_dir():
                    pid = json.loads((folder / "attempts/t1.a1/child.json").read_text())["pid"]
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Callable[..., Worked]]:
    """Work a whole shift with real processes, the first of which is killed, and read what it recorded."""
    opened: list[Ledger] = []
    file = tmp_path / "secondshift.toml"

    def run(*, trust: bool = False, proof: Proof | None = None, edited: bool = False) -> Worked:
        (tmp_path / "train.py").write_text(SCRIPT)
        file.write_text(STUDY.format(trust=str(trust).lower()))
        if proof is not None:
            write_proof(file, config.load_study(file), proof)
        if edited:
            (tmp_path / "train.py").write_text(SCRIPT.replace("1.0 /", "2.0 /"))
        thread = struck(tmp_path / ".secondshift")
        shifts.work(file, write_brief=write_brief)
        thread.join(timeout=5)
        ledger = open_ledger(tmp_path / ".secondshift")
        opened.append(ledger)
        return Worked(fold(State(), ledger.read()), ledger, tmp_path / ".secondshift")

    yield run
    for ledger in opened:
        ledger.close()


SAID = {
    "missing": ("nobody proved it", "`secondshift doctor` proves it"),
    "stale": ("was changed after it was tried", "`secondshift doctor` tries it anew"),
    "failed": ("the doctor could not prove it", "as if the optimiser had not been loaded"),
}
GOOD = Proof(named="cooperative", tier="cooperative")
FORGETS = Finding(code="resume_forgets_optimiser", level="fault", breaks="resume")


def whole(night: Worked) -> None:
    trial = night.state.trials["t1"]
    assert trial.status == "complete" and trial.attempts == 2
    assert night.ledger.series("t1", "loss").steps.tolist() == list(range(40))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "missing"),
        ({"proof": GOOD, "edited": True}, "stale"),
        ({"proof": Proof(named="cooperative", tier="opaque", findings=(FORGETS,))}, "failed"),
    ],
)
def test_a_real_script_without_a_proof_is_begun_again_and_leaves_no_checkpoints(
    work: Callable[..., Worked], given: dict, said: str
) -> None:
    night = work(**given)
    whole(night)
    assert night.state.study and (night.state.study.tier, night.state.study.proof) == ("opaque", said)
    assert [order.from_step for order in night.of(facts.AttemptOrdered)] == [0, 0]
    assert not night.of(facts.CheckpointSaved) and night.state.trials["t1"].metrics["loss"].points == 40
    assert not list(night.folder.glob("attempts/*/checkpoints")) and not list(night.folder.glob("trials/*/checkpoints/*"))
    assert all(words in night.brief() for words in SAID[said])
    assert "began the same trial again at the first step (t1.a2)" in night.brief()
    korean = (night.folder / "briefs" / "s1.ko.md").read_text("utf-8")
    assert "스크립트" in korean and "`secondshift doctor`" in korean
    assert replay(night.ledger).holds


@pytest.mark.parametrize(("given", "said"), [({"proof": GOOD}, "proved"), ({"trust": True}, "trusted")])
def test_a_real_script_that_was_proved_or_is_trusted_goes_on(
    work: Callable[..., Worked], given: dict, said: str
) -> None:
    night = work(**given)
    whole(night)
    assert night.state.study and (night.state.study.tier, night.state.study.proof) == ("cooperative", said)
    first, second = night.of(facts.AttemptOrdered)
    assert first.from_step == 0 and second.from_step >= 5
    assert night.of(facts.CheckpointSaved) and replay(night.ledger).holds
    assert ("nobody proved it" in night.brief()) is (said == "trusted")
    assert "carried on the same trial (t1.a2)" in night.brief()

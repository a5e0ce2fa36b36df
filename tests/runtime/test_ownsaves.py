"""Scripts that keep their own checkpoints: real nights in which they are paused, killed, and some of them lie."""

import json
import os
import signal
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from secondshift import shifts
from secondshift.interfaces.readmodel.reasons import story, trial_events
from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.orders import Batch, Chunk
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import OWN, Attempt, Checkpoint, Trial
from secondshift.replay import replay
from secondshift.runtime.ownsaves import NOTHING_SAVED, RESTARTED, OwnSaves, newest, resumed

HORIZON = 45
SCRIPT = """\
import argparse, json, os, signal, sys, time
from secondshift.tracking.fragments import Fragment

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--ckpt-dir", default=os.environ.get("CKPT_DIR"))
parser.add_argument("--how", default="good")
args = parser.parse_args()
stream = Fragment(os.environ["SECONDSHIFT_ATTEMPT"], base=0.0, warn=print)
asked = []
if args.how != "deaf":
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
path = os.path.join(args.ckpt_dir, "state.json")
state = {"step": 0, "x": 5.0, "v": 0.0}
if os.path.exists(path) and args.how != "forgets":
    state = json.load(open(path))

def save():
    if args.how == "mute":
        return
    with open(path + ".tmp", "w") as file:
        json.dump(state, file)
    os.replace(path + ".tmp", path)

while state["step"] < HORIZON:
    state["v"] = 0.9 * state["v"] - args.lr * state["x"]
    state["x"] += state["v"]
    stream.points(state["step"], {"loss": state["x"] ** 2})
    state["step"] += 1
    time.sleep(0.02)
    if asked:
        save()
        print("saved, leaving")
        sys.exit(0)
    if state["step"] % 4 == 0:
        save()
stream.close()
""".replace("HORIZON", str(HORIZON))
STUDY = """\
command = "python train.py --lr {lr} HOW"
[objective]
metric = "loss"
[horizon]
steps = 45
[search]
lr = [0.004, 0.003, 0.002, 0.001]  # the second is paused, and promoted when it is in the better half
[resume]
trust = true
RESUME
[policy]
searcher = "grid"
scheduler = "SCHEDULER"
eta = 2
min_steps = 15
max_interruptions = 1
[launch]
slots = 1
grace_s = 5
[budget]
trials = TRIALS
wall_hours = 0.01
"""


def curve(lr: float) -> list[float]:
    x, v, losses = 5.0, 0.0, []
    for _ in range(HORIZON):
        v = 0.9 * v - lr * x
        x += v
        losses.append(x**2)
    return losses


@dataclass
class Worked:
    state: State
    ledger: Ledger

    def of(self, kind: type) -> list:
        return [event.payload for event in self.ledger.read() if isinstance(event.payload, kind)]


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Callable[..., Worked]]:
    """Work a whole shift with real processes, and read what it recorded."""
    opened: list[Ledger] = []

    def run(*, how: str = "good", resume: str = 'flag = "--ckpt-dir {checkpoint_dir}"', scheduler: str = "halving",
            trials: int = 4) -> Worked:  # fmt: skip
        (tmp_path / "train.py").write_text(SCRIPT)
        text = STUDY.replace("HOW", f"--how {how}").replace("RESUME", resume).replace("SCHEDULER", scheduler)
        (tmp_path / "secondshift.toml").write_text(text.replace("TRIALS", str(trials)))
        shifts.work(tmp_path / "secondshift.toml")
        ledger = open_ledger(tmp_path / ".secondshift")
        opened.append(ledger)
        return Worked(fold(State(), ledger.read()), ledger)

    yield run
    for ledger in opened:
        ledger.close()


def killer(folder: Path, times: int) -> threading.Thread:
    """Kill the script of each of the first attempts once it has saved twelve more steps."""

    def work() -> None:
        for number in range(1, times + 1):
            attempt, kept = folder / f"attempts/t1.a{number}", folder / "trials/t1/checkpoints/state.json"
            until = time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    pid = json.loads((attempt / "child.json").read_text())["pid"]
                    if json.loads(kept.read_text())["step"] >= 12 * number:
                        os.kill(pid, signal.SIGKILL)
                        break
                except (OSError, ValueError):
                    pass
                time.sleep(0.02)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_script_paused_at_a_rung_and_resumed_leaves_the_curve_of_one_that_never_stopped(
    work: Callable[..., Worked],
) -> None:
    night = work()
    again = [a for a in night.of(facts.AttemptOrdered) if a.number > 1]
    # What a script saves by itself is dated by when it appeared: on a busy machine up to a save (4 steps) too early.
    assert again and all(a.from_step >= 15 - 4 for a in again), "the pause at the rung counts for what was logged"
    complete = [t for t in night.state.trials.values() if t.status == "complete"]
    assert complete and night.state.statuses.get("paused", 0) >= 1
    for trial in complete:
        series = night.ledger.series(trial.id, "loss")
        assert series.steps.tolist() == list(range(HORIZON))
        lr = float(night.state.candidates[trial.candidate].params["lr"])
        assert series.values.tolist() == curve(lr)
    assert not night.of(facts.CheckpointRejected) and not night.of(facts.IncidentOpened)
    assert any(s.key == "why.saved_own" for s in story(trial_events(night.ledger, complete[0].id)))
    assert replay(night.ledger).holds


def test_a_script_killed_again_and_again_goes_on_as_long_as_it_gets_further(
    work: Callable[..., Worked], tmp_path: Path
) -> None:
    thread = killer(tmp_path / ".secondshift", 3)
    night = work(scheduler="fifo", trials=1)
    thread.join(timeout=5)
    trial = night.state.trials["t1"]
    assert trial.status == "complete" and trial.attempts == 4
    starts = [a.from_step for a in night.of(facts.AttemptOrdered)]
    assert starts == sorted(set(starts)), "each attempt began further than the one before"
    series = night.ledger.series("t1", "loss")
    assert series.steps.tolist() == list(range(HORIZON))
    assert series.values.tolist() == curve(float(night.state.candidates["c1"].params["lr"]))
    noted = [fact.incident for fact in night.of(facts.IncidentOpened)]
    closed = [fact.outcome for fact in night.of(facts.IncidentClosed)]
    assert [one.cause for one in noted] == ["killed"] * 3 and all(how.startswith("started again") for how in closed)


def test_a_script_that_cannot_hear_sigterm_resumes_from_its_last_save(work: Callable[..., Worked]) -> None:
    night = work(how="deaf", resume='env = "CKPT_DIR"')
    complete = [t for t in night.state.trials.values() if t.status == "complete"]
    assert complete
    for trial in complete:
        lr = float(night.state.candidates[trial.candidate].params["lr"])
        assert night.ledger.series(trial.id, "loss").values.tolist() == curve(lr)
    assert not night.of(facts.IncidentOpened)


def test_a_script_that_ignores_its_checkpoints_is_told(work: Callable[..., Worked]) -> None:
    night = work(how="forgets")
    (incident,) = [fact.incident for fact in night.of(facts.IncidentOpened)]
    assert incident.finding == RESTARTED and "logged step 0 where step" in " ".join(incident.evidence)
    assert night.of(facts.CheckpointRejected)
    assert [t for t in night.state.trials.values() if t.status == "complete"], "it ran to the end all the same"


def test_a_script_that_saves_nothing_is_told_when_it_is_paused(work: Callable[..., Worked]) -> None:
    night = work(how="mute", trials=2)
    assert [fact.incident.finding for fact in night.of(facts.IncidentOpened)] == [NOTHING_SAVED]
    assert not night.of(facts.CheckpointSaved)


STUDY_RECORD = Study(
    name="s", command="python t.py", folder=".", objective=Objective(metric="loss"), horizon_steps=100, tier="resumable"
)


def seen_state(
    *, from_step: int = 0, logged: int = -1, last_log_at: float = 0.0, kept: Sequence[Checkpoint] = ()
) -> tuple[State, Attempt]:
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", logged_step=logged, steps_done=from_step)
    attempt = Attempt(id="t1.a1", trial="t1", number=1, from_step=from_step, last_log_at=last_log_at)
    state = State(
        study=STUDY_RECORD, trials={"t1": trial}, attempts={attempt.id: attempt}, checkpoints={"t1": tuple(kept)}
    )
    return state, attempt


def points(first: int, last: int) -> list[Chunk]:
    steps = array("q", range(first, last + 1))
    batch = Batch(trial="t1", attempt="t1.a1", metric="loss", steps=steps, values=array("d", [0.0] * len(steps)))
    return [Chunk(attempt="t1.a1", fragment="elsewhere", start=0, end=1, batches=(batch,))]


def put(folder: Path, name: str, text: str) -> None:
    place = folder / "trials/t1/checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    time.sleep(0.01)  # so that file times differ
    (place / name).write_text(text)


def claimed(made: Sequence[facts.Payload]) -> list[int]:
    return [fact.checkpoint.step for fact in made if isinstance(fact, facts.CheckpointSaved)]


def test_a_change_counts_for_what_was_logged_before_it_and_only_once_it_is_over(tmp_path: Path) -> None:
    saves = OwnSaves(folder=tmp_path)
    assert saves.look(*seen_state(logged=4), [], ended=False) == []
    put(tmp_path, "model.pt", "1")
    assert saves.look(*seen_state(logged=4), points(5, 9), ended=False) == [], "it may still be written"
    assert claimed(saves.look(*seen_state(logged=9), points(10, 14), ended=False)) == [5]
    assert saves.look(*seen_state(logged=14), [], ended=False) == [], "the same change counts once"


def test_a_file_that_grows_is_not_over_and_counts_for_its_beginning(tmp_path: Path) -> None:
    saves = OwnSaves(folder=tmp_path)
    saves.look(*seen_state(logged=4), [], ended=False)
    for size in (1, 2, 3):
        put(tmp_path, "model.pt", "x" * size)
        assert saves.look(*seen_state(logged=4 + size), [], ended=False) == []
    assert claimed(saves.look(*seen_state(logged=20), [], ended=False)) == [6]


def test_a_script_that_saves_all_the_time_is_counted_one_save_late(tmp_path: Path) -> None:
    saves = OwnSaves(folder=tmp_path)
    saves.look(*seen_state(logged=4), [], ended=False)
    put(tmp_path, "a.pt", "1")
    saves.look(*seen_state(logged=5), [], ended=False)
    put(tmp_path, "b.pt", "1")
    assert claimed(saves.look(*seen_state(logged=8), [], ended=False)) == [6]


def test_an_engine_that_came_later_claims_only_what_it_can_know(tmp_path: Path) -> None:
    put(tmp_path, "model.pt", "1")
    now = time.time()
    late = OwnSaves(folder=tmp_path)
    assert late.look(*seen_state(logged=9, last_log_at=now + 5), [], ended=False) == []
    assert late.look(*seen_state(logged=9, last_log_at=now + 5), [], ended=True) == []
    sure = OwnSaves(folder=tmp_path)
    sure.look(*seen_state(logged=9, last_log_at=now - 60), [], ended=False)
    assert claimed(sure.look(*seen_state(logged=9, last_log_at=now - 60), [], ended=True)) == [10]


def test_what_lay_there_before_an_attempt_is_no_new_checkpoint(tmp_path: Path) -> None:
    put(tmp_path, "model.pt", "1")
    seen = newest(tmp_path / "trials/t1/checkpoints")
    assert seen is not None
    kept = Checkpoint(trial="t1", step=8, folder="trials/t1/checkpoints", digest=f"{OWN}{seen.changed_ns}")
    saves = OwnSaves(folder=tmp_path)
    for ended in (False, False, True):
        assert saves.look(*seen_state(from_step=8, logged=20, kept=[kept]), [], ended=ended) == []


def test_logs_beside_checkpoints_and_unfinished_files_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("train.log", "metrics.csv", "events.out.tfevents.1.host", "model.pt.tmp"):
        put(tmp_path, name, "1")
    put(tmp_path, "empty.pt", "")
    assert newest(tmp_path / "trials/t1/checkpoints") is None


@pytest.mark.parametrize("tier", ["opaque", "cooperative"])
def test_only_the_resumable_tier_is_looked_at(tmp_path: Path, tier: str) -> None:
    saves = OwnSaves(folder=tmp_path)
    for text in ("1", "22"):
        put(tmp_path, "model.pt", text)
        state, attempt = seen_state(logged=4)
        state = replace(state, study=replace(STUDY_RECORD, tier=tier))
        assert saves.look(state, attempt, [], ended=text == "22") == []


def test_the_first_step_of_an_attempt_says_where_it_resumed() -> None:
    kept = Checkpoint(trial="t1", step=30, folder="trials/t1/checkpoints", digest=f"{OWN}1")
    state, attempt = seen_state(from_step=30, logged=29, kept=[kept])
    assert resumed(state, attempt, points(30, 31), 0) == [] and resumed(state, attempt, points(34, 35), 0) == []
    assert claimed(resumed(state, attempt, points(24, 31), 0)) == [24]
    rejected, opened = resumed(state, attempt, points(0, 2), 1)
    assert isinstance(rejected, facts.CheckpointRejected) and rejected.step == 30
    assert isinstance(opened, facts.IncidentOpened) and opened.incident.id == "i2"
    told = replace(state, incidents={"i2": opened.incident})
    assert len(resumed(told, attempt, points(0, 2), 0)) == 1, "once for the script, not once for each trial"

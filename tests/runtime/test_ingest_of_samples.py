"""What a supervisor measured on its way into the ledger: once, at the trial's newest step, and never as the script's own word."""

import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.policies.captain import silence
from secondshift.records import events as facts
from secondshift.records.guards import standing
from secondshift.records.nights import Shift
from secondshift.records.orders import Batch, Order
from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Study
from secondshift.records.trials import Candidate, Trial
from secondshift.replay import replay
from secondshift.runtime import ingest
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors.attempt_files import to_json
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.executors.sampling import SAMPLES
from secondshift.runtime.keepersight import Progress, progress
from secondshift.runtime.ownsaves import OwnSaves
from secondshift.runtime.probestreams import Said
from secondshift.testing.executor_conformance import attempt_of
from secondshift.tracking import wire

STUDY = Study(
    name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=900, launch=Launch(quiet_s=60.0)
)
PRINTS = "for step in range(5): print('step=%d loss=%g' % (step, 1 / (step + 1)), flush=True)\n"


def leased() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.take_lease(Holder(host="h", pid=1), how_dead=lambda _: True)
    return ledger


class Night:
    """A ledger, and one attempt of one trial in it."""

    def __init__(self, folder: Path, executor: LocalExecutor) -> None:
        self.folder, self.executor, self.ledger, self.state = folder, executor, leased(), State()
        self.at, self.collected, self.saves = 1000.0, {}, OwnSaves(folder=folder)
        self.record([
            facts.StudyOpened(study=STUDY), facts.ShiftStarted(shift=Shift(id="s1", started_at=1000.0, slots=1)),
            facts.CandidateProposed(candidate=Candidate(id="c1"), decision="d"),
            facts.TrialQueued(trial=Trial(id="t1", candidate="c1", seed=0), decision="d"),
            facts.ChargeReserved(charge="t1.a1", trial="t1", device_s=90.0),
            facts.AttemptOrdered(
                attempt="t1.a1", trial="t1", number=1, token=1, devices=("cpu-0",), from_step=0, until_step=900,
                grant_s=90.0, decision="d",
            ),
        ])  # fmt: skip

    def record(self, payloads: list[facts.Payload], batches: Sequence[Batch] = ()) -> None:
        self.state = fold(self.state, self.ledger.append(payloads, at=self.at, token=1, batches=batches))

    def take_in(self, after_s: float = 20.0) -> list[facts.Payload]:
        """One ingestion, so much later; return its facts."""
        self.at += after_s
        seen = ingest.observations(self.state, self.executor, self.at, self.collected, self.saves)
        self.record(seen.out, seen.batches)
        return seen.out

    def values(self, metric: str) -> list[float]:
        return self.ledger.series("t1", metric, raw=True).values.tolist()


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    folder = tmp_path / ".secondshift"
    folder.mkdir()
    made = LocalExecutor(folder, pool=DevicePool(["cpu-0"]), fingerprint=lambda _: {})
    yield Night(folder, made)
    made.close()


def start(night: Night, code: str) -> Order:
    order = Order(
        attempt="t1.a1", trial="t1", number=1, token=1, command=(sys.executable, "-I", "-S", "-u", "-c", code),
        cwd=str(night.folder.parent), folder=str(night.folder / "attempts" / "t1.a1"), checkpoints=str(night.folder / "c"),
        grant_s=30.0, grace_s=0.2, devices=("cpu-0",), sample_every_s=0.1,
    )  # fmt: skip
    night.executor.submit(order)
    return order


def end(night: Night) -> list[facts.Payload]:
    night.executor.cancel("t1.a1", mode="kill", token=1, grace_s=0.0)
    deadline, told = time.monotonic() + 20.0, []
    while night.state.attempts and time.monotonic() < deadline:
        told += night.take_in()
        time.sleep(0.05)
    assert not night.state.attempts
    return told


def until(night: Night, health: str) -> None:
    deadline = time.monotonic() + 20.0
    while night.state.attempts["t1.a1"].health != health:
        assert time.monotonic() < deadline, f"waited 20 s for {health!r}"
        night.take_in(1.0)
        time.sleep(0.05)


def test_a_hang_in_a_lock_is_known_by_the_state_and_is_silence_all_the_same(night: Night) -> None:
    start(night, PRINTS + "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()")
    until(night, "blocked")
    attempt = night.state.attempts["t1.a1"]
    assert attempt.waits_on == "lock" and attempt.started_at <= attempt.health_since <= night.at
    spoke = attempt.last_log_at
    time.sleep(0.5)
    night.take_in(100.0)
    assert night.values("sys/tree_rss_mb") and night.state.attempts["t1.a1"].last_log_at == spoke
    late = replace(night.state, now_s=spoke + 61.0)
    assert [decision.verb for decision in silence.decide(late)] == ["stop"]
    end(night)


def test_a_script_that_says_nothing_has_logged_nothing_however_much_was_measured_of_it(night: Night) -> None:
    start(night, "while True: pass")
    until(night, "running")
    time.sleep(0.5)
    night.take_in(100.0)
    trial, attempt = night.state.trials["t1"], night.state.attempts["t1.a1"]
    assert (attempt.last_log_at, trial.logged_step, dict(trial.metrics)) == (0.0, -1, {})
    assert min(night.values("sys/cpu")[1:]) >= 0.0 and night.state.trials["t1"].objective(STUDY.objective) is None
    told = end(night)
    assert night.state.trials["t1"].reason != "ran 0 steps to its end" and told


def test_each_sample_arrives_once_at_the_newest_step_and_replay_finds_what_was_stored(night: Night) -> None:
    order = start(night, PRINTS + "import time; time.sleep(300)")
    until(night, "blocked")
    for _ in range(4):
        time.sleep(0.2)
        night.take_in()
    end(night)
    data = Path(order.folder, SAMPLES).read_bytes()
    steps = night.ledger.series("t1", "sys/wall_s", raw=True).steps.tolist()
    times = night.values("sys/wall_s")
    assert len(times) > 5 and times == sorted(times) and len(times) == len(night.values("sys/tree_rss_mb"))
    assert set(steps) <= {0, 4} and steps[-1] == 4
    logged = [e.payload for e in night.ledger.read() if isinstance(e.payload, facts.MetricsLogged)]
    offsets = [(fact.start, fact.end) for fact in logged if fact.machine]
    assert offsets[0][0] == 0 and offsets[-1][1] == len(data)
    assert all(earlier[1] == later[0] for earlier, later in pairwise(offsets))
    assert replay(night.ledger).holds


def test_of_what_a_guard_names_a_trial_keeps_the_worst_and_its_steps_are_still_the_script_s(night: Night) -> None:
    guarded = replace(STUDY, objective=replace(STUDY.objective, guards=("sys/tree_rss_mb <= 1e6", "sys/processes < 1")))
    night.record([facts.StudyAmended(study=guarded, changed=("objective.guards",))])
    start(night, "import time; time.sleep(300)")
    until(night, "blocked")
    end(night)
    trial = night.state.trials["t1"]
    assert set(trial.metrics) == {"sys/tree_rss_mb", "sys/processes"} and trial.logged_step == -1
    assert trial.metrics["sys/tree_rss_mb"].high == max(night.values("sys/tree_rss_mb"))
    assert [breach.value for breach in standing(guarded.objective, trial).broken] == [max(night.values("sys/processes"))]


def test_only_another_health_becomes_a_fact(night: Night) -> None:
    start(night, "while True: pass")
    until(night, "running")
    for _ in range(5):
        time.sleep(0.15)
        night.take_in()
    end(night)
    told = [e.payload for e in night.ledger.read(kinds=("attempt.health",))]
    assert [fact.health for fact in told if isinstance(fact, facts.AttemptHealth)] == ["running"]


def note(health: object, **more: object) -> bytes:
    return wire.frame(wire.NOTE, to_json(["health", {"health": health, **more}]).encode())


def test_a_script_that_writes_into_the_file_can_say_no_more_than_the_four_words(night: Night) -> None:
    order = start(night, "import time; time.sleep(300)")
    until(night, "blocked")
    with open(Path(order.folder, SAMPLES), "ab") as file:
        file.write(note("brilliant") + note(7) + note("disk", waits_on="x" * 500, after_s="late"))
        file.write(note("stopped", after_s=float("nan")))
    told = [fact for fact in night.take_in() if isinstance(fact, facts.AttemptHealth)]
    assert [fact.health for fact in told][-2:] == ["disk", "stopped"] and all(len(fact.waits_on) <= 40 for fact in told)
    assert all(fact.health in ("running", "blocked", "disk", "stopped") for fact in told)
    assert 0 <= night.state.attempts["t1.a1"].health_since <= night.at
    end(night)


def test_the_doctor_compares_no_measurements_of_the_machine(night: Night) -> None:
    order = start(night, PRINTS + "while True: pass")
    until(night, "running")
    said = Said(objective="loss")
    said.take(night.executor.collect(attempt_of(order)), 1.0)
    assert set(said.values) == {"loss"} and said.logged() == 4
    assert night.executor.seen("t1.a1") == {"stdout": {"loss": 5}}
    end(night)


def test_for_the_keeper_a_measured_machine_is_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = facts.MetricsLogged(attempt="t1.a1", trial="t1", fragment="f", start=0, end=1, points=3, crc=0)
    (tmp_path / "ledger.db").touch()
    for fact, worked in ((logged, True), (replace(logged, machine=True), False)):
        ledger = leased()
        ledger.append([fact], at=1.0, token=1)
        monkeypatch.setattr("secondshift.runtime.keepersight.open_ledger", lambda *_, ledger=ledger, **__: ledger)
        assert progress(tmp_path, Progress()).worked is worked


@pytest.mark.parametrize(("cpu", "gpu", "rests"), [
    ([0.9, 0.0], [], True), ([0.0, 0.06], [], False), ([0.0], [80.0, 2.0], True), ([0.0], [2.0, 80.0], False), ([], [80.0], None),
])  # fmt: skip
def test_a_fact_says_whether_the_newest_sample_shows_its_processes_at_rest(cpu, gpu, rests) -> None:
    samples = {"sys/cpu": cpu, "sys/gpu_util": gpu}
    batches = [
        Batch(trial="t1", attempt="t1.a1", metric=name, steps=array("q", [5] * len(values)), values=array("d", values))
        for name, values in samples.items() if values
    ]  # fmt: skip
    assert ingest._rests(batches) is rests

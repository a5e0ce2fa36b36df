"""What 100,000 points need on disk after ingestion, and how fast a curve of so many is read back."""

import os
import random
import shutil
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from overhead import peers
from overhead.rows import Peer, Plan, Row, spread
from overhead.script_rows import fragment_of
from overhead.studies import attempt_folder, study, take_lease
from secondshift.ledger.fold import fold
from secondshift.ledger.sqlite import FILE, SqliteLedger
from secondshift.records import events as facts
from secondshift.records.orders import Batch, Chunk, Sign
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Candidate, Trial
from secondshift.runtime import ingest, ownsaves
from secondshift.runtime.readers.fragments import collect_folder

POINTS = 100_000
TICK_S = 0.1  # the engine sleeps so long between two ticks while something runs
STEPS_PER_S = 100  # of the script whose points trickle in
BEGAN_S = 1.0  # study clock at which its attempt was ordered


@dataclass(kw_only=True)
class Tail:
    """As much of the local executor as reading one attempt's folder takes."""

    folder: Path

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Nothing starts or ends while we look."""
        return []

    def collect(self, attempt: Attempt, *, limit: int = 4 << 20) -> list[Chunk]:
        """Return what the fragments hold after the offsets."""
        return collect_folder(self.folder, attempt.offsets, trial=attempt.trial, attempt=attempt.id, limit=limit)


def disk_row(plan: Plan) -> Row:
    """Bytes of ledger and fragments after a script's 100,000 points were ingested, at once and as they trickle in."""
    written = fragment_of(plan, POINTS // 10, "t1")
    fragment = next(written.glob("*.frag"))
    data = fragment.read_bytes()
    plan.say("disk: ingesting as points trickle in")
    trickled = _stored(plan, fragment.name, data, STEPS_PER_S)
    slowly = _stored(plan, fragment.name, data, STEPS_PER_S / plan.count(10, 100))
    at_once = _stored(plan, fragment.name, data, 1e9)
    others: dict[str, Peer] = {"W&B": peers.cited(7.9), "Aim": peers.cited(20.0)}
    if plan.peers:
        plan.say("disk: peers")
        for name in ("trackio", "MLflow SQLite", "TensorBoardX"):
            folder = plan.place / "peer-disk"
            folder.mkdir()
            others[name] = peers.script(plan.peers, "storing_script.py", name, POINTS, folder)["mb"]
            shutil.rmtree(folder)
    return Row(
        name="100k scalars on disk after ingestion", unit="MB", limit=3.2, ours=trickled, peers=others,
        also={
            "ingested at once": at_once, "of which fragment": _fragment_mb(fragment, data),
            f"at {STEPS_PER_S / plan.count(10, 100):g} calls a second": slowly,
        },
        how=f"10 metrics a call, {STEPS_PER_S} calls a second, a tick each {TICK_S} s; ledger and fragment",
        reason="each reading of a fragment records a fact with ten summaries and eleven rows, whatever few points it brings",
    )  # fmt: skip


def curve_rows(plan: Plan) -> list[Row]:
    """Reading a curve of 100,000 points, ingested in 250 batches: by a reader that has not seen it, and thinned."""
    folder = plan.place / "curve"
    folder.mkdir()
    ledger, state = _opened(folder)
    with closing(ledger):
        for payloads, batches in _long_curve():
            state = fold(state, ledger.append(payloads, at=2.0, token=state.token, batches=batches))
    rounds = plan.count(15, 51)
    whole, thinned, first = [], [], []
    for _ in range(rounds):
        with closing(SqliteLedger(folder, readonly=True)) as reader:
            reader.last_seq()  # the connection is there
            whole.append(_timed(lambda: reader.series("t1", "loss")) * 1000)
            thinned.append(_timed(lambda: reader.series("t1", "loss", points=1000)) * 1000)
        with closing(SqliteLedger(folder, readonly=True)) as reader:
            reader.last_seq()
            first.append(_timed(lambda: reader.series("t1", "loss", points=1000)) * 1000)
    others: dict[str, Peer] = {"floor: plain SQLite": _plain_sqlite(plan.place / "plain.db", rounds)}
    if plan.peers:
        place = plan.place / "peer-curve"
        place.mkdir()
        plan.say("curve: MLflow")
        others["MLflow SQLite"] = peers.script(plan.peers, "curve_script.py", POINTS, place)["ms"]
    noise, thin = spread(whole), spread(thinned)
    how = f"median of {rounds} readers; thinned of a curve that the reader has read before"
    return [
        Row(name="read a 100k-point curve", unit="ms", limit=60, ours=noise.median, peers=others, spread=noise, how=how),
        Row(
            name="1,000-point downsample of a 100k-point curve", unit="ms", limit=5, ours=thin.median, spread=thin, how=how,
            also={"by a reader that has not read it before": spread(first).median},
        ),
    ]  # fmt: skip


def _opened(folder: Path) -> tuple[SqliteLedger, State]:
    """A ledger with one running attempt, and its state."""
    ledger = SqliteLedger(folder)
    token = take_lease(ledger)
    begun: list[facts.Payload] = [
        facts.StudyOpened(study=study()),
        facts.LeaseTaken(token=token, holder="here:1", how="first"),
        facts.CandidateProposed(candidate=Candidate(id="c1"), decision="d1"),
        facts.TrialQueued(trial=Trial(id="t1", candidate="c1", seed=0), decision="d1"),
        facts.AttemptOrdered(
            attempt="t1.a1", trial="t1", number=1, token=token, devices=("cpu-0",), from_step=0, until_step=POINTS, grant_s=600.0,
            decision="d2",
        ),
        facts.AttemptStarted(attempt="t1.a1", supervisor=10, pid=11),
    ]  # fmt: skip
    return ledger, fold(State(), ledger.append(begun, at=BEGAN_S, token=token))


def _stored(plan: Plan, name: str, data: bytes, steps_per_s: float) -> float:
    """Let a fragment grow at a script's pace, tick all along; return MB of ledger and fragment for 100,000 points."""
    private = plan.place / f"disk-{steps_per_s:g}"
    folder = attempt_folder(private, "t1", steps=POINTS)
    ledger, state = _opened(private)
    tail, collected, lasts_s = Tail(folder=folder), dict[str, float](), POINTS / 10 / steps_per_s
    written, tick = 0, 0
    with closing(ledger), (folder / name).open("ab", buffering=0) as fragment:
        while written < len(data):
            tick += 1
            due = min(len(data), int(len(data) * tick * TICK_S / lasts_s))
            fragment.write(data[written:due])
            written, now = due, BEGAN_S + tick * TICK_S
            state = _ingested(ledger, state, tail, now, collected)
        state = _ingested(ledger, state, tail, now + 60, collected)  # the end of an attempt is read whatever the pace
    points = sum(summary.points for summary in state.trials["t1"].metrics.values())
    size = sum(
        os.path.getsize(file) for file in (private / FILE, private / f"{FILE}-wal", folder / name) if file.exists()
    )
    shutil.rmtree(private)
    return size / 1e6 * POINTS / points


def _ingested(ledger: SqliteLedger, state: State, tail: Tail, now: float, collected: dict[str, float]) -> State:
    seen = ingest.observations(state, tail, now, collected, ownsaves.OwnSaves(folder=Path()))  # type: ignore[arg-type]  # a Tail is all that ingestion needs
    if not seen:
        return state
    return fold(state, ledger.append(seen.out, at=now, token=state.token, batches=seen.batches))


def _fragment_mb(fragment: Path, data: bytes) -> float:
    """Size of the fragment for 100,000 points; the script's first calls come on top of them."""
    found = collect_folder(fragment.parent, {}, trial="t1", attempt="t1.a1", ended=True, limit=len(data) + 1)
    points = sum(len(batch.steps) for chunk in found for batch in chunk.batches if not batch.metric.startswith("_"))
    return len(data) / 1e6 * POINTS / points


def _long_curve() -> Iterator[tuple[list[facts.Payload], tuple[Batch, ...]]]:
    draw = random.Random(0)
    for number in range(250):
        steps = array("q", range(number * 400, number * 400 + 400))
        values = array("d", (draw.random() for _ in steps))
        batch = Batch(trial="t1", attempt="t1.a1", metric="loss", steps=steps, values=values)
        chunk = Chunk(attempt="t1.a1", fragment="x.frag", start=number, end=number + 1, batches=(batch,))
        yield ingest._chunk_facts(Attempt(id="t1.a1", trial="t1", number=1), chunk), (batch,)


def _plain_sqlite(path: Path, rounds: int) -> float:
    """One row a point, as most trackers keep them: the time to read them all."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table points (run text, metric text, step integer, value real)")
        rows = (("t1", "loss", step, step / 3) for step in range(POINTS))
        connection.executemany("insert into points values (?, ?, ?, ?)", rows)
        connection.execute("create index by_curve on points (run, metric, step)")
        connection.commit()
        query = "select step, value from points where run = ? and metric = ? order by step"
        costs = [_timed(lambda: connection.execute(query, ("t1", "loss")).fetchall()) * 1000 for _ in range(rounds)]
    return spread(costs).median


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began

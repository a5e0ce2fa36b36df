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
from secondshift.runtime import ingest
from secondshift.runtime.readers.fragments import collect_folder

POINTS = 100_000
TICKS_PER_S = 10  # the engine sleeps 0.1 s between two ticks while something runs
STEPS_PER_S = 100  # of the script whose points trickle in


@dataclass(kw_only=True)
class Tail:
    """As much of the local executor as reading one attempt's folder takes."""

    folder: Path

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Nothing starts or ends while we look."""
        return []

    def collect(self, attempt: Attempt, *, limit: int) -> list[Chunk]:
        """Return what the fragments hold after the offsets."""
        return collect_folder(self.folder, attempt.offsets, trial=attempt.trial, attempt=attempt.id, limit=limit)


def disk_row(plan: Plan) -> Row:
    """Bytes of ledger and fragments after a script's 100,000 points were ingested, at once and as they trickle in."""
    written = fragment_of(plan, POINTS // 10, "t1")
    fragment = next(written.glob("*.frag"))
    data = fragment.read_bytes()
    slices = plan.count(300, POINTS // 10 // STEPS_PER_S * TICKS_PER_S)
    plan.say(f"disk: ingesting in {slices} slices")
    trickled = _stored(plan, fragment.name, data, slices)
    at_once = _stored(plan, fragment.name, data, 1)
    rate = POINTS // 10 / slices * TICKS_PER_S
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
        also={"ingested at once": at_once, "of which fragment": len(data) / 1e6},
        how=f"10 metrics a call, {rate:.0f} calls a second, a tick each {1 / TICKS_PER_S} s; scaled to 100,000 points",
        reason="each tick that finds points records a fact with ten summaries and ten rows: they outweigh the points",
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
    return ledger, fold(State(), ledger.append(begun, at=1.0, token=token))


def _stored(plan: Plan, name: str, data: bytes, slices: int) -> float:
    """Let a fragment grow in equal slices, ingest after each; return MB of ledger and fragment for 100,000 points."""
    private = plan.place / f"disk-{slices}"
    folder = attempt_folder(private, "t1", steps=POINTS)
    ledger, state = _opened(private)
    tail = Tail(folder=folder)
    with closing(ledger):
        for number in range(slices):
            with (folder / name).open("ab") as fragment:
                fragment.write(data[len(data) * number // slices : len(data) * (number + 1) // slices])
            seen = ingest.observations(state, tail)  # type: ignore[arg-type]  # a Tail does all that ingestion asks for
            state = fold(state, ledger.append(seen.out, at=2.0 + number, token=state.token, batches=seen.batches))
    points = sum(summary.points for summary in state.trials["t1"].metrics.values())
    files = (private / FILE, private / f"{FILE}-wal", folder / name)
    size = sum(os.path.getsize(file) for file in files if file.exists())
    shutil.rmtree(private)
    return size / 1e6 * POINTS / points


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

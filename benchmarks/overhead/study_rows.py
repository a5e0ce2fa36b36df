"""How long a large study takes to open and to list, and what asking a searcher and telling its result cost."""

import gc
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from overhead import peers
from overhead.rows import Peer, Plan, Row, spread
from overhead.studies import study, take_lease, with_past
from secondshift.arbitrate import arbitrate
from secondshift.interfaces.readmodel.overview import trial_row
from secondshift.ledger.fold import fold
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.snapshots import load_state, save_state
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.ledger.stores import Ledger
from secondshift.policies.searchers import uniform
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Summary

MANY = 10_000  # trials
COPIES = (
    "a fold copies the tables of trials and candidates that it changes, 0.1 ms and more each at 10,000 entries. Tried: "
    "a searcher no longer lists all candidates, and fields that are None are written without a second look"
)
COMMITS = (
    "SQLAlchemy takes most of two durable transactions; SQLite itself takes 0.13 ms of CPU for each. Tried: statements "
    "compiled once, fields that are None written without a second look; a connection kept open (15 % less, not adopted). A tick "
    "commits once for all its trials, so a night pays this once a tick"
)


@dataclass(frozen=True, kw_only=True)
class Past:
    """A study's private folder with a ledger of many ended trials, and a snapshot of what they add up to."""

    folder: Path
    trials: int

    @property
    def snapshot(self) -> Path:
        """The disposable cache."""
        return self.folder / "cache" / "state.bin"

    def copy(self, to: Path) -> Path:
        """Return a folder of its own with the same past."""
        shutil.copytree(self.folder, to)
        return to


def make_past(plan: Plan, trials: int) -> Past:
    """Record a past of so many trials in a SQLite ledger."""
    plan.say(f"recording a past of {trials:,} trials")
    past = Past(folder=plan.place / f"past-{trials}", trials=trials)
    past.folder.mkdir()
    with closing(SqliteLedger(past.folder)) as ledger:
        token = take_lease(ledger)
        state = with_past(ledger, trials, opened=study(), token=token)
        save_state(state, past.snapshot, ledger=ledger)
        ledger.release(token)
    return past


def reopen_row(plan: Plan, past: Past) -> Row:
    """From the files to the folded state: with the snapshot of the last shift, and by folding every fact."""
    rounds = plan.count(7, 21)
    with_snapshot = [_timed(lambda: _reopened(past, past.snapshot)) for _ in range(rounds)]
    without = [_timed(lambda: _reopened(past, past.folder / "none")) for _ in range(plan.count(1, 3))]
    others: dict[str, Peer] = {}
    if plan.peers:
        plan.say("reopen: Optuna's journal")
        others["Optuna journal"] = _peer(plan, "reopen_script.py", past.trials)["s"]
    noise = spread(with_snapshot)
    return Row(
        name="reopen a study of 10,000 trials", unit="s", limit=0.1, ours=noise.median, spread=noise, peers=others,
        also={"without a snapshot": statistics.median(without)}, how=f"median of {rounds}; the snapshot of the last shift is there",
    )  # fmt: skip


def list_row(plan: Plan) -> Row:
    """Every trial of a study of 1,000 with its final metrics, through the read model of `status`: CPU time."""
    past, rounds = make_past(plan, 1000), plan.count(11, 51)
    cached = [_timed(lambda: _listed(past, past.snapshot), time.process_time) * 1000 for _ in range(rounds)]
    folded = [_timed(lambda: _listed(past, past.folder / "none"), time.process_time) * 1000 for _ in range(3)]
    others: dict[str, Peer] = {}
    if plan.peers:
        plan.say("list: MLflow and plain SQLite")
        others = _peer(plan, "listing_script.py", past.trials)["cpu_ms"]
    noise = spread(cached)
    return Row(
        name="list 1,000 runs with final metrics, CPU", unit="ms", limit=20, ours=noise.median, spread=noise, peers=others,
        also={"without a snapshot": statistics.median(folded)}, how=f"median of {rounds}; ledger opened, state loaded, rows made",
    )  # fmt: skip


def ask_tell_rows(plan: Plan, past: Past) -> list[Row]:
    """A random searcher asked once and told the result: CPU time with everything recorded, at two sizes of the past."""
    others = _peer(plan, "asking_script.py", plan.count(200, 10_000), timeout_s=590)["cpu_ms"] if plan.peers else {}
    small = plan.place / "past-10"
    small.mkdir()
    with closing(SqliteLedger(small)) as ledger:
        token = take_lease(ledger)
        with_past(ledger, 10, opened=study(), token=token)
        ledger.release(token)
    rows = []
    for trials, folder in ((10, small), (past.trials, past.copy(plan.place / "ask"))):
        with closing(SqliteLedger(folder)) as ledger:
            state, count = load_state(ledger, folder / "cache" / "state.bin"), plan.count(60, 200)
            stored = _cycles(ledger, state, count)
        # A ledger in memory begins at its first fact, whatever past the state has.
        in_memory = _cycles(MemoryLedger(), replace(state, last_seq=0), count)
        beside = others.get(f"{trials:,}", {})
        for where, cycles, durable in (("in memory", in_memory, False), ("two SQLite commits", stored, True)):
            noise = spread([c.cpu_ms for c in cycles])
            also = {"asking alone (decide)": statistics.median(c.ask_ms for c in cycles)}
            if durable:
                also["on the wall clock"] = statistics.median(c.wall_ms for c in cycles)
            rows.append(
                Row(
                    name=f"ask and tell at trial {trials:,}, {where}, CPU", unit="ms", limit=0.5, ours=noise.median,
                    spread=noise, also=also, reason=COMMITS if durable else COPIES,
                    peers={name: ms for name, ms in beside.items() if ("memory" in name) != durable},
                    how=f"median of {count} cycles: decide, arbitrate, append, fold; append the result, fold",
                )
            )  # fmt: skip
    return rows


@dataclass(frozen=True, kw_only=True)
class _Cycle:
    cpu_ms: float
    ask_ms: float
    wall_ms: float


def _cycles(ledger: Ledger, state: State, count: int) -> list[_Cycle]:
    """Ask for one candidate, record it, record its result; `count` times."""
    token = take_lease(ledger)
    shift = Shift(id="s2", started_at=state.last_at, slots=1_000_000)
    state = _recorded(ledger, state, token, [facts.ShiftStarted(shift=shift)])
    cycles = []
    gc.collect()
    for _ in range(count):
        state = replace(state, now_s=state.last_at, free_devices=("cpu-0",))
        wall, cpu = time.perf_counter(), time.thread_time()
        wishes = uniform.decide(state)
        asked = time.thread_time() - cpu
        made = arbitrate(state, wishes)
        tick = facts.TickDecided(
            tick=state.ticks + 1,
            now_s=state.now_s,
            stage="decide",
            policy="1",
            digest=ledger.digest(),
            decisions=len(made),
        )
        state = _recorded(ledger, state, token, [tick, *made])
        trial = f"t{len(state.trials)}"
        state = _recorded(ledger, state, token, _result(trial))
        spent = time.thread_time() - cpu
        cycles.append(_Cycle(cpu_ms=spent * 1000, ask_ms=asked * 1000, wall_ms=(time.perf_counter() - wall) * 1000))
    if state.trials[trial].status != "complete":
        raise RuntimeError(f"{trial} was asked for and told, but is {state.trials[trial].status}: nothing was measured")
    return cycles


def _result(trial: str) -> list[facts.Payload]:
    found = {"val_loss": Summary(points=1, last_step=0, last=0.5, low=0.5, low_step=0, high=0.5, high_step=0)}
    return [
        facts.MetricsLogged(
            attempt=f"{trial}.a1", trial=trial, fragment="a.frag", start=0, end=99, points=1, crc=0, metrics=found
        ),
        facts.TrialClosed(trial=trial, status="complete", reason="told", decision=""),
    ]


def _recorded(ledger: Ledger, state: State, token: int, payloads: list[facts.Payload]) -> State:
    return fold(state, ledger.append(payloads, at=state.last_at + 0.1, token=token))


def _reopened(past: Past, snapshot: Path) -> State:
    with closing(SqliteLedger(past.folder, readonly=True)) as ledger:
        return load_state(ledger, snapshot)


def _listed(past: Past, snapshot: Path) -> list[dict]:
    state = _reopened(past, snapshot)
    rows = [trial_row(state, trial, state.last_at) for trial in state.trials.values()]
    return [{**row, "metrics": {n: m.last for n, m in state.trials[row["trial"]].metrics.items()}} for row in rows]


def _peer(plan: Plan, name: str, count: int, *, timeout_s: float = 590) -> dict:
    folder = plan.place / "peer-study"
    folder.mkdir()
    try:
        return peers.script(plan.peers or "", name, count, folder, timeout_s=timeout_s)
    finally:
        shutil.rmtree(folder)


def _timed(act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    gc.collect()
    began = clock()
    act()
    return clock() - began

"""The audit: the ledger against the witness, the orders against the lives, the curves against uninterrupted ones."""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.replay import replay

from .stage import Stage
from .training import curve
from .witness import Life, Testimony, read_witness

Uninterrupted = Callable[[Mapping[str, float], int, int], Iterator[Sequence[float]]]  # params, seed, steps -> a row a step
BEAT_S = 1.0  # a dead supervisor's last heartbeat is at most so old, and its charge says so much more
SLACK_S = 1.5  # start of a process, stop latency, two clocks read one after the other on a busy machine


@dataclass(kw_only=True)
class Findings:
    """What the audit found; each list holds sentences, and an empty one is what we want."""

    lost: list[str] = field(default_factory=list)  # points logged and not in the ledger
    repeated: list[str] = field(default_factory=list)  # points in the ledger more often than they were logged
    twice: list[str] = field(default_factory=list)  # trials that ran twice at once
    orphans: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)  # charges
    settled_twice: list[str] = field(default_factory=list)
    curves: list[str] = field(default_factory=list)  # final curves that differ from uninterrupted ones
    unfinished: list[str] = field(default_factory=list)  # trials
    cost: list[str] = field(default_factory=list)  # attempts charged otherwise than they lived
    unwitnessed: list[str] = field(default_factory=list)  # lives that no order asked for
    briefs: list[str] = field(default_factory=list)  # shifts that ended and left none
    ledger: list[str] = field(default_factory=list)  # gaps, damage, changed facts, replay
    points: int = 0  # by the witness
    trials: int = 0
    attempts: int = 0
    resumed: int = 0  # trials with more than one life
    compared: int = 0  # trials whose curves were compared with uninterrupted ones
    charged_s: float = 0.0
    lived_s: float = 0.0
    worst_over_s: float = 0.0
    worst_under_s: float = 0.0

    def harm(self) -> Iterator[tuple[str, list[str]]]:
        """All lists with something in them."""
        for name, value in vars(self).items():
            if isinstance(value, list) and value:
                yield name, value


def audit(
    stage: Stage, *, finished: bool = True, decided_again: bool = True, uninterrupted: Uninterrupted = curve
) -> Findings:
    """Compare what is recorded with what the witness saw.

    finished: all trials are expected to be complete, else also what the others did is compared. decided_again: also replay
    every decision. uninterrupted: trains as the script does, without a break; one value for each metric of the plan.
    """
    found = Findings(orphans=[f"pid {process.pid}" for process in stage.orphans()])
    testimony = read_witness(stage.witness)  # only now: nothing writes to it any more
    ledger = stage.ledger()
    try:
        events = list(ledger.read())
        state = fold(State(), events)
        found.trials = len(state.trials)
        _facts(found, events, stage)
        _charges(found, events, state, testimony)
        _briefs(found, events, stage)
        _points(found, ledger, testimony, stage.plan.metrics)
        found.twice = list(testimony.overlaps)
        _curves(found, ledger, state, stage.plan.metrics, uninterrupted, finished)
        if finished:
            found.unfinished = [f"{t.id} is {t.status}: {t.reason}" for t in state.trials.values() if t.status != "complete"]
        if decided_again:
            report = replay(ledger)
            if not report.holds:
                found.ledger.append(f"replay: {report.first_difference or report.tampering}")
    finally:
        ledger.close()
    return found


def _facts(found: Findings, events: list[facts.Event], stage: Stage) -> None:
    for number, event in enumerate(events, 1):
        if event.seq != number:
            found.ledger.append(f"fact {number} is missing")
            break
    tokens = [event.token for event in events]
    if tokens != sorted(tokens):
        found.ledger.append("a fact carries a lower token than one before it")
    with closing(sqlite3.connect(f"file:{stage.private / 'ledger.db'}?mode=ro", uri=True)) as connection:
        (answer,) = connection.execute("pragma integrity_check").fetchone()
    if answer != "ok":
        found.ledger.append(f"integrity_check: {answer}")


def _briefs(found: Findings, events: list[facts.Event], stage: Stage) -> None:
    written = {e.payload.shift: e.payload.files for e in events if isinstance(e.payload, facts.BriefWritten)}
    for shift in (e.payload.shift for e in events if isinstance(e.payload, facts.ShiftEnded)):
        files = [stage.private / name for name in written.get(shift, ())]
        if not files:
            found.briefs.append(f"{shift} ended and has no brief")
        found.briefs.extend(f"{path.name} is missing or empty" for path in files if not path.is_file() or not path.stat().st_size)


def _charges(found: Findings, events: list[facts.Event], state: State, testimony: Testimony) -> None:
    reserved = {e.payload.charge for e in events if isinstance(e.payload, facts.ChargeReserved)}
    settled = [e.payload for e in events if isinstance(e.payload, facts.ChargeSettled)]
    times = Counter(charge.charge for charge in settled)
    found.unsettled = sorted(reserved - set(times)) + [f"{name} in the state" for name in state.charges]
    found.settled_twice = [name for name, count in times.items() if count > 1]
    lives: dict[str, list[Life]] = {}
    for life in testimony.lives:
        lives.setdefault(life.attempt, []).append(life)
    found.attempts = len(times)
    for name, mine in lives.items():
        if name not in reserved:
            found.unwitnessed.append(f"{name} lived and was never ordered")
        if len(mine) > 1:
            found.twice.append(f"{name} was started {len(mine)} times")
    for charge in settled:
        lived = max((life.lived_s for life in lives.get(charge.charge, ())), default=0.0)
        over = charge.device_s - lived
        found.charged_s, found.lived_s = found.charged_s + charge.device_s, found.lived_s + lived
        if charge.charge in lives:
            found.worst_over_s = max(found.worst_over_s, over)
            found.worst_under_s = max(found.worst_under_s, -over)
        if over > BEAT_S + SLACK_S or -over > 0.1:
            found.cost.append(f"{charge.charge}: charged {charge.device_s:.2f} s, lived {lived:.2f} s")


def _points(found: Findings, ledger: Ledger, testimony: Testimony, metrics: Sequence[str]) -> None:
    by_trial: dict[str, list[Life]] = {}
    for life in testimony.lives:
        by_trial.setdefault(life.trial, []).append(life)
        found.points += sum(len(point) for _, point in life.points)
    found.resumed = sum(len({life.attempt for life in mine}) > 1 for mine in by_trial.values())
    for trial, lives in by_trial.items():
        for metric in metrics:
            series = ledger.series(trial, metric, raw=True)
            for life in lives:
                number = int(life.attempt.rpartition(".a")[2])
                mine = series.attempts == number
                recorded = list(zip(series.steps[mine].tolist(), series.values[mine].tolist(), strict=True))
                witnessed = [(step, point[metric]) for step, point in life.points if metric in point]
                _compare(found, f"{life.attempt} {metric}", recorded, witnessed)


def _compare(found: Findings, name: str, recorded: list[tuple[int, float]], witnessed: list[tuple[int, float]]) -> None:
    """What was witnessed must be recorded, once, in its order; at most one more point may have met the kill."""
    missing = Counter(witnessed) - Counter(recorded)
    if missing:
        found.lost.extend(f"{name} step {step} = {value!r}" for step, value in missing.elements())
    elif recorded[: len(witnessed)] != witnessed:
        found.lost.append(f"{name}: recorded in another order than logged")
    if len(recorded) > len(witnessed) + 1 or max(Counter(recorded).values(), default=1) > 1:
        found.repeated.append(f"{name}: {len(recorded)} points recorded, {len(witnessed)} witnessed")


def _curves(
    found: Findings, ledger: Ledger, state: State, metrics: Sequence[str], uninterrupted: Uninterrupted, finished: bool
) -> None:
    horizon = state.study.horizon_steps if state.study else 0
    for trial in state.trials.values():
        if trial.logged_step < 0 or (finished and trial.status != "complete"):
            continue
        steps = horizon if trial.status == "complete" else trial.logged_step + 1
        params = {name: float(value) for name, value in trial.params.items()}  # as the script itself resolved them
        expected = list(uninterrupted(params, trial.seed, steps))
        found.compared += 1
        for place, metric in enumerate(metrics):
            series = ledger.series(trial.id, metric)
            logged = len(series.steps)
            torn = logged == steps - 1 and trial.status != "complete"  # the last kill came between two metrics of one step
            values = [row[place] for row in expected[:logged]]
            if not (logged == steps or torn) or series.steps.tolist() != list(range(logged)):
                found.curves.append(f"{trial.id} {metric}: {len(series.steps)} steps of {steps}")
            elif not all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(series.values.tolist(), values, strict=True)):
                found.curves.append(f"{trial.id} {metric} differs from the uninterrupted curve")

"""The storm: random SIGKILLs over keeper, engine, supervisors and training, in the middle of a real study."""

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from secondshift.runtime.executors.processes import start_ticks
from secondshift.runtime.keepersight import lease_holder

from .audit import Findings, audit
from .stage import Plan, Process, Stage
from .table import Row, at_least, none_of

KINDS = ("keeper", "engine", "supervisor", "training")
WEIGHTS = (3, 4, 4, 4)
BURST = 0.2  # share of kills that come two at once
MERCY = 0.8  # share of strikes that leave alone a keeper and an engine that have just begun


@dataclass(kw_only=True)
class Storm:
    """How hard it blows, and what it has done so far."""

    kills: int
    patience_s: float
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    bursts: int = 0
    reruns: int = 0
    gave_up: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    samples: list[tuple[int, str]] = field(default_factory=list)  # last fact and digest of all facts, as seen on the way

    @property
    def total(self) -> int:
        """Processes killed so far."""
        return sum(self.done.values())


def blow(
    stage: Stage,
    storm: Storm,
    *,
    over: Callable[[Stage], bool] | None = None,
    delay: Callable[[Stage, Storm], float] | None = None,
    first: tuple[str, ...] = (),
    again: tuple[str, ...] = (),
) -> bool:
    """Kill until enough were killed and the study is over; say whether it came to its end.

    over: the end, if it is not that of all trials. delay: seconds to the next kill. first: flags of the command
    until its shift has begun; again: from then on.
    """
    over, delay = over or _over, delay or _delay
    deadline = time.monotonic() + storm.patience_s
    night = stage.run(*first)
    next_kill = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        code = night.poll()
        if code is not None:
            storm.codes[code] += 1
            if code == 0 and over(stage):
                return True
            storm.gave_up += code == 5
            time.sleep(storm.rng.uniform(0.0, 0.4))  # how long it takes systemd or a person to come back
            flags = again if stage.state().shifts else first
            night, storm.reruns = stage.run(*flags), storm.reruns + 1
        if storm.total < storm.kills and time.monotonic() >= next_kill:
            _strike(stage, storm)
            next_kill = time.monotonic() + delay(stage, storm)
        time.sleep(0.02)
    return False


def _over(stage: Stage) -> bool:
    state = stage.state()
    return state.shift is None and len(state.trials) >= stage.plan.trials and not state.open


def _delay(stage: Stage, storm: Storm) -> float:
    """Seconds to the next kill: random, faster when the study is further along than the kills."""
    try:
        finished = (stage.witness / "witness.jsonl").read_bytes().count(b'"is": "end"')
    except FileNotFoundError:
        finished = 0
    ahead = finished / stage.plan.trials - storm.total / storm.kills
    return storm.rng.uniform(0.05, 0.6) if ahead > 0 else storm.rng.uniform(0.4, 2.4)


def _strike(stage: Stage, storm: Storm) -> None:
    wanted = 2 if storm.rng.random() < BURST else 1
    victims: list[Process] = []
    kinds = storm.rng.choices(KINDS, WEIGHTS, k=4)
    if not _at_work(stage) and storm.rng.random() < MERCY:
        kinds = [kind for kind in kinds if kind in ("supervisor", "training")]
    for kind in kinds:
        if len(victims) < wanted and (victim := _victim(stage, kind, storm.rng)) and victim not in victims:
            victims.append(victim)
    sample(stage, storm)
    hit = [victim for victim in victims if victim.send(signal.SIGKILL)]
    storm.bursts += len(hit) > 1
    storm.done.update(victim.kind for victim in hit)


def _at_work(stage: Stage) -> bool:
    """Say whether an engine holds the lease: the middle of a night, not the first second of a start."""
    holder = lease_holder(stage.private)
    return holder is not None and start_ticks(holder.pid) == holder.start_ticks


def _victim(stage: Stage, kind: str, rng: random.Random) -> Process | None:
    if kind == "keeper":
        return stage.keeper()
    if kind == "engine":
        return stage.engine()
    found = stage.supervisors() if kind == "supervisor" else stage.trainings()
    return rng.choice(sorted(found, key=lambda process: process.pid)) if found else None


def sample(stage: Stage, storm: Storm) -> None:
    """Remember what the ledger shows now: it has acknowledged that, so that it may never change."""
    if storm.rng.random() > 0.25 or not (stage.private / "ledger.db").exists():
        return
    ledger = stage.ledger()
    try:
        newest = list(ledger.read(max(0, ledger.last_seq() - 1)))
    finally:
        ledger.close()
    storm.samples.extend((event.seq, repr(event)) for event in newest)


def changed(stage: Stage, samples: list[tuple[int, str]]) -> list[str]:
    """Facts that were seen on the way and are not there any more as they were."""
    ledger = stage.ledger()
    try:
        events = {event.seq: repr(event) for event in ledger.read()}
    finally:
        ledger.close()
    return [f"fact {seq} changed or vanished" for seq, text in samples if events.get(seq) != text]


def rows_of(found: Findings) -> list[Row]:
    """The rows that every audit fills."""
    return [
        none_of("recorded results lost", found.lost, "results"),
        none_of("results recorded twice", found.repeated, "results"),
        none_of("trials run twice at once", found.twice, "trials"),
        none_of("orphan processes", found.orphans, "processes"),
        none_of("charges unsettled", found.unsettled, "charges"),
        none_of("charges settled twice", found.settled_twice, "charges"),
        none_of("final curves unlike uninterrupted ones", found.curves, "curves"),
        none_of("trials not run to their end", found.unfinished, "trials"),
        none_of("attempts charged otherwise than they lived", found.cost, "attempts"),
        none_of("lives that nobody ordered", found.unwitnessed, "lives"),
        none_of("shifts that ended without their brief", found.briefs, "shifts"),
        none_of("ledger: gaps, damage, decisions that replay otherwise", found.ledger, "findings"),
    ]


def storm(*, quick: bool, seed: int) -> tuple[list[Row], str]:
    """Play the storm; return its rows, and the folder that was kept because something was wrong in it."""
    kills, trials = (16, 6) if quick else (212, 50)
    plan = Plan(name="storm", trials=trials, steps=36 if quick else 50, slots=3, seed=seed, step_s=0.06 if quick else 0.08)
    stage = Stage(plan)
    blowing = Storm(kills=kills, patience_s=50.0 if quick else 560.0, rng=random.Random(seed))
    began = time.monotonic()
    try:
        over = blow(stage, blowing)
        took = time.monotonic() - began
        found = audit(stage)
        vanished = changed(stage, blowing.samples)
    except BaseException:
        stage.close(keep=True)
        print(f"The storm could not be played to its end; its folder is {stage.root}", file=sys.stderr)
        raise
    wounded = bool(list(found.harm())) or bool(vanished) or not over
    stage.close(keep=wounded)
    by_kind = ", ".join(f"{blowing.done[kind]} {kind}" for kind in KINDS)
    least = (12, 6) if quick else (200, 40)
    rows = [
        at_least("SIGKILLs", blowing.total, least[0], "kills",
                 f"{by_kind}; {blowing.bursts} bursts of two, {blowing.reruns} reruns of the command"),
        at_least("trials of the study", found.trials, least[1], "trials",
                 f"{found.attempts} attempts, {found.resumed} trials resumed, in {took:.0f} s"),
        at_least("results witnessed", found.points, 1, "points"),
        *rows_of(found),
        none_of("facts seen on the way that changed", vanished, "facts"),
        Row(name="the keeper gave up", ours=blowing.gave_up, unit="times", holds=blowing.gave_up == 0),
        Row(
            name="charged beyond what the witness lived, worst attempt", ours=round(found.worst_over_s, 2), unit="s",
            target="<= 2.5", holds=found.worst_over_s <= 2.5,
            note=f"in all {found.charged_s:.1f} s charged, {found.lived_s:.1f} s lived; worst below: {found.worst_under_s:.2f} s",
        ),
        Row(
            name="the study came to its end", ours=float(over), target="1", holds=over,
            note=f"exit codes of the command: {dict(blowing.codes)}",
        ),
    ]  # fmt: skip
    return rows, str(stage.root) if wounded else ""

"""What the captain does only to save time, where it may: runs moved off a slow device, runs ended at their best. Nobody is asked.

What counts is not whether a kind is called a fault: a run that is ended must not have become better later, and one that is moved
must have been slow by the device's fault.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from captain.data import Stream
from captain.scoring import wilson
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import follow, start
from secondshift.policies.captain.unasked import saves
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Checkpoint, Summary, Trial

METRIC = "val_loss"
HOUR_S = 3600.0  # every run is taken to last so long: the small ones that there are last seconds, and moving them saves nothing
SLOW = frozenset({"straggler", "throttled", "straggler_x1.6"})  # kinds whose device is at fault


@dataclass(kw_only=True)
class Saved:
    """Counts over some runs."""

    runs: Counter[str] = field(default_factory=Counter)  # by kind
    moved: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    better: list[str] = field(default_factory=list)  # ended, and evaluation was better later than ever before
    lost: list[float] = field(default_factory=list)  # by how much: share of what evaluation had gained by then
    spared: list[float] = field(default_factory=list)  # share of the steps of those that were ended

    def moved_wrongly(self) -> int:
        """Runs that were moved though their device was not slow."""
        return sum(count for kind, count in self.moved.items() if kind not in SLOW)


def saved(streams: Iterable[Stream]) -> Saved:
    """What would have been done to each run, with another device free and its best evaluation as its result."""
    found = Saved()
    for stream in streams:
        kind = stream.expected.kind
        found.runs[kind] += 1
        _, told = follow(start(goal=stream.goal), stream.rows, announced=stream.announced)
        evaluations = [(int(row["step"] or 0), float(value)) for row in stream.rows if (value := row.get(METRIC)) is not None]
        horizon = int(stream.rows[-1]["step"] or 0) + 1
        sign = 1.0 if stream.goal == "min" else -1.0
        done: set[str] = set()
        for finding in told:
            if finding.symptom in done or not _worth(stream, evaluations, horizon, finding):
                continue
            done.add(finding.symptom)
            if finding.symptom == "slow_steps":
                found.moved[kind] += 1
                continue
            found.ended[kind] += 1
            found.spared.append(1.0 - (finding.step + 1) / horizon)
            values = [(step, sign * value) for step, value in evaluations if value == value]
            best = min(value for step, value in values if step <= finding.step)
            later = min((value for step, value in values if step > finding.step), default=best)
            if later < best:
                found.better.append(stream.name)
                found.lost.append((best - later) / max(1e-12, abs(values[0][1] - best)))
    return found


def _worth(stream: Stream, evaluations: Sequence[tuple[int, float]], horizon: int, finding: Finding) -> bool:
    known = [(step, value) for step, value in evaluations if step <= finding.step and value == value]
    low, high = (pick(known, key=lambda one: one[1], default=(-1, 0.0)) for pick in (min, max))
    summary = Summary(points=len(known), low=low[1], low_step=low[0], high=high[1], high_step=high[0])
    trial = Trial(
        id="t1", candidate="c1", seed=0, status="running", attempts=1, logged_step=finding.step, until_step=horizon,
        metrics={METRIC: summary} if known else {},
    )  # fmt: skip
    study = Study(
        name="s", command="c", folder=".", objective=Objective(metric=METRIC, goal=stream.goal, at="best"), horizon_steps=horizon
    )
    attempt = Attempt(id="t1.a1", trial="t1", number=1, status="running", devices=("GPU-1",))
    kept = (Checkpoint(trial="t1", step=1, folder="x", objective=0.0),)
    state = State(
        study=study, trials={"t1": trial}, attempts={"t1.a1": attempt}, checkpoints={"t1": kept}, free_devices=("GPU-2",)
    )
    stretch = HOUR_S / (horizon * finding.evidence.get("before_s", HOUR_S))
    times = {name: stretch * value for name, value in finding.evidence.items() if name.endswith("_s")}
    return saves(state, trial, replace(finding, evidence={**finding.evidence, **times}))


def lines(found: Saved) -> list[str]:
    """For people: how many were moved and ended, of which kinds, and what came of it."""
    faults = sum(found.runs[kind] for kind in SLOW)
    moved, wrong = found.moved.total() - found.moved_wrongly(), found.moved_wrongly()
    ended, better = found.ended.total(), len(found.better)
    low, high = wilson(better, ended)
    told = [
        f"  moved: {moved} of {faults} runs on slow devices, were each of them an hour long, "
        f"{wrong} of {found.runs.total() - faults} others",
        f"  ended at their best: {ended} of {found.runs.total()} runs, {dict(found.ended.most_common(8))}",
    ]
    if ended:
        told.append(
            f"  of those ended, better later than ever before: {better} ({better / ended:.3f}, {low:.3f} to {high:.3f}), "
            f"by {', '.join(f'{share:.3g}' for share in sorted(found.lost, reverse=True)[:6]) or '-'} of what was gained; "
            f"steps spared, median: {median(found.spared):.2f}"
        )
    return told

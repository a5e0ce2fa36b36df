"""What the demo checks about itself at the end: it says that nothing was lost only after looking."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.interfaces.demo.stories import Story, real
from secondshift.interfaces.demo.studies import Half
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records.trials import Trial
from secondshift.runtime import hosts


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at: a line for people, and whether it is as it must be."""

    fine: bool
    line: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one half of the demo came to."""

    key: str
    title: str
    trials: int
    complete: int
    steps: int  # over all trials
    device_s: float
    best: str  # trial; empty if none is complete
    value: float  # of the metric, at the horizon; NaN if none is complete


def result(half: Half, story: Story) -> Result:
    """Sum up a study: its best trial among those that ran all steps."""
    trials = list(story.state.trials.values())
    complete = [(story.value(t), t.id) for t in trials if t.status == "complete"]
    finite = sorted((value, name) for value, name in complete if value is not None and math.isfinite(value))
    value, best = finite[0] if finite else (math.nan, "")
    return Result(
        key=half.key, title=half.title, trials=len(trials), complete=len(complete), best=best, value=value,
        steps=sum(t.logged_step + 1 for t in trials), device_s=story.state.spend.settled_device_s,
    )  # fmt: skip


def examine(half: Half, story: Story, ledger: Ledger, *, crashes: int) -> Iterator[Finding]:
    """Look at everything that must hold after a shift; `crashes` trials were made to fail on purpose."""
    yield _settled(half, story)
    yield _none_left(half, story)
    yield from _curves(half, story, ledger)
    failed = [trial for trial in story.state.trials.values() if trial.status == "failed"]
    unexpected = [f"{trial.id}: {trial.reason}" for trial in failed if "drill" not in trial.reason]
    if unexpected or len(failed) != crashes:
        what = "; ".join(unexpected) or f"{len(failed)} failed, {crashes} were drilled to"
        yield Finding(fine=False, line=f"{half.key}: trials failed that should not have: {what[:600]}")
    if not any(trial.status == "complete" for trial in story.state.trials.values()):
        yield Finding(fine=False, line=f"{half.key}: no trial ran to its end, so there is nothing to compare.")


def _settled(half: Half, story: Story) -> Finding:
    """Every attempt that was ordered ended, and each was charged exactly once."""
    state, times = story.state, Counter(story.settled)
    odd = [name for name in story.ordered if times[name] != 1]
    if state.attempts or state.charges or state.shift or odd:
        open_ones = ", ".join([*state.attempts, *state.charges, *odd]) or "the shift"
        return Finding(fine=False, line=f"{half.key}: not settled, or not exactly once: {open_ones}")
    used = f"{state.spend.settled_device_s:.1f} device-seconds"
    text = f"{half.key}: {len(story.ordered)} attempts, each charged exactly once, {used}; nothing is open"
    return Finding(fine=True, line=real(story.last_settled, story.engine, text))


def _none_left(half: Half, story: Story) -> Finding:
    left = sorted({*processes_of(half.private), *(pid for pid in story.supervisors if _supervises(pid, half))})
    if left:
        return Finding(fine=False, line=f"{half.key}: processes are left behind: {', '.join(map(str, left))}")
    text = f"{half.key}: none of its {2 * len(story.pids)} supervisors and trainings is left"
    return Finding(fine=True, line=real(story.state.last_seq, os.getpid(), text))


def _curves(half: Half, story: Story, ledger: Ledger) -> Iterator[Finding]:
    """Each curve is without a gap up to the last step, also across kills, pauses and resumes."""
    holes = []
    for trial in story.state.trials.values():
        steps = ledger.series(trial.id, story.metric).steps
        if list(steps) != list(range(trial.logged_step + 1)):
            holes.append(f"{trial.id} ({len(steps)} points up to step {trial.logged_step})")
    if holes:
        yield Finding(fine=False, line=f"{half.key}: curves with gaps: {', '.join(holes)}")
        return
    resumed = sum(1 for trial in story.state.trials.values() if trial.attempts > 1)
    text = f"{half.key}: {len(story.state.trials)} curves without a gap, {resumed} of them resumed at least once"
    yield Finding(fine=True, line=real(story.state.last_seq, os.getpid(), text))


def agree(halves: Sequence[Half], stories: Sequence[Story]) -> Finding | None:
    """Compare trials that both searches ran to the end with the same parameters and seed, bit by bit.

    Their curves must be the same, although one was paused at each rung, or killed, and the other was not.
    None if there is no such pair.
    """
    ledgers = [open_ledger(half.private, readonly=True) for half in halves]
    try:
        curves = [_complete(story, ledger) for story, ledger in zip(stories, ledgers, strict=True)]
    finally:
        for ledger in ledgers:
            ledger.close()
    pairs = [(curves[0][key], curves[1][key]) for key in curves[0].keys() & curves[1].keys()]
    if not pairs:
        return None
    odd = [f"{first.trial} and {second.trial}" for first, second in pairs if first.values != second.values]
    if odd:
        line = f"trials of the same parameters and seed came out differently: {', '.join(odd)}"
        return Finding(fine=False, line=line)
    resumed = sum(1 for pair in pairs if max(curve.attempts for curve in pair) > 1)
    text = (
        f"{len(pairs)} trials ran to their end in both searches, {resumed} of them paused or killed on the way; "
        "every curve is the same in both, to the last bit"
    )
    return Finding(fine=True, line=real(stories[-1].state.last_seq, os.getpid(), text))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Curve:
    trial: str
    attempts: int
    values: bytes


def _complete(story: Story, ledger: Ledger) -> dict[str, _Curve]:
    """The curves of complete trials by what determines them: parameters and seed."""
    found = {}
    for trial in story.state.trials.values():
        if trial.status == "complete":
            key = json.dumps([sorted(trial.params.items()), trial.seed])
            values = ledger.series(trial.id, story.metric).values.tobytes()
            found[key] = _Curve(trial=trial.id, attempts=trial.attempts, values=values)
    return found


def processes_of(folder: Path) -> list[int]:
    """Find living processes of attempts below this folder, by what stands in their environment."""
    mark = b"SECONDSHIFT_ATTEMPT=" + os.fsencode(folder) + b"/"
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and mark in _read(f"/proc/{name}/environ") and hosts.start_ticks(int(name)):
            found.append(int(name))
    return found


def trains(pid: int, private: Path, attempt: str) -> bool:
    """Say whether this process is the training of just that attempt."""
    mark = b"SECONDSHIFT_ATTEMPT=" + os.fsencode(private / "attempts" / attempt) + b"\0"
    return hosts.start_ticks(pid) > 0 and mark in _read(f"/proc/{pid}/environ") + b"\0"


def _supervises(pid: int, half: Half) -> bool:
    return hosts.start_ticks(pid) > 0 and os.fsencode(half.private) in _read(f"/proc/{pid}/cmdline")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def named(trial: Trial) -> str:
    """Name a trial with its parameters."""
    parts = [f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in
             sorted(trial.params.items())]  # fmt: skip
    return f"{trial.id} ({', '.join(parts)})"

"""Keeping checkpoints within the study's disk cap: closed trials give up theirs first, an open one never its newest."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from secondshift.records.events import CheckpointPruned
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Checkpoint, best_saved
from secondshift.tracking import retention

_ORDER = ("failed", "stopped", "complete", "paused", "queued", "running")


def overflow(state: State) -> list[CheckpointPruned]:
    """Name the checkpoints that must go so that the rest fits `launch.disk_cap_mb`. Pure."""
    if state.study is None:
        return []
    cap = state.study.launch.disk_cap_mb * 1e6
    total = sum(c.bytes for kept in state.checkpoints.values() for c in kept)
    gone: list[CheckpointPruned] = []
    for checkpoint in _expendable(state) if total > cap else ():
        if total <= cap:
            break
        total -= checkpoint.bytes
        status = state.trials[checkpoint.trial].status
        reason = f"checkpoints passed the cap of {cap / 1e6:g} MB; its trial is {status}"
        gone.append(CheckpointPruned(trial=checkpoint.trial, step=checkpoint.step, reason=reason))
    return gone


def _expendable(state: State) -> Iterator[Checkpoint]:
    """Checkpoints that nobody will resume from, least useful first; what a trial could be taken back to goes last, and so does
    the best that a trial left."""
    by_use = sorted(state.checkpoints, key=lambda name: _ORDER.index(state.trials[name].status))
    promised = {(heir.inherits.trial, heir.inherits.step) for heir in state.heirs()}
    for name in by_use:
        kept = tuple(c for c in state.checkpoints[name] if (name, c.step) not in promised)
        if not state.trials[name].open():
            best = best_saved(kept, state.study.objective) if state.study is not None else None
            yield from sorted(kept, key=lambda c: c is best)
            continue
        by_step = {checkpoint.step: checkpoint for checkpoint in kept}
        yield from (by_step[step] for step in retention.giving_up(by_step))


def own_folder(folder: Path, attempt: str) -> Path:
    """Where an attempt that is on its own saves: no other attempt finds anything there."""
    return folder / "attempts" / attempt / "checkpoints"


def clear(folder: Path, attempt: str) -> None:
    """Delete what an attempt that was on its own has saved, once nothing of it lives; nobody uses it."""
    shutil.rmtree(own_folder(folder, attempt), ignore_errors=True)


def set_aside(folder: Path, attempt: Attempt) -> None:
    """Move checkpoints that an attempt must not use out of its script's sight; none is deleted.

    Those of more steps than it may go back to; all of them where nobody proved that the script resumes. Each move is one
    rename, so that a crash between two of them leaves the rest to be moved when the attempt is submitted again; what the
    attempt itself has saved by then stays.
    """
    if attempt.status != "ordered":
        return
    trial = folder / "trials" / attempt.trial
    for place in sorted((trial / "checkpoints").glob("*")):
        step = place.name.removeprefix("step-")
        too_late = attempt.back_to >= 0 and step.isdigit() and int(step) > attempt.back_to
        if (attempt.alone or too_late) and _saved_by(place) != attempt.id:
            aside = trial / "set-aside" / f"before-{attempt.id}"
            aside.mkdir(parents=True, exist_ok=True)
            place.rename(aside / place.name)


def _saved_by(checkpoint: Path) -> str:
    """The attempt that a checkpoint names; empty where it cannot be read, as for a script's own."""
    try:
        return str(json.loads((checkpoint / "manifest.json").read_bytes()).get("attempt", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def delete(folder: Path, pruned: Sequence[CheckpointPruned], *, whole: bool = False) -> None:
    """Delete pruned checkpoints; those that are gone already are passed over.

    `whole`: the script keeps its checkpoints itself, and all that lies in a trial's folder is one.
    """
    for fact in pruned:
        if whole:
            shutil.rmtree(folder / "trials" / fact.trial / "checkpoints", ignore_errors=True)
        shutil.rmtree(folder / "trials" / fact.trial / "checkpoints" / f"step-{fact.step}", ignore_errors=True)

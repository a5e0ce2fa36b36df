"""Checkpoints that a script keeps by itself: what its folder says about how far it would resume, and no promise more.

Such a script tells nobody when it saves. So its folder is looked at whenever its points are read, and a change counts
for the steps that had been logged before it, once the change is over. A claim may be too small; one that was too large
is put right by the first step that the next attempt logs (`resumed`).
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.metricnames import of_script
from secondshift.records.orders import Chunk
from secondshift.records.states import State
from secondshift.records.trials import OWN, Attempt, Checkpoint, Trial
from secondshift.runtime.executors.sampling import SAMPLES

RESTARTED = "the script started again from its first step although checkpoints existed"
NOTHING_SAVED = "the script was paused and left no checkpoint in its folder"
MOST_FILES = 20_000  # looked at in one folder
LATE_S = 1.0  # by so much a clock may differ from a file's time
# Logs that people keep beside checkpoints, and files that are still being written under another name.
_NO_CHECKPOINT = re.compile(r"events\.out\.tfevents\..*|.*\.(?:log|out|err|csv|tsv|jsonl|txt|lock|tmp|part)(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a folder looked like: its newest file, and the size of all."""

    changed_ns: int
    inode: int
    size: int  # of the newest file, bytes
    total: int  # bytes


@dataclass(kw_only=True, slots=True)
class _Memory:
    """What was seen of one attempt's folder; lost with the engine, which then claims less."""

    pending: Seen | None = None  # a change that may not be over
    steps: int | None = None  # logged before it; None: nobody was looking then
    done_ns: int = 0  # changes up to here are dealt with


@dataclass(kw_only=True, slots=True)
class OwnSaves:
    """Looks at the checkpoint folders of one study's trials."""

    folder: Path  # the study's private folder
    _memory: dict[str, _Memory] = field(default_factory=dict)  # by attempt

    def look(self, state: State, attempt: Attempt, chunks: Sequence[Chunk], *, ended: bool) -> list[facts.Payload]:
        """Say what was saved since the last look; call it after the attempt's points were read, with those points.

        Nothing for a script that says by itself what it saves. `ended`: nothing of the attempt lives any more.
        """
        if state.study is None or state.study.tier != "resumable" or attempt.alone:
            return []
        trial = state.trials[attempt.trial]
        first = _first_step(attempt, chunks)
        again = first is not None and first < attempt.from_step
        before = min(trial.logged_step + 1, first) if again and first is not None else trial.logged_step + 1
        now = max([before, *(max(b.steps) + 1 for c in chunks for b in c.batches if len(b.steps) and of_script(b.metric))])
        known = newest_own(state, trial.id)
        place = f"trials/{trial.id}/checkpoints"
        seen = newest(self.folder / place)
        memory = self._memory.get(attempt.id)
        looked_before = memory is not None
        memory = self._memory.setdefault(attempt.id, _Memory())
        if ended:
            self._memory.pop(attempt.id)
        if seen is None or seen.changed_ns <= max(memory.done_ns, changed_ns(known)):
            return []
        sure = looked_before or _later(attempt, seen)
        claim, steps = _over(memory, seen, before if sure else None, ended=ended)
        if claim is seen and _quiet(self.folder / "attempts" / attempt.id, attempt, chunks, seen.changed_ns):
            steps = now  # whatever was logged was there before the folder changed
        if claim is None or steps is None:
            return []
        memory.done_ns = claim.changed_ns
        if steps <= (0 if again else trial.steps_done):
            return []
        checkpoint = Checkpoint(
            trial=trial.id, step=steps, folder=place, bytes=claim.total, digest=f"{OWN}{claim.changed_ns}",
            attempt=attempt.id,
        )  # fmt: skip
        return [facts.CheckpointSaved(checkpoint=checkpoint)]


def resumed(state: State, attempt: Attempt, chunks: Sequence[Chunk], number: int) -> list[facts.Payload]:
    """Put right where an attempt resumed, by the first step it logged; to be recorded before its points.

    `number` counts the incidents that are about to be recorded beside this one.
    """
    first = _first_step(attempt, chunks)
    known = newest_own(state, attempt.trial)
    if first is None or known is None or first >= attempt.from_step:
        return []
    trial = state.trials[attempt.trial]
    if first > _origin(trial) or attempt.from_step - first <= 1:
        where = replace(known, step=first, attempt=attempt.id)
        return [facts.CheckpointSaved(checkpoint=where)] if first else []
    reason = f"{RESTARTED}: it logged step {first} where step {attempt.from_step} was to come"
    incident = _incident(state, number, trial.id, RESTARTED, attempt, (reason, f"its checkpoints: {known.folder}"))
    return [facts.CheckpointRejected(trial=trial.id, step=known.step, reason=reason), *incident]


def left_nothing(
    state: State, attempt: Attempt, cause: str, saved: Sequence[facts.Payload], number: int
) -> list[facts.Payload]:
    """Open an incident where a paused script that should resume has no checkpoint: it will begin at 0 again."""
    trial, study = state.trials[attempt.trial], state.study
    if study is None or study.tier != "resumable" or attempt.alone or cause != "pause" or newest_own(state, trial.id) is not None:
        return []
    if any(isinstance(fact, facts.CheckpointSaved) and fact.checkpoint.trial == trial.id for fact in saved):
        return []
    if trial.logged_step < 0 or trial.logged_step + 1 >= study.horizon_steps:
        return []
    said = f"it had logged {trial.logged_step + 1} steps; its folder is trials/{trial.id}/checkpoints"
    return _incident(state, number, trial.id, NOTHING_SAVED, attempt, (said,))


def _incident(
    state: State, number: int, trial: str, finding: str, attempt: Attempt, evidence: tuple[str, ...]
) -> list[facts.Payload]:
    """Open an incident, unless one of the same finding is open: it is the script that is wrong, not each trial."""
    if any(incident.finding == finding for incident in state.incidents.values()):
        return []
    incident = Incident(
        id=f"i{state.incidents_seen + number + 1}", subject=trial, finding=finding, evidence=(attempt.id, *evidence),
        action="went on; steps that are run again count once", opened_at=state.last_at,
    )  # fmt: skip
    return [facts.IncidentOpened(incident=incident)]


def newest(folder: Path) -> Seen | None:
    """Find the newest file of a folder and all below it, by the time of its last change; None if there is none."""
    found: os.stat_result | None = None
    total = 0
    for number, entry in enumerate(_files(str(folder))):
        if number >= MOST_FILES:
            break
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        total += status.st_size
        if status.st_size and (found is None or status.st_ctime_ns > found.st_ctime_ns):
            found = status
    if found is None:
        return None
    return Seen(changed_ns=found.st_ctime_ns, inode=found.st_ino, size=found.st_size, total=total)


def saved_files(folder: Path) -> tuple[str, ...]:
    """Name the files of a folder that may be checkpoints, relative to it, sorted."""
    return tuple(sorted(os.path.relpath(entry.path, folder) for entry in islice(_files(str(folder)), MOST_FILES)))


def newest_own(state: State, trial: str) -> Checkpoint | None:
    """The newest checkpoint of a trial, if it is one of the script's own."""
    kept = state.checkpoints.get(trial, ())
    return kept[-1] if kept and kept[-1].own() else None


def changed_ns(checkpoint: Checkpoint | None) -> int:
    """When the folder changed that this checkpoint stands for, in ns since 1970; 0 for none."""
    return int(checkpoint.digest.removeprefix(OWN)) if checkpoint is not None else 0


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        elif entry.is_file(follow_symlinks=False) and not _NO_CHECKPOINT.fullmatch(entry.name):
            yield entry


def _over(memory: _Memory, seen: Seen, before: int | None, *, ended: bool) -> tuple[Seen | None, int | None]:
    """Name the change that is over by now, if any, and the steps that were logged before it."""
    last, steps = memory.pending, memory.steps
    if last is not None and last.changed_ns == seen.changed_ns:
        return seen, steps  # nothing more came for a whole look
    growing = last is not None and last.inode == seen.inode and seen.size > last.size
    memory.pending, memory.steps = seen, steps if growing else before
    if ended:
        return seen, memory.steps
    return (None, None) if growing else (last, steps)  # another file is written now: the one before is done


def _later(attempt: Attempt, seen: Seen) -> bool:
    """Say, on the first look of an engine, whether the change came after all points that are in the ledger."""
    return attempt.last_log_at == 0.0 or seen.changed_ns / 1e9 > attempt.last_log_at + LATE_S


def _quiet(folder: Path, attempt: Attempt, chunks: Sequence[Chunk], changed: int) -> bool:
    """Say whether the script printed or logged nothing since the folder changed."""
    try:
        names = {"output.log", *attempt.offsets, *(chunk.fragment for chunk in chunks)} - {SAMPLES}
        return all((folder / name).stat().st_mtime_ns < changed for name in names)
    except OSError:
        return False  # points come from somewhere else


def _first_step(attempt: Attempt, chunks: Sequence[Chunk]) -> int | None:
    """The step at which an attempt began to log, if these are its first points; of several metrics the latest one."""
    if attempt.last_log_at or not attempt.from_step:
        return None
    for chunk in chunks:
        if begun := [batch.steps[0] for batch in chunk.batches if len(batch.steps) and of_script(batch.metric)]:
            return max(begun)
    return None


def _origin(trial: Trial) -> int:
    """The first step that a trial ever logged: scripts count from 0 or from 1, or log each hundredth step."""
    return min((summary.first_step for name, summary in trial.metrics.items() if summary.points and of_script(name)), default=0)

"""What came in since the last tick: requests, points, starts and ends, turned into facts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

from secondshift.ledger.batches import crc
from secondshift.ledger.summaries import counts_steps, summarise
from secondshift.records import events as facts
from secondshift.records.guards import guards_of
from secondshift.records.metricnames import of_machine, of_script
from secondshift.records.orders import Batch, Chunk, Note, Sign
from secondshift.records.states import State
from secondshift.records.studies import Value
from secondshift.records.trials import Attempt, Checkpoint, Health
from secondshift.runtime import ownsaves, pruning, spool
from secondshift.runtime.executors.protocol import Executor
from secondshift.runtime.executors.sampling import BUSY_CPU, BUSY_GPU, SAMPLES
from secondshift.runtime.modelnotes import layers_in
from secondshift.runtime.readers.samples import at_step
from secondshift.runtime.snapshots import mask
from secondshift.tracking.wire import WALL


@dataclass(kw_only=True, slots=True)
class Intake:
    """Facts and points that belong into one transaction."""

    out: list[facts.Payload] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # ids to discard from the spool once recorded

    def __bool__(self) -> bool:
        return bool(self.out or self.requests)


def requests(state: State, folder: Path) -> Intake:
    """Read the spool. A request that was recorded before a crash is only discarded, not recorded again."""
    intake = Intake()
    for request in spool.pending(folder):
        intake.requests.append(request.id)
        if request.id not in state.answered:
            intake.out.append(request)
    return intake


def observations(
    state: State, executor: Executor, now: float, collected: dict[str, float], saves: ownsaves.OwnSaves
) -> Intake:
    """Ask the executor what started, what ended and what was logged.

    The points of an attempt that ended are read to the last before its end becomes a fact; those of one that runs, as
    often as its age deserves. `collected` remembers when (study clock, seconds), and is only a pace: losing it is harmless.
    `saves` looks at the checkpoints that a script keeps by itself.
    """
    intake = Intake()
    signs = executor.poll(list(state.attempts.values()))
    ended = {sign.attempt: sign for sign in signs if sign.kind == "ended"}
    for sign in signs:
        attempt = state.attempts.get(sign.attempt)
        if sign.kind == "started" and attempt is not None and attempt.status == "ordered":
            intake.out.append(
                facts.AttemptStarted(
                    attempt=sign.attempt, supervisor=sign.supervisor, pid=sign.pid, fingerprint=sign.fingerprint
                )
            )
    for attempt in state.attempts.values():
        due = now - collected.get(attempt.id, -math.inf) >= _pace_s(now - attempt.ordered_at)
        if due or attempt.id in ended:
            collected[attempt.id] = now
            chunks = _chunks(executor, attempt, to_the_end=attempt.id in ended)
            _take_points(intake, state, attempt, chunks, saves, ended.get(attempt.id))
    for attempt_id, sign in ended.items():
        collected.pop(attempt_id, None)
        if attempt_id in state.attempts:
            if state.attempts[attempt_id].alone and not _wanted_later(state):
                pruning.clear(saves.folder, attempt_id)  # before its end is recorded: a crash between repeats this
            intake.out.extend(end_facts(state.attempts[attempt_id], sign))
    return intake


def _wanted_later(state: State) -> bool:
    """Say whether a person put the checkpoint folder into the command of an opaque script: then it holds their results."""
    study = state.study
    return study is not None and study.tier_offered() == "opaque" and "{checkpoint_dir}" in study.command


def _pace_s(age_s: float) -> float:
    """Seconds between two readings: at once while a trial is young, 10 s for one that runs all night.

    Each reading costs the ledger 0.5 kB and 0.3 kB a metric, however few points it brings: ten a second for eight hours
    would be hundreds of MB a trial. So that 100,000 points stay below 3.2 MB (DESIGN §7), it happens each 2 % of the age.
    """
    return min(10.0, age_s / 50.0)


def _chunks(executor: Executor, attempt: Attempt, *, to_the_end: bool) -> list[Chunk]:
    found: list[Chunk] = []
    while True:
        chunks = executor.collect(attempt)
        found.extend(chunks)
        if not to_the_end or not any(chunk.end > chunk.start for chunk in chunks):
            return found
        attempt = replace(attempt, offsets={**attempt.offsets, **{c.fragment: c.end for c in chunks}})


def _take_points(
    intake: Intake, state: State, attempt: Attempt, chunks: list[Chunk], saves: ownsaves.OwnSaves, end: Sign | None
) -> None:
    """Take in an attempt's points between what they say of its beginning and what its checkpoint folder says after."""
    incidents = sum(isinstance(fact, facts.IncidentOpened) for fact in intake.out)
    intake.out.extend(ownsaves.resumed(state, attempt, chunks, incidents))
    for chunk in chunks:
        if chunk.fragment == SAMPLES:
            chunk = at_step(chunk, _newest_step(state, attempt, chunks))
        intake.out.extend(_chunk_facts(attempt, chunk, _guarded(state)))
        intake.batches.extend(chunk.batches)
    saved = saves.look(state, attempt, chunks, ended=end is not None)
    intake.out.extend(saved)
    if end is not None and end.exit is not None:
        incidents = sum(isinstance(fact, facts.IncidentOpened) for fact in intake.out)
        intake.out.extend(ownsaves.left_nothing(state, attempt, end.exit.cause, saved, incidents))


def _newest_step(state: State, attempt: Attempt, chunks: Iterable[Chunk]) -> int:
    """The trial's newest step, with what has just been read: the one that measurements of the machine get."""
    own = (b for chunk in chunks for b in chunk.batches if of_script(b.metric) and counts_steps(state.study, b.metric))
    return max(0, state.trials[attempt.trial].logged_step, *(max(b.steps, default=-1) for b in own))


def _without_keys(text: str) -> str:
    """Mask what looks like a key: a script's last words go into the ledger and the brief."""
    return mask(text.encode("utf-8", "replace"))[0].decode()


def end_facts(attempt: Attempt, sign: Sign) -> list[facts.Payload]:
    """The end of an attempt and what it cost: device-seconds as its supervisor measured them."""
    exit = sign.exit
    if exit is None:
        raise ValueError(
            f"An ended sign of {attempt.id} carries no exit. Expected a records.trials.Exit; fix the executor."
        )
    device_s = exit.elapsed_s * max(1, len(attempt.devices))
    over = device_s - attempt.grant_s * max(1, len(attempt.devices))
    note = f"{over:.2f} device-seconds past what was reserved (stop latency)" if over > 0 else ""
    return [
        facts.AttemptEnded(attempt=attempt.id, exit=replace(exit, message=_without_keys(exit.message))),
        facts.ChargeSettled(charge=attempt.id, trial=attempt.trial, device_s=device_s, note=note),
    ]


def _guarded(state: State) -> frozenset[str]:
    """Measurements of ours that a guard of the study names: of these, too, a trial keeps the worst it has shown."""
    objective = state.study.objective if state.study is not None else None
    return frozenset(guard.metric for guard in guards_of(objective)) if objective is not None else frozenset()


def _chunk_facts(attempt: Attempt, chunk: Chunk, guarded: frozenset[str] = frozenset()) -> list[facts.Payload]:
    """Facts of one chunk: what was restored comes before its points, what was saved after them."""
    notes = [note for note in chunk.notes if not (attempt.alone and note.kind in _OF_CHECKPOINTS)]
    before = [fact for note in notes if note.kind in _EARLY for fact in _note_facts(attempt, note)]
    after = [fact for note in notes if note.kind not in _EARLY for fact in _note_facts(attempt, note)]
    logged = facts.MetricsLogged(
        attempt=attempt.id,
        trial=attempt.trial,
        fragment=chunk.fragment,
        start=chunk.start,
        end=chunk.end,
        points=sum(len(batch.steps) for batch in chunk.batches),
        crc=crc(chunk.batches),
        metrics={b.metric: summarise(b.steps, b.values) for b in chunk.batches if of_script(b.metric) or b.metric in guarded},
        machine=bool(chunk.batches) and all(b.metric == WALL or of_machine(b.metric) for b in chunk.batches),
        rests=_rests(chunk.batches),
        **_rhythm(chunk.batches),
    )
    return [*before, logged, *after]


def _rests(batches: Iterable[Batch]) -> bool | None:
    """Whether the newest sample among these points shows neither a CPU nor a GPU at work; None where none is among them."""
    newest = {batch.metric: batch.values[-1] for batch in batches if len(batch.values)}
    return newest["sys/cpu"] < BUSY_CPU and newest.get("sys/gpu_util", 0.0) < BUSY_GPU if "sys/cpu" in newest else None


def _rhythm(batches: Iterable[Batch]) -> dict[str, float]:
    """When the script logged these points, by its own clock; nothing where it does not tell."""
    times = next((batch.values for batch in batches if batch.metric == WALL), ())
    if not times:
        return {}
    gap = max((b - a for a, b in pairwise(times)), default=0.0)
    return {"first_s": round(times[0], 3), "last_s": round(times[-1], 3), "gap_s": round(max(0.0, gap), 3)}


_HEALTHS: Mapping[str, Health] = {health: health for health in get_args(Health) if health}
_EARLY = ("hello", "params", "rejected", "restored", "announced", "applied")  # announced: what may follow in the points
_OF_CHECKPOINTS = ("saved", "restored", "rejected", "pruned")  # of no use to an attempt that is on its own


def _note_facts(attempt: Attempt, note: Note) -> Iterable[facts.Payload]:
    values = note.values
    step = _whole(values.get("step"))
    match note.kind:
        case "params":
            yield facts.ParamsResolved(trial=attempt.trial, params=values)
        case "saved":
            yield facts.CheckpointSaved(
                checkpoint=Checkpoint(
                    trial=attempt.trial, step=step, folder=str(values.get("folder", "")),
                    bytes=_whole(values.get("bytes")), digest=str(values.get("digest", "")), attempt=attempt.id,
                    objective=_number(values.get("objective")),
                )
            )  # fmt: skip
        case "rejected":
            reason = str(values.get("reason", "checksum"))
            yield facts.CheckpointRejected(trial=attempt.trial, step=step, reason=reason)
        case "restored" if step < attempt.from_step:
            reason = f"not there any more; the script restored step {step}"
            yield facts.CheckpointRejected(trial=attempt.trial, step=attempt.from_step, reason=reason)
        case "unsaved":
            reason = _without_keys(str(values.get("reason", "")))
            yield facts.CheckpointFailed(trial=attempt.trial, attempt=attempt.id, step=step, reason=reason)
        case "announced":
            what = _without_keys(str(values.get("what", "")))
            yield facts.ChangeAnnounced(trial=attempt.trial, attempt=attempt.id, step=step, what=what)
        case "applied":
            yield facts.DirectiveApplied(
                trial=attempt.trial, attempt=attempt.id, directive=str(values.get("directive", "")), step=step,
                value=str(values.get("value", "")),
            )  # fmt: skip
        case "described" if layers := layers_in(str(values.get("layers", ""))):
            yield facts.ModelDescribed(trial=attempt.trial, attempt=attempt.id, layers=layers)
        case "pruned":
            yield facts.CheckpointPruned(trial=attempt.trial, step=step, reason="newer ones are kept")
        case "dropped":
            reason = str(values.get("reason", "could not be written"))
            points = _whole(values.get("count", values.get("points")))
            yield facts.PointsDropped(attempt=attempt.id, trial=attempt.trial, points=points, reason=reason)
        case "damaged":
            reason = str(values.get("reason", "")) or f"{values.get('bytes', 0)} damaged bytes in the stream"
            yield facts.PointsDropped(attempt=attempt.id, trial=attempt.trial, points=0, reason=reason)
        case "health" if (health := _HEALTHS.get(str(values.get("health")))):
            yield facts.AttemptHealth(
                attempt=attempt.id, health=health, waits_on=_without_keys(str(values.get("waits_on", "")))[:40],
                after_s=_seconds(values.get("after_s")),
            )  # fmt: skip
        case "closed":
            yield facts.AttemptClosed(
                attempt=attempt.id, clean=bool(values.get("clean")), stopping=bool(values.get("stopping")),
                steps_done=_whole(values.get("steps_done")),
            )  # fmt: skip


def _seconds(value: Value | None) -> float:
    """Return a length of time of a note, 0 for what is none."""
    number = value if isinstance(value, int | float) else 0.0
    return float(number) if 0 <= number < 1e9 else 0.0


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: Value | None) -> int:
    """Return a number of a note as the ledger can hold it: a script that runs wild must not stop the engine."""
    number = int(value) if isinstance(value, int) else 0  # a bool is one, too, and would not be read back as a number
    return number if -(1 << 63) <= number < 1 << 63 else 0

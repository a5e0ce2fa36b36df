"""Past runs on their way into a study: one file for each, put below `imports/` by rename, taken in exactly once.

A file is whole or not there. The one process that writes the ledger records a run and its points in one transaction,
and only then removes the file; a crash between the two shows the file again, and what the ledger knows by its content
is not recorded twice.
"""

import errno
import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from secondshift.errors import FolderReadOnly, LedgerFull
from secondshift.ledger.batches import crc
from secondshift.ledger.leases import sync_folder
from secondshift.records import events as facts
from secondshift.records.orders import Batch
from secondshift.records.pastruns import Columns
from secondshift.records.states import State
from secondshift.records.studies import Study

MOST_RUNS, MOST_POINTS = 50, 500_000  # taken in by one transaction, so that a tick stays short
_MAGIC = b"secondshift past run 1\n"
_DIGEST = 32  # bytes of sha256
_ENDING = ".run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One past run as it waits to be recorded."""

    fact: facts.RunImported  # without a trial's id
    fits: str  # digest of what of the study it was fitted to
    columns: tuple[
        tuple[str, bytes, bytes], ...
    ] = ()  # metric, steps (int64), values (float64), as this machine writes them


@dataclass(kw_only=True, slots=True)
class Taken:
    """Facts and points for one transaction, and the files that are done with once it is recorded."""

    out: list[facts.Payload] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def fits(study: Study) -> str:
    """Digest what of a study a run is fitted to: objective, horizon, schedule and space."""
    parts = [study.objective, study.horizon_steps, study.schedule, study.space]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def prepare(folder: Path, study: Study, fact: facts.RunImported, columns: Columns) -> Path:
    """Leave a run for the process that writes the ledger; durable when it returns. The same run is the same file.

    folder: the study's private one. Raises LedgerFull, FolderReadOnly.
    """
    packed = tuple((name, steps.tobytes(), values.tobytes()) for name, (steps, values) in columns.items())
    body = msgspec.msgpack.encode(Prepared(fact=fact, fits=fits(study), columns=packed))
    place = folder / "imports"
    file, draft = place / f"{fact.digest}{_ENDING}", place / "tmp" / f"{fact.digest}.{os.getpid()}"
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb") as opened:
            opened.write(_MAGIC + hashlib.sha256(body).digest() + body)
            opened.flush()
            os.fsync(opened.fileno())
        draft.rename(file)
        sync_folder(place)
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"The disk is full: no past run could be kept in {place}. Free some space, and import again."
            raise LedgerFull(text) from problem
        raise FolderReadOnly(
            f"{place} cannot be written ({problem.strerror}). Make it writable, and import again."
        ) from problem
    return file


def pending(folder: Path) -> list[Path]:
    """Return the files of runs that wait, the oldest first: of two states of one run the later one shall stand."""
    try:
        waiting = [entry for entry in os.scandir(folder / "imports") if entry.name.endswith(_ENDING)]
        return [Path(entry.path) for entry in sorted(waiting, key=lambda e: (e.stat().st_mtime_ns, e.name))]
    except OSError:
        return []  # there are none, or one went away meanwhile: the next tick looks again


def take(state: State, folder: Path) -> Taken:
    """Read runs that wait, as many as one transaction shall hold. A file that cannot be used is put aside with a sentence."""
    taken, points = Taken(), 0
    files = pending(folder)
    if not files or state.study is None:
        return taken
    wanted = fits(state.study)
    known = Known(state)
    for file in files:
        if len(taken.out) >= MOST_RUNS or points >= MOST_POINTS:
            break
        try:
            found = _read(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as problem:
            _refuse(file, f"it cannot be read: {problem}. Import the run again.")
            continue
        if found.fits != wanted:
            _refuse(file, "the study's objective, horizon or search space was changed since. Import the run again.")
            continue
        taken.files.append(file)
        if not known.same(found.fact):
            batches, fact = _placed(found, known.add(found.fact), state)
            taken.out.append(fact)
            taken.batches += batches
            points += fact.points
    return taken


def take_in(state: State, folder: Path, record: Callable[[Sequence[facts.Payload], Sequence[Batch]], None]) -> bool:
    """Record runs that wait, in one transaction; what is recorded leaves its folder. Returns whether there were any.

    record: appends facts and points to the ledger, or raises.
    """
    taken = take(state, folder)
    record(taken.out, taken.batches)
    discard(taken.files)
    return bool(taken.files)


def discard(files: Iterable[Path]) -> None:
    """Forget files whose runs are recorded. One that cannot be removed is known by its content, and never counts again."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            continue


class Known:
    """Which past runs a study holds already: by content, and by the source's own id."""

    def __init__(self, state: State) -> None:
        revision = state.study.revision if state.study else 1
        mine = [i for i in state.imported.values() if i.trial.revision == revision]
        self.digests = {i.digest: i.trial.id for i in mine}
        self.runs = {(i.source, i.run): i.trial.id for i in mine}
        self.imports = state.imports

    def same(self, fact: facts.RunImported) -> str:
        """Name the trial of a run with the very same content; empty if there is none."""
        return self.digests.get(fact.digest, "")

    def add(self, fact: facts.RunImported) -> facts.RunImported:
        """Give a run its id, and the trial it takes the place of: the same run as it was at an earlier import."""
        self.imports += 1
        old = self.runs.get((fact.source, fact.run), "")
        self.digests = {digest: trial for digest, trial in self.digests.items() if trial != old}
        numbered = replace(fact, trial=f"p{self.imports}", supersedes=old)
        self.digests[fact.digest] = self.runs[fact.source, fact.run] = numbered.trial
        return numbered


def _placed(found: Prepared, fact: facts.RunImported, state: State) -> tuple[list[Batch], facts.RunImported]:
    batches = []
    for name, steps, values in found.columns:
        batch = Batch(trial=fact.trial, attempt=fact.trial, metric=name, steps=array("q"), values=array("d"))
        batch.steps.frombytes(steps)
        batch.values.frombytes(values)
        batches.append(batch)
    revision = state.study.revision if state.study else 1
    return batches, replace(fact, revision=revision, crc=crc(batches), points=sum(len(b.steps) for b in batches))


def _read(file: Path) -> Prepared:
    data = file.read_bytes()
    digest, body = data[len(_MAGIC) : len(_MAGIC) + _DIGEST], data[len(_MAGIC) + _DIGEST :]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise ValueError("it is not what secondshift wrote")
    return msgspec.msgpack.decode(body, type=Prepared)  # what it raises is a ValueError


def _refuse(file: Path, why: str) -> None:
    """Put a file aside with a sentence beside it; where even that fails, leave it alone."""
    refused = file.parent / "refused"
    try:
        refused.mkdir(exist_ok=True)
        file.replace(refused / file.name)
        (refused / f"{file.name}.why.txt").write_text(f"This past run was not taken in: {why}\n", "utf-8")
    except OSError:
        return


def refusal(file: Path) -> str:
    """Return why a file was put aside; empty if it was not."""
    try:
        return (file.parent / "refused" / f"{file.name}.why.txt").read_text("utf-8").strip()
    except OSError:
        return ""

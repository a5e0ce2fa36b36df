"""Reads all that an attempt says, wherever its study looks for it: fragments, printed lines, and files of libraries."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import get_args

from secondshift.records.metricnames import of_machine
from secondshift.records.orders import Chunk
from secondshift.records.studies import MetricsFrom, Source
from secondshift.runtime.executors.attempt_files import read_object
from secondshift.runtime.executors.sampling import SAMPLES
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.dialects import Dialect, dialect_of
from secondshift.runtime.readers.eventfiles import read_events
from secondshift.runtime.readers.file_stores import metric_name, read_database, read_metric
from secondshift.runtime.readers.fragments import LIMIT, collect_folder, entries
from secondshift.runtime.readers.offline_runs import read_run
from secondshift.runtime.readers.samples import read_samples
from secondshift.runtime.readers.sources import OUTPUT, Followed, followed_files
from secondshift.runtime.readers.texts import read_text
from secondshift.tracking import wire

_FIELDS = frozenset(field.name for field in fields(MetricsFrom))


def collect_attempt(
    folder: str | os.PathLike[str], offsets: Mapping[str, int], *, trial: str, attempt: str, limit: int = LIMIT
) -> list[Chunk]:
    """Return what is new in an attempt's streams, at most about `limit` bytes of each kind.

    What is read beside the fragments is said by the attempt's order. `offsets` maps the names of files to the `end` of
    the last committed chunk. Call again until the list is empty. Never raises on what the script wrote.
    """
    chunks = collect_folder(folder, offsets, trial=trial, attempt=attempt, limit=limit)
    place = os.fspath(folder)
    ended = os.path.exists(os.path.join(place, "exit.json"))
    if sampled := read_samples(place, offsets.get(SAMPLES, 0), trial=trial, attempt=attempt, ended=ended):
        chunks.append(sampled)
    order = read_object(os.path.join(place, "order.json"))
    metrics = _metrics(order.get("metrics"))
    if metrics.source == "sdk" or (metrics.source == "auto" and not metrics.pattern and _uses_sdk(place)):
        return chunks
    for file in _files(place, str(order.get("cwd", "")), metrics, offsets, ended):
        if limit <= 0:
            break
        start = offsets.get(file.name, 0)
        columns, end = _read(file, start, metrics, ended, limit, _number(order.get("from_step")))
        if end == start:
            continue
        if end < start:
            start = 0  # truncated, and read again from its beginning
        batches, notes = columns.batches(trial, attempt), columns.notes()
        chunks.append(Chunk(attempt=attempt, fragment=file.name, start=start, end=end, batches=batches, notes=notes))
        limit -= end - start
    return chunks


def reader_of(metrics: MetricsFrom, first: int = 0) -> Dialect:
    """Make the dialect in which a study's text is read. Raises re.error if its pattern is none.

    first: the steps a resumed attempt begins with; values that name no step are counted from there.
    """
    dialect = dialect_of(metrics.source, metrics.pattern, metrics.step)
    dialect.steps.first = max(first, 0)
    return dialect


def _number(found: object) -> int:
    return found if isinstance(found, int) else 0


def _metrics(found: object) -> MetricsFrom:
    values = found if isinstance(found, dict) else {}
    known = {name: value for name, value in values.items() if name in _FIELDS and isinstance(value, str)}
    if known.get("source") not in get_args(Source):
        known.pop("source", None)
    return MetricsFrom(**known)  # type: ignore[arg-type]  # the source was looked up among those there are


def _uses_sdk(folder: str) -> bool:
    return any(name.endswith(wire.SUFFIX) for name in entries(folder))


def _files(folder: str, cwd: str, metrics: MetricsFrom, offsets: Mapping[str, int], ended: bool) -> list[Followed]:
    if metrics.source in ("auto", "stdout") or (metrics.pattern and not metrics.path):
        if not metrics.path:
            return [Followed(path=os.path.join(folder, OUTPUT), name=OUTPUT)]
    elif metrics.source in ("csv", "jsonl") and not metrics.path:
        return [
            Followed(path=os.path.join(folder, OUTPUT), name=OUTPUT),
            *followed_files(folder, cwd, metrics, offsets, ended=ended),
        ]
    return list(followed_files(folder, cwd, metrics, offsets, ended=ended))


def _read(file: Followed, start: int, metrics: MetricsFrom, ended: bool, limit: int, first: int) -> tuple[Columns, int]:
    """Read one file on from `start` in the way of its source."""
    if metrics.source == "tensorboard":
        return read_events(file.path, start, ended=ended, limit=limit)
    if metrics.source == "wandb":
        return read_run(file.path, start, ended=ended, limit=limit)
    if metrics.source == "mlflow":
        if file.path.endswith((".db", ".sqlite")):
            return read_database(file.path, start)
        if metric_name(file.path):
            return read_metric(file.path, start, ended=ended, limit=limit)
        return Columns(), start
    kind = f"{metrics} {first}"
    return read_text(file.path, start, lambda: reader_of(metrics, first), kind=kind, ended=ended, limit=limit)


def seen(folder: str | os.PathLike[str], *, written: Iterable[str] = ()) -> dict[str, dict[str, int]]:
    """List the names of all metrics found in an attempt's folder, by source, with their counts.

    Every source is looked at, whatever the study asks for: who finds nothing in one learns where the numbers are. `sdk`
    is what the script logged itself, `stdout` what it printed; the others are looked for below the attempt's `out`.
    `written`: files that it wrote elsewhere, relative to where it ran; those are sources like "csv: logs/loss.csv".
    """
    place = os.fspath(folder)
    order = read_object(os.path.join(place, "order.json"))
    asked = _metrics(order.get("metrics"))
    found: dict[str, dict[str, int]] = {"sdk": _sdk_names(place)}
    for metrics in (*_EVERYWHERE, asked) if asked.pattern or asked.path else _EVERYWHERE:
        counts = found.setdefault(metrics.source, {})
        for file in _files(place, str(order.get("cwd", "")), metrics, {}, True):
            if file.name != OUTPUT or metrics.source in ("auto", "stdout"):
                _count(file, metrics, counts)
    for path in written:
        if kind := _kind_of(path):
            file = Followed(path=os.path.join(str(order.get("cwd", "")), path), name=path)
            _count(file, MetricsFrom(source=kind), found.setdefault(f"{kind}: {path}", {}))
    return {source: counts for source, counts in found.items() if counts}


def _kind_of(path: str) -> Source | None:
    """Say by its name what a file may hold; None if nothing that is read here."""
    name = os.path.basename(path)
    endings: dict[str, Source] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".wandb": "wandb"}
    if kind := endings.get(os.path.splitext(name)[1]):
        return kind
    if "tfevents" in name:
        return "tensorboard"
    return "mlflow" if metric_name(path) else None


_EVERYWHERE = tuple(
    MetricsFrom(source=source) for source in ("stdout", "csv", "jsonl", "tensorboard", "wandb", "mlflow")
)


def _sdk_names(folder: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    offsets: dict[str, int] = {}
    while chunks := collect_folder(folder, offsets, trial="", attempt="", ended=True):
        offsets |= {chunk.fragment: chunk.end for chunk in chunks}
        for batch in (b for c in chunks for b in c.batches if b.metric != wire.WALL and not of_machine(b.metric)):
            counts[batch.metric] = counts.get(batch.metric, 0) + len(batch.steps)
    return counts


def _count(file: Followed, metrics: MetricsFrom, counts: dict[str, int]) -> None:
    start = -1
    end = 0
    while end > start:
        start = end
        columns, end = _read(file, start, metrics, True, LIMIT, 0)
        for name, (steps, _) in columns.columns.items():
            counts[name] = counts.get(name, 0) + len(steps)

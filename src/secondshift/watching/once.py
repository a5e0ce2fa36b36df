"""Looks once at all runs under some paths, on at most two cores."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.runtime.watched.cells import Cells, Source
from secondshift.runtime.watched.finding import find_sources
from secondshift.runtime.watched.outputs import Log
from secondshift.watching.sightings import Asked, Report, RunSeen
from secondshift.watching.streams import RunWatch, parts

CORES = 2  # a look must not take a training's own cores
WORTH = 1 << 20  # bytes from which a second process pays
Job = Callable[[], list[RunSeen]]


def look(paths: Sequence[Path], asked: Asked, *, cores: int = CORES) -> Report:
    """Read all there is, to its end, and judge it. Raises SecondshiftError if nothing can be watched."""
    collects = gc.isenabled()
    gc.disable()  # a look makes millions of objects, holds on to them, and ends
    try:
        return _look(paths, asked, cores)
    finally:
        if collects:
            gc.enable()


def _look(paths: Sequence[Path], asked: Asked, cores: int) -> Report:
    found = find_sources(paths, log=Log)
    report = Report(unreadable=found.unreadable)
    if len(found.sources) <= cores:
        jobs: list[Job] = []
        for source in found.sources:
            runs = polled(source, asked)
            jobs += [partial(_judged, name, source, cells, asked) for name, cells in runs.items()]
            if not runs:
                jobs.append(partial(_judged, source.name, source, [], asked))
    else:
        jobs = [partial(_source, source, asked) for source in found.sources]
    for seen in _all(jobs, cores if found.bytes >= WORTH or len(jobs) >= 64 else 1):
        if seen.guessed.streams or seen.sightings:
            report.runs.append(seen)
        else:
            report.skipped[seen.run] = seen.state if seen.state != "read" else why_not(seen)
    _check(report, paths, asked)
    return report


def polled(source: Source, asked: Asked, *, ended: bool = True) -> dict[str, list[Cells]]:
    """The new rows of a source by the name of the run they belong to."""
    runs: dict[str, list[Cells]] = {}
    for cells in source.poll(ended=ended):
        for part in parts(cells, asked):
            runs.setdefault(f"{source.name}#{part.run}" if part.run else source.name, []).append(part)
    return runs


def why_not(seen: RunSeen) -> str:
    """Why a run is not watched."""
    return f"columns: {', '.join(seen.names[:12])}" if seen.names else "empty"


def _source(source: Source, asked: Asked) -> list[RunSeen]:
    runs = polled(source, asked)
    return [seen for name, cells in runs.items() for seen in _judged(name, source, cells, asked)] or _judged(
        source.name, source, [], asked
    )


def _judged(name: str, source: Source, cells: Sequence[Cells], asked: Asked) -> list[RunSeen]:
    watch = RunWatch(name, source.about, asked)
    for part in cells:
        watch.take(part)
    seen = watch.finish()
    seen.state = getattr(source, "problem", "") or "read"
    return [seen]


_jobs: list[Job] = []  # what a forked worker finds without its being sent


def _begin() -> None:
    """Begin a worker: it can be ended, whatever signals the process it was forked from holds back or handles."""
    gc.disable()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(index: int) -> list[RunSeen]:
    return _jobs[index]()


def _all(jobs: list[Job], cores: int) -> list[RunSeen]:
    cores = min(cores, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if cores < 2 or len(jobs) < 2:
        return [seen for job in jobs for seen in job()]
    _jobs[:] = jobs
    gc.freeze()
    try:
        forked = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(cores, mp_context=forked, initializer=_begin) as pool:
            groups = pool.map(_run, range(len(jobs)), chunksize=max(1, len(jobs) // (8 * cores)))
            return [seen for group in groups for seen in group]
    except BrokenProcessPool as broken:
        raise SecondshiftError(
            "A process that was reading runs was ended from outside, perhaps for want of memory. Look at fewer runs at once."
        ) from broken
    finally:
        _jobs.clear()
        gc.unfreeze()


def _check(report: Report, paths: Sequence[Path], asked: Asked) -> None:
    where = ", ".join(map(str, paths))
    names = sorted({name for seen in report.runs for name in seen.names})
    for key, name in asked.told.items():
        if report.runs and name not in names:
            raise SecondshiftError(
                f"--map {key}={name}: no run under {where} has such a column. They have: {', '.join(names[:30])}."
            )
    if report.runs:
        return
    if not report.skipped:
        raise SecondshiftError(
            f"Nothing to watch was found in {where}. Expected files of TensorBoard, CSV, JSON lines (.jsonl), parquet, W&B "
            "(.wandb) or MLflow (mlruns, mlflow.db), or a text log that is named itself; a command to start goes behind --."
        )
    listed = "; ".join(f"{name}: {why}" for name, why in list(report.skipped.items())[:5])
    raise SecondshiftError(
        f"No column in {where} is one that the captain knows. {listed}. Say which is the loss: --map loss=COLUMN."
    )

"""Reads what a supervisor measured of its attempt's processes and devices (`executors/sampling.py`)."""

import os
from array import array
from dataclasses import replace

from secondshift.records.orders import Batch, Chunk
from secondshift.runtime.executors.sampling import SAMPLES
from secondshift.runtime.readers.fragments import LIMIT, read_fragment
from secondshift.tracking import wire

TIMES = "sys/wall_s"  # seconds since the attempt's start, one for each sample
LONGEST_S = 118.0  # samples wait for so long to be taken in together: each time costs the ledger as much as 50 of them
PATIENCE = 1 / 20  # or for this share of the attempt's age


def read_samples(folder: str, offset: int, *, trial: str, attempt: str, ended: bool, limit: int = LIMIT) -> Chunk | None:
    """Return the samples from `offset` on, all at step 0; None while they may wait, or there are none.

    They wait until enough have come, unless the supervisor calls, the health changed, or the attempt has ended.
    """
    path = os.path.join(folder, SAMPLES)
    chunk = read_fragment(path, offset, trial=trial, attempt=attempt, limit=limit, ended=ended)
    if chunk.end <= chunk.start:
        return None
    times = next((batch.values for batch in chunk.batches if batch.metric == wire.WALL), array("d"))
    waited = times[-1] - times[0] if len(times) else 0.0
    due = len(times) > 1 and waited >= min(LONGEST_S, times[-1] * PATIENCE)
    if not (due or ended or any(note.kind in ("health", "look") for note in chunk.notes)):
        return None
    named = tuple(replace(b, metric=TIMES) if b.metric == wire.WALL else b for b in chunk.batches)
    # What is damaged here are no points of the script's, and nobody misses them.
    return replace(chunk, batches=named, notes=tuple(note for note in chunk.notes if note.kind == "health"))


def at_step(chunk: Chunk, step: int) -> Chunk:
    """Put a step in: the supervisor knows of none."""
    return replace(chunk, batches=tuple(_at(batch, step) for batch in chunk.batches))


def _at(batch: Batch, step: int) -> Batch:
    return replace(batch, steps=array("q", [step]) * len(batch.values))

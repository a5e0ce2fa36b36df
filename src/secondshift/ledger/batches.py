"""How points of a curve are packed into one row: small, exact, and quick to unpack."""

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from secondshift.errors import LedgerDamaged
from secondshift.ledger.attempts import number_of
from secondshift.ledger.curves import Series
from secondshift.records.orders import Batch

_REGULAR = 1  # steps rise by one constant stride: first, last and count say it all
_PACKED = 2  # bytes are transposed (all first bytes, all second bytes, ...) and deflated
_WORTH_PACKING = 24  # points; below this, setting up deflate costs more than it saves


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """One row of the `batches` table."""

    trial: str
    attempt: str
    metric: str
    n: int  # points, at least 1
    first_step: int
    last_step: int
    body: bytes  # a byte of flags, then step differences unless regular, then values (little-endian, 64 bit)


def pack(batches: Iterable[Batch]) -> list[PackedBatch]:
    """Pack batches into rows; empty ones leave no row.

    Raises ValueError if a batch does not have as many values as steps.
    """
    return [_packed(batch) for batch in batches if len(batch.steps) or len(batch.values)]


class StoredBatch(Protocol):
    """A row of the `batches` table, or a PackedBatch, as far as unpacking needs it."""

    @property
    def attempt(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def first_step(self) -> int: ...
    @property
    def last_step(self) -> int: ...
    @property
    def body(self) -> bytes: ...


def unpack(rows: Sequence[StoredBatch]) -> Series:
    """Return the points of some rows, in order, exactly as they were given, the bits of a NaN included.

    Raises LedgerDamaged if a row's bytes are not what was written.
    """
    # All that is the same for every row is done once over all rows: a curve has hundreds of them, each of a few points.
    counts = np.array([row.n for row in rows], np.int64)
    ends = np.cumsum(counts)
    first = np.array([row.first_step for row in rows], np.int64)
    last = np.array([row.last_step for row in rows], np.int64)
    within = np.arange(ends[-1], dtype=np.int64) - np.repeat(ends - counts, counts)
    steps = np.repeat(first, counts) + within * np.repeat((last - first) // np.maximum(counts - 1, 1), counts)
    values = np.empty(ends[-1], np.float64)
    for row, end, n in zip(rows, ends.tolist(), counts.tolist(), strict=True):
        try:
            _unpack_row(row.body, n, steps[end - n : end], values[end - n : end])
        except (zlib.error, ValueError, IndexError) as error:
            raise LedgerDamaged(
                f"Points of steps {row.first_step} to {row.last_step} of {row.attempt} cannot be read: {error}. "
                "The ledger file is damaged. Restore it from a copy; nothing was changed."
            ) from error
    attempts = np.array([number_of(row.attempt) for row in rows], np.int32)
    return Series(steps=steps, values=values, attempts=np.repeat(attempts, counts))


def _unpack_row(body: bytes, n: int, steps: np.ndarray, values: np.ndarray) -> None:
    """Fill in values[n], and steps[n] if they are not regular."""
    flags, words = body[0], body[1:]
    if flags & _PACKED:
        words = zlib.decompress(words)
    if len(words) != 8 * n * (1 if flags & _REGULAR else 2):
        raise ValueError(f"{len(words)} bytes do not hold {n} points")
    if not flags & _REGULAR:
        # Differences wrap around 64 bits on the way in and on the way out, so any steps survive.
        np.cumsum(_column(words[: 8 * n], flags, n, "<i8"), out=steps)
    values[:] = _column(words[-8 * n :], flags, n, "<f8")


def _column(words: bytes, flags: int, n: int, form: str) -> np.ndarray:
    if flags & _PACKED:
        words = np.frombuffer(words, np.uint8).reshape(8, n).T.tobytes()
    return np.frombuffer(words, form)


def unpacked(row: PackedBatch) -> Batch:
    """Turn a row back into the batch it was made from. Raises LedgerDamaged."""
    series = unpack((row,))
    steps, values = array("q", series.steps.tobytes()), array("d", series.values.tobytes())
    return Batch(trial=row.trial, attempt=row.attempt, metric=row.metric, steps=steps, values=values)


def crc(batches: Iterable[Batch]) -> int:
    """Checksum points, for MetricsLogged.crc: CRC-32 over each batch's names, steps and values in their order.

    Empty batches count for nothing, as they leave no row.
    """
    total = 0
    for batch in batches:
        if not len(batch.steps):
            continue
        total = zlib.crc32(f"{batch.trial}\n{batch.attempt}\n{clean(batch.metric)}\n".encode(), total)
        total = zlib.crc32(_words(batch.steps, "<i8"), total)
        total = zlib.crc32(_words(batch.values, "<f8"), total)
    return total


def clean(text: str) -> str:
    """Replace what no database can store as text (lone surrogates, NUL) in a name that came from a script."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _packed(batch: Batch) -> PackedBatch:
    n, steps = len(batch.steps), batch.steps
    if n != len(batch.values):
        raise ValueError(
            f"A batch of {batch.metric!r} of {batch.attempt} has {n} steps and {len(batch.values)} values. "
            "Expected one value for each step; nothing was recorded."
        )
    regular = _regular(steps, n)
    if n < _WORTH_PACKING:
        flags, body = 0, _words(batch.values, "<f8")
        if not regular:
            body = _words(_differences(steps), "<i8") + body
    else:
        body = _transposed(batch.values, "<f8", n)
        if not regular:
            body = _transposed(_differences(steps), "<i8", n) + body
        flags, body = _PACKED, zlib.compress(body)
    return PackedBatch(
        trial=batch.trial,
        attempt=batch.attempt,
        metric=clean(batch.metric),
        n=n,
        first_step=steps[0],
        last_step=steps[-1],
        body=bytes((flags | (_REGULAR if regular else 0),)) + body,
    )


def _regular(steps: array, n: int) -> bool:
    """Say whether steps rise by one constant stride."""
    if n < 2:
        return True
    first, last = steps[0], steps[-1]
    stride, rest = divmod(last - first, n - 1)
    if stride < 1 or rest or last + stride > 2**63 - 1:
        return False
    return steps == array("q", range(first, last + 1, stride))


def _differences(steps: array) -> np.ndarray:
    numbers = np.asarray(steps, np.int64)
    differences = numbers.copy()
    differences[1:] -= numbers[:-1]
    return differences


def _words(numbers: "array | np.ndarray", form: str) -> bytes:
    if isinstance(numbers, array) and sys.byteorder == "little":
        return numbers.tobytes()
    return np.asarray(numbers, form).tobytes()


def _transposed(numbers: "array | np.ndarray", form: str, n: int) -> bytes:
    # Exponents and signs end up side by side, where deflate finds them alike; the noisy low bits do not mix with them.
    return np.frombuffer(_words(numbers, form), np.uint8).reshape(n, 8).T.tobytes()

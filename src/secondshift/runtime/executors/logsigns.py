"""Looks through the whole output of a script that failed for the signs of what went wrong, in bounded memory and time."""

import os
import time
from collections.abc import Iterator

from secondshift.records.crashsigns import signs_in_block

BLOCK = 1 << 20  # bytes in memory at a time
FIRST, LAST = 16 << 20, 48 << 20  # bytes of a longer log that are looked at; what matters stands near either end
MOST_S = 3.0  # no longer, whatever the log is like


def look_through(path: str) -> tuple[tuple[str, ...], int]:
    """Return the signs in a log, sorted, and how many bytes were not looked at. Never raises."""
    found: frozenset[str] = frozenset()
    until, looked, size = time.monotonic() + MOST_S, 0, 0
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for begin, end in _ranges(size):
                for block in _blocks(file.fileno(), begin, end):
                    if time.monotonic() > until:
                        return tuple(sorted(found)), size - looked
                    found |= signs_in_block(block, found)
                    looked += len(block)
    except OSError:
        pass
    return tuple(sorted(found)), size - looked


def _ranges(size: int) -> tuple[tuple[int, int], ...]:
    """The newest first: where time runs out, it is the middle that was not looked at."""
    return ((0, size),) if size <= FIRST + LAST else ((size - LAST, size), (0, FIRST))


def _blocks(file: int, begin: int, end: int) -> Iterator[bytes]:
    """Give the bytes as whole lines; a line of more than a block is cut."""
    rest = b""
    while begin < end and (data := os.pread(file, min(BLOCK, end - begin), begin)):
        begin += len(data)
        cut = data.rfind(b"\n") + 1
        if begin >= end or (not cut and len(rest) + len(data) > BLOCK):
            cut = len(data)
        if cut:
            yield rest + data[:cut]
            rest = data[cut:]
        else:
            rest += data
    if rest:
        yield rest

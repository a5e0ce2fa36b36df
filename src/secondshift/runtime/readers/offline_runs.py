"""Reads the history of W&B offline runs without W&B: blocks of framed records that hold protocol buffers."""

import json
import os
import struct
from collections.abc import Callable
from zlib import crc32

from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.protobuf import BYTES, VARINT, doubles, fields, signed, zigzag

BLOCK = 32768
WINDOW = 1 << 20  # bytes read at a time, at least
LARGEST = 1 << 19  # bytes of a record that is put together
HEADER = b":W&B"
_HEADER_SIZE = 7
_FRAME = struct.Struct("<IHB")  # checksum, length, type
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_DAMAGED = "bytes of W&B files were not what their checksums say"
_HISTORY = 2  # number of the field of a record


def read_run(
    path: str, offset: int, *, ended: bool = False, limit: int = 4 << 20, look: Callable[[bytes], None] | None = None
) -> tuple[Columns, int]:
    """Return the points of whole records from `offset` on, and where the next record begins.

    A record cut at the end of the file is waited for, or, with `ended`, counted as damage. Never raises on what a file
    holds. look: shown each whole record of the file, for what is no point.
    """
    columns = Columns()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(max(limit, WINDOW))
    except OSError:
        return columns, offset
    whole = offset + len(data) >= size
    at = 0
    if offset == 0:
        if len(data) < _HEADER_SIZE or not data.startswith(HEADER):
            return columns, offset  # not begun, or no such file
        at = _HEADER_SIZE
    at = _walk(data, offset, at, columns, whole, ended, look)
    if ended and whole and at < len(data):
        columns.damage("bytes at the end of a W&B file were cut", len(data) - at)
        at = len(data)
    return columns, offset + at


def _walk(
    data: bytes, base: int, at: int, columns: Columns, whole: bool, ended: bool, look: Callable[[bytes], None] | None
) -> int:
    """Take in whole records; return up to where all is said. `base` is where `data` begins in the file."""
    said, parts, size = at, [], -1  # size: bytes of a record that is being put together, -1: none is
    while at < len(data):
        room = BLOCK - (base + at) % BLOCK
        if room < _FRAME.size:
            at += min(room, len(data) - at)
            said = at if size < 0 else said
            continue
        if len(data) - at < _FRAME.size:
            break
        crc, length, kind = _FRAME.unpack_from(data, at)
        body = data[at + _FRAME.size : at + _FRAME.size + length]
        fits = kind in (_FULL, _FIRST, _MIDDLE, _LAST) and length <= room - _FRAME.size
        if fits and len(body) < length:
            break  # cut
        if not fits or crc32(body, crc32(bytes((kind,)))) != crc:
            if room > len(data) - at and not ended:
                break  # it may still be written
            skipped = min(room, len(data) - at)  # the next block begins anew
            if kind or length or crc or not _empty(data[at : at + skipped]):
                columns.damage(_DAMAGED, skipped)
            at, size, parts = at + skipped, -1, []
            said = at
            continue
        at += _FRAME.size + length
        if kind in (_FULL, _FIRST):
            parts, size = [], 0
        if size >= 0:
            size += length
            parts = [*parts, body] if size <= LARGEST else []
        if kind in (_FULL, _LAST):
            if 0 <= size <= LARGEST:
                record = b"".join(parts)
                _take(record, columns)
                if look is not None:
                    look(record)
            parts, size = [], -1
        said = at if size < 0 or size > LARGEST else said
    return said


def _empty(data: bytes) -> bool:
    return not data.strip(b"\0")


def _take(record: bytes, columns: Columns) -> None:
    """Take in a record if it is one of the history; what makes no sense although its checksum is right is left out."""
    try:
        found = list(fields(record))
        for number, wire, value in found:
            if number == _HISTORY and wire == BYTES and isinstance(value, bytes):
                _history(value, columns)
    except (ValueError, RecursionError):
        columns.leave_out("a record of a W&B file could not be understood")


def _history(history: bytes, columns: Columns) -> None:
    items: list[tuple[str, float]] = []
    step = None
    for number, wire, value in fields(history):
        if not isinstance(value, bytes) or wire != BYTES:
            continue
        if number == 1:
            items += _item(value)
        elif number == 2:
            step = next((signed(n) for i, w, n in fields(value) if i == 1 and w == VARINT and isinstance(n, int)), 0)
    named = next((value for name, value in items if name == "_step" and abs(value) < 2**63), None)
    at = int(named) if named is not None else step
    for name, value in items:
        if name.startswith("_") or at is None:
            continue
        if name in columns.columns or len(columns.columns) < MAX_NAMES:
            columns.add(name[:MAX_NAME], at, value)
        else:
            columns.leave_out(f"more than {MAX_NAMES} different names of metrics")


def _item(item: bytes) -> list[tuple[str, float]]:
    names, found = [], None
    for number, wire, value in fields(item):
        if number in (1, 2) and isinstance(value, bytes):
            names.append(value.decode("utf-8", "replace"))
        elif number == 5 and wire == VARINT and isinstance(value, int):
            found = float(zigzag(value))
        elif number == 6 and isinstance(value, bytes):
            found = doubles(value)[0]
        elif number == 16 and isinstance(value, bytes):
            found = _json_number(value)
    name = ".".join(part for part in names if part)
    return [(name, found)] if name and found is not None else []


def _json_number(text: bytes) -> float | None:
    if len(text) > 64:
        return None
    try:
        value = json.loads(text)
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError, RecursionError):
        return None

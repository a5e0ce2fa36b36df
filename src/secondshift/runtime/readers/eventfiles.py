"""Reads the scalars of TensorBoard event files without TensorBoard: framed records that hold protocol buffers."""

import os
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import itemgetter

from secondshift.runtime.readers.alike import Alike, decode
from secondshift.runtime.readers.checksums import length_crc32c, masked_crc32c
from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.protobuf import BYTES, FIXED32, VARINT, doubles, fields, floats, signed

WINDOW = 1 << 20  # bytes read at a time, at least
LARGEST = 1 << 18  # bytes of a record that is looked into; larger ones are pictures and histograms
_HEAD, _FOOT = 12, 4  # bytes around the data of a record: its length and the checksums
_DAMAGED = "bytes of event files were not what their checksums say"
GROUPS = frozenset(["train", "training", "validation", "val", "test", "eval"])
_FLOAT, _DOUBLE = 1, 2  # TensorFlow's numbers for types
_MANY = 32  # records from which they are decoded together
_HEADER = struct.Struct("<QI")
Found = list[tuple[str, float]]  # tags and numbers of one event
_Point = tuple[int, int, int, float]  # index of the record, place in it, step, number


def read_events(path: str, offset: int, *, ended: bool = False, limit: int = 4 << 20) -> tuple[Columns, int]:
    """Return the scalars of whole records from `offset` on, and where the next record begins.

    A record cut at the end of the file is waited for, or, with `ended`, counted as damage. Scalars of a folder that is
    called train, validation or alike have its name before theirs. Never raises on what a file holds.
    """
    columns = Columns()
    folder = os.path.basename(os.path.dirname(path))
    prefix = f"{folder}/" if folder.lower() in GROUPS else ""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(max(limit, WINDOW))
    except OSError:
        return columns, offset
    at = _walk(data, size - offset, prefix, columns, ended)
    return columns, offset + at


def events(path: str) -> Iterator[bytes]:
    """Give the events of a file one after the other, up to the first that is damaged or cut; pictures are passed over."""
    with open(path, "rb") as file:
        while len(head := file.read(_HEAD)) == _HEAD and (size := _length(head, 0)) is not None:
            if size > LARGEST:
                file.seek(size + _FOOT, os.SEEK_CUR)
                continue
            record = file.read(size)
            if len(record) < size or len(file.read(_FOOT)) < _FOOT:
                return
            yield record


def _walk(data: bytes, left: int, prefix: str, columns: Columns, ended: bool) -> int:
    """Take in the records of a piece of a file of which `left` bytes exist; return up to where all is said."""
    frames: list[tuple[int, int]] = []
    at = _frames(data, left, frames, columns, ended)
    _take(data, frames, prefix, columns)
    if ended and at < left and len(data) >= left:
        columns.damage("bytes at the end of an event file were cut", left - at)
        return left
    return at


def _frames(data: bytes, left: int, frames: list[tuple[int, int]], columns: Columns, ended: bool) -> int:
    """List where each record's data begins, and its bytes; return up to where that is known."""
    at = 0
    last = min(left, len(data)) - _HEAD
    while at <= last:
        size = _length(data, at)
        if size is None:
            to = _next_head(data, at + 1)
            if to < 0 and len(data) >= left and not ended:
                return at  # what is written here may not be whole yet
            to = to if to >= 0 else left if len(data) >= left else max(at + 1, len(data) - _HEAD + 1)
            columns.damage(_DAMAGED, to - at)
            at = to
            continue
        end = at + _HEAD + size + _FOOT
        if end > left:
            break
        if size <= LARGEST:
            if end > len(data):
                break
            frames.append((at + _HEAD, size))
        at = end
    return at


def _length(data: bytes, at: int) -> int | None:
    """Return the length of the record that begins here; None if none does."""
    size, crc = _HEADER.unpack_from(data, at)
    return size if size < 1 << 40 and length_crc32c(data[at : at + 8]) == crc else None


def _next_head(data: bytes, at: int) -> int:
    """Return where the next record begins, -1 if none does: four bytes of every length are zero."""
    zeros = data.find(b"\0\0\0\0", at + 4)
    while 0 <= zeros <= len(data) - 8:
        if zeros - 4 >= at and _length(data, zeros - 4) is not None:
            return zeros - 4
        zeros = data.find(b"\0\0\0\0", zeros + 1)
    return -1


def _take(data: bytes, frames: Sequence[tuple[int, int]], prefix: str, columns: Columns) -> None:
    """Take in the scalars of some events, in their order; count those whose checksum is wrong."""
    alike: list[Alike] = []
    rest: Sequence[int] = range(len(frames))
    damaged: list[int] = []
    if len(frames) >= _MANY:
        decoded = decode(data, frames, _scalars)
        alike, rest, damaged = decoded.alike, decoded.rest, decoded.damaged
    single: list[tuple[int, int, Found]] = []  # index of the record, step, numbers
    for index in rest:
        start, size = frames[index]
        read = _read(data[start : start + size], data[start + size : start + size + _FOOT])
        if read is None:
            damaged.append(index)
        elif read[1]:
            single.append((index, *read))
    for index in damaged:
        columns.damage(_DAMAGED, _HEAD + frames[index][1] + _FOOT)
    _put(alike, single, prefix, columns)


def _read(record: bytes, crc: bytes) -> tuple[int, Found] | None:
    """The step and the scalars of one event; None if its checksum is wrong. Only what holds scalars is checked."""
    try:
        step, found = _scalars(record)
    except (ValueError, OverflowError):
        return None
    if found and masked_crc32c(record) != int.from_bytes(crc, "little"):
        return None
    return step, found


def _put(alike: Sequence[Alike], single: Sequence[tuple[int, int, Found]], prefix: str, columns: Columns) -> None:
    """Add points in the order of their records, name by name in the order in which the names came up."""
    places: dict[str, list[_Point]] = {}
    for group in alike:
        points = zip(group.at, repeat(0), group.steps, group.values, strict=False)
        places.setdefault((prefix + group.tag)[:MAX_NAME], []).extend(points)
    for index, step, found in single:
        for place, (tag, value) in enumerate(found):
            places.setdefault((prefix + tag)[:MAX_NAME], []).append((index, place, step, value))
    for points in places.values():
        points.sort(key=itemgetter(0, 1))
    for name, points in sorted(places.items(), key=lambda named: _first(named[1])):
        if name in columns.columns or len(columns.columns) < MAX_NAMES:
            columns.extend(name, [step for _, _, step, _ in points], [value for *_, value in points])
        else:
            columns.leave_out(f"more than {MAX_NAMES} different names of metrics", len(points))


def _first(points: Sequence[_Point]) -> tuple[int, int]:
    """Where a name comes up with a step that is taken in."""
    return next((point[:2] for point in points if point[2] >= 0), points[-1][:2])


def _scalars(event: bytes) -> tuple[int, Found]:
    step, found = 0, []
    for number, wire, value in fields(event):
        if number == 2 and wire == VARINT and isinstance(value, int):
            step = signed(value)
        elif number == 5 and wire == BYTES and isinstance(value, bytes):
            found += [
                s for n, w, v in fields(value) if n == 1 and w == BYTES and isinstance(v, bytes) for s in _scalar(v)
            ]
    return step, found


def _scalar(value: bytes) -> list[tuple[str, float]]:
    """Return the tag and number of one value of a summary; nothing if it is a picture, a text, a histogram."""
    tag, found, plugin = "", None, "scalars"
    for number, wire, content in fields(value):
        if not isinstance(content, bytes):
            continue
        if number == 1 and wire == BYTES:
            tag = content.decode("utf-8", "replace")
        elif number == 2 and wire == FIXED32:
            found = floats(content)
        elif number == 8 and wire == BYTES:
            found = _tensor(content)
        elif number == 9 and wire == BYTES:
            plugin = _plugin(content) or plugin
    return [(tag, found[0])] if tag and plugin == "scalars" and found is not None and len(found) == 1 else []


def _tensor(content: bytes) -> list[float]:
    kind, found, raw = 0, [], b""
    for number, _, value in fields(content):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4 and isinstance(value, bytes):
            raw = value
        elif number in (5, 6) and isinstance(value, bytes):
            found += floats(value) if number == 5 else doubles(value)
    if raw and kind in (_FLOAT, _DOUBLE):
        found = floats(raw) if kind == _FLOAT else doubles(raw)
    return found


def _plugin(metadata: bytes) -> str:
    for number, _, value in fields(metadata):
        if number == 1 and isinstance(value, bytes):
            for inner, _, name in fields(value):
                if inner == 1 and isinstance(name, bytes):
                    return name.decode("utf-8", "replace")
    return ""

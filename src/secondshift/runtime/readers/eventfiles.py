"""Reads the scalars of TensorBoard event files without TensorBoard: framed records that hold protocol buffers."""

import os
import struct
from collections.abc import Iterator

from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.protobuf import BYTES, FIXED32, VARINT, doubles, fields, floats, signed

WINDOW = 1 << 20  # bytes read at a time, at least
LARGEST = 1 << 18  # bytes of a record that is looked into; larger ones are pictures and histograms
_HEAD, _FOOT = 12, 4  # bytes around the data of a record: its length and the checksums
_DAMAGED = "bytes of event files were not what their checksums say"
GROUPS = frozenset(["train", "training", "validation", "val", "test", "eval"])
_FLOAT, _DOUBLE = 1, 2  # TensorFlow's numbers for types


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _table()


def masked_crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum of some bytes, turned and offset as these files store it."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


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
    at = 0
    while left - at >= _HEAD and len(data) - at >= _HEAD:
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
        if size > LARGEST:
            at = end
            continue
        if end > len(data):
            return at
        if not _take(data[at + _HEAD : end - _FOOT], data[end - _FOOT : end], prefix, columns):
            columns.damage(_DAMAGED, end - at)
        at = end
    if ended and at < left and len(data) >= left:
        columns.damage("bytes at the end of an event file were cut", left - at)
        return left
    return at


def _length(data: bytes, at: int) -> int | None:
    """Return the length of the record that begins here; None if none does."""
    size, crc = struct.unpack_from("<QI", data, at)
    return size if size < 1 << 40 and masked_crc32c(data[at : at + 8]) == crc else None


def _next_head(data: bytes, at: int) -> int:
    """Return where the next record begins, -1 if none does: four bytes of every length are zero."""
    zeros = data.find(b"\0\0\0\0", at + 4)
    while 0 <= zeros <= len(data) - 8:
        if zeros - 4 >= at and _length(data, zeros - 4) is not None:
            return zeros - 4
        zeros = data.find(b"\0\0\0\0", zeros + 1)
    return -1


def _take(record: bytes, crc: bytes, prefix: str, columns: Columns) -> bool:
    """Take in the scalars of one event; False if its checksum is wrong. Only what holds scalars is checked."""
    try:
        step, found = _scalars(record)
    except (ValueError, OverflowError):
        return False
    if not found:
        return True
    if masked_crc32c(record) != int.from_bytes(crc, "little"):
        return False
    for tag, value in found:
        name = (prefix + tag)[:MAX_NAME]
        if name in columns.columns or len(columns.columns) < MAX_NAMES:
            columns.add(name, step, value)
        else:
            columns.leave_out(f"more than {MAX_NAMES} different names of metrics")
    return True


def _scalars(event: bytes) -> tuple[int, list[tuple[str, float]]]:
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

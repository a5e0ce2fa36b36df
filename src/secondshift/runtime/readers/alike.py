"""Decodes event records of one shape together: those that differ from a first one in time, step and number alone.

A file holds thousands of records that were written by one line of a script. The first of a length is read field by field,
and where its step and its number stand is proved by reading it again with others in their place; the rest are compared
with it byte by byte and decoded as columns. Each checksum is computed, of each record. What is not alike is left to the
reader of single records.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress

from secondshift.runtime.readers.checksums import masked_crc32c_of
from secondshift.runtime.readers.protobuf import BYTES, FIXED32, FIXED64, VARINT, spans

WORTH = 8  # records alike from which columns pay
FEW = 4  # shapes of few records of one length after which the rest are read one by one
LONGEST = 512  # bytes of a record that is compared; scalars are shorter
_FOOT = 4  # bytes of the checksum behind a record
_STEP_BYTES = 9  # of a step that is not negative, at most
_PROBES = ((5, 0.375), (77, -2.5))  # steps and numbers that every width can hold
Read = Callable[[bytes], tuple[int, list[tuple[str, float]]]]  # a record -> its step, and its tags and numbers
Frames = Sequence[tuple[int, int]]  # where the data of a record begins, and its bytes


@dataclass(frozen=True, slots=True)
class Alike:
    """The points of one tag that were decoded together, by the index of their record."""

    tag: str
    at: list[int]
    steps: list[int]
    values: list[float]


@dataclass(slots=True)
class Decoded:
    """What came of some records."""

    alike: list[Alike] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)  # whose checksum is wrong
    rest: list[int] = field(default_factory=list)  # to be read one by one


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is the same in all records of a kind, and where the rest stands."""

    tag: str
    step: slice
    value: slice
    number: str  # as `struct` spells it: f or d
    fixed: bytes  # bits of each byte that are the same


def decode(data: bytes, frames: Frames, read: Read) -> Decoded:
    """Decode the records that are like others of their length. read: the reader of single records, for the first of each."""
    found = Decoded()
    groups: dict[int, list[int]] = {}
    for index, (_, size) in enumerate(frames):
        groups.setdefault(size, []).append(index)
    for size, at in groups.items():
        if len(at) < WORTH or not 0 < size <= LONGEST:
            found.rest += at
        else:
            _group([data[start : start + size + _FOOT] for start, _ in map(frames.__getitem__, at)], at, read, found)
    found.rest.sort()
    return found


def _group(rows: list[bytes], at: list[int], read: Read, found: Decoded) -> None:
    """Decode records of one length, each with its checksum behind it; give up where few are alike."""
    few = 0  # shapes that hardly any record had, as a damaged one's
    while len(at) >= WORTH and few < FEW:
        shape = _shape(rows[0][:-_FOOT], read)
        if shape is None:
            break
        same = _same(rows, shape.fixed)
        others = [not one for one in same]
        alike, indices = list(compress(rows, same)), list(compress(at, same))
        rows, at = list(compress(rows, others)), list(compress(at, others))
        few += len(indices) < WORTH
        _decode(alike, indices, shape, found)
    found.rest += at


def _same(rows: list[bytes], fixed: bytes) -> list[bool]:
    """Whether each record is like the first in all that is fixed."""
    count, first, differs = len(rows), rows[0], 0
    for place, (column, bits) in enumerate(zip(_columns(rows, len(fixed)), fixed, strict=True)):
        if bits and column.count(first[place]) != count:
            other = int.from_bytes(column, "little") ^ int.from_bytes(first[place : place + 1] * count, "little")
            differs |= other & int.from_bytes(bytes((bits,)) * count, "little")
    return [not byte for byte in differs.to_bytes(count, "little")]


def _columns(rows: list[bytes], size: int) -> list[bytes]:
    """Byte i of every record, for each i below `size`."""
    width, text = len(rows[0]), b"".join(rows)
    return [text[place::width] for place in range(size)]


def _decode(rows: list[bytes], at: list[int], shape: _Shape, found: Decoded) -> None:
    """Decode records of one shape; those whose checksum is wrong are damaged."""
    said = struct.unpack(f"<{len(rows)}I", b"".join([row[-_FOOT:] for row in rows]))
    crcs = masked_crc32c_of(_columns(rows, len(shape.fixed)), len(rows))
    if crcs != list(said):
        right = [crc == one for crc, one in zip(crcs, said, strict=True)]
        found.damaged += [index for index, good in zip(at, right, strict=True) if not good]
        rows, at = list(compress(rows, right)), list(compress(at, right))
    if rows:
        values = struct.unpack(f"<{len(rows)}{shape.number}", b"".join([row[shape.value] for row in rows]))
        found.alike.append(Alike(shape.tag, at, _steps([row[shape.step] for row in rows]), list(values)))


def _steps(rows: list[bytes]) -> list[int]:
    """Read a varint of one width in each row."""
    steps = [row[0] & 0x7F for row in rows]
    for place in range(1, len(rows[0])):
        shift = 7 * place
        steps = [step | (row[place] & 0x7F) << shift for step, row in zip(steps, rows, strict=True)]
    return steps


def _shape(record: bytes, read: Read) -> _Shape | None:
    """The shape of a record of one scalar; None if it is none, or not proved."""
    try:
        places = list(_places(record))
        _, found = read(record)
    except (ValueError, OverflowError):
        return None
    steps = [place for kind, place in places if kind == "step"]
    values = [place for kind, place in places if kind == "value"]
    if len(steps) != 1 or len(values) != 1 or len(found) != 1 or steps[0].stop - steps[0].start > _STEP_BYTES:
        return None
    fixed = bytearray(b"\xff" * len(record))
    for kind, place in places:
        fixed[place] = (b"\x80" if kind == "step" else b"\0") * (place.stop - place.start)
    shape = _Shape(found[0][0], steps[0], values[0], "f" if values[0].stop - values[0].start == 4 else "d", bytes(fixed))
    return shape if all(read(_changed(record, shape, *probe)) == (probe[0], [(shape.tag, probe[1])]) for probe in _PROBES) else None


def _changed(record: bytes, shape: _Shape, step: int, value: float) -> bytes:
    """The same record with another step and number: what it is read as proves where they stand."""
    changed = bytearray(record)
    width = shape.step.stop - shape.step.start
    changed[shape.step] = bytes([step | (0x80 if width > 1 else 0), *[0x80] * (width - 2), *[0] * (width > 1)])
    changed[shape.value] = struct.pack(f"<{shape.number}", value)
    return bytes(changed)


def _places(record: bytes) -> Iterator[tuple[str, slice]]:
    """Where time, step and number of an event stand, if each is where it is looked for."""
    for number, wire, start, stop in spans(record, 0, len(record)):
        if number == 1 and wire == FIXED64:
            yield "time", slice(start, stop)
        elif number == 2 and wire == VARINT:
            yield "step", slice(start, stop)
        elif number == 5 and wire == BYTES:
            for _, _, begin, end in spans(record, start, stop):
                yield from _numbers(record, begin, end)


def _numbers(record: bytes, start: int, stop: int) -> Iterator[tuple[str, slice]]:
    for number, wire, begin, end in spans(record, start, stop):
        if number == 2 and wire == FIXED32:
            yield "value", slice(begin, end)
        elif number == 8 and wire == BYTES:
            yield from (("value", slice(first, last)) for inner, _, first, last in spans(record, begin, end)
                        if inner in (4, 5, 6) and last - first in (4, 8))  # fmt: skip

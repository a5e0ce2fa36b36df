"""Reads the wire format of protocol buffers: fields by number, without a schema."""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Give (number, wire type, value) of each field of a message; integers unsigned, fixed widths as their bytes.

    Raises ValueError where the bytes are no message.
    """
    for number, wire, start, stop in spans(data, 0, len(data)):
        yield number, wire, data[start:stop] if wire else varint(data, start)[0]


def spans(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (number, wire type, begin, end) of the value of each field of the message in data[at:end].

    Raises ValueError where the bytes are no message.
    """
    while at < end:
        key = data[at]
        at += 1
        if key > 0x7F:
            key, at = varint(data, at - 1)
        number, wire = key >> 3, key & 7
        start = at
        if wire == VARINT:
            at = varint(data, at)[1]
        elif wire == BYTES:
            size, start = varint(data, at)
            at = start + size
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"Field {number} has wire type {wire}; expected 0, 1, 2 or 5. This is no such message.")
        if at > end:
            raise ValueError(f"Field {number} has {at - start} bytes, {end - start} are left. The message is cut.")
        yield number, wire, start, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer that begins at `at`, and where it ends. Raises ValueError if it is cut or too long."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("An integer of a message is cut or longer than ten bytes.")


def signed(value: int) -> int:
    """Return what an int64 field means whose varint was read as unsigned."""
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: int) -> int:
    """Return what a sint64 field means."""
    return (value >> 1) ^ -(value & 1)


def floats(data: bytes) -> list[float]:
    """Return packed 32-bit floats. Raises ValueError if the bytes are no such thing."""
    return [value for (value,) in _each("<f", data)]


def doubles(data: bytes) -> list[float]:
    """Return packed 64-bit floats. Raises ValueError if the bytes are no such thing."""
    return [value for (value,) in _each("<d", data)]


def _each(form: str, data: bytes) -> Iterator[tuple[float]]:
    try:
        return struct.iter_unpack(form, data)
    except struct.error as error:
        raise ValueError(f"{len(data)} bytes are no row of {form!r} numbers: {error}") from error

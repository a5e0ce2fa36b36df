"""Reads the wire format of protocol buffers: fields by number, without a schema."""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Give (number, wire type, value) of each field of a message; integers unsigned, fixed widths as their bytes.

    Raises ValueError where the bytes are no message.
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"Field {number} has wire type {wire}; expected 0, 1, 2 or 5. This is no such message.")
        if size > len(data) - at:
            raise ValueError(f"Field {number} has {size} bytes, {len(data) - at} are left. The message is cut.")
        yield number, wire, data[at : at + size]
        at += size


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

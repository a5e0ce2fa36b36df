"""The checksum of event files, CRC-32C as TensorFlow masks it: of one record, or of many records of one length at once."""

import struct
from collections.abc import Sequence
from functools import lru_cache

LENGTHS = 4096  # different lengths of records whose checksums are kept


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _table()
_PLANES = tuple(bytes(entry >> shift & 0xFF for entry in _TABLE) for shift in (0, 8, 16, 24))  # byte by byte of an entry


def masked_crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum of some bytes, turned and offset as these files store it."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=LENGTHS)
def length_crc32c(length: bytes) -> int:
    """The same of the eight bytes of a length: most records of a file have one of few lengths."""
    return masked_crc32c(length)


def masked_crc32c_of(columns: Sequence[bytes], count: int) -> list[int]:
    """The same of each of `count` records of one length: columns[i] holds byte i of every record.

    The table is looked up for all records at a time, as a translation of bytes; the four bytes of the checksums are
    four rows, and what is exclusive-or of rows is that of long integers.
    """
    low = second = third = high = int.from_bytes(b"\xff" * count, "little")
    first_plane, second_plane, third_plane, high_plane = _PLANES
    read = int.from_bytes
    for column in columns:
        index = (low ^ read(column, "little")).to_bytes(count, "little")
        low = second ^ read(index.translate(first_plane), "little")
        second = third ^ read(index.translate(second_plane), "little")
        third = high ^ read(index.translate(third_plane), "little")
        high = read(index.translate(high_plane), "little")
    woven = bytearray(4 * count)
    for place, row in enumerate((low, second, third, high)):
        woven[place::4] = row.to_bytes(count, "little")
    turned = [crc ^ 0xFFFFFFFF for crc in struct.unpack(f"<{count}I", woven)]
    return [(((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF for crc in turned]

"""The format of a fragment: the file into which one training process writes its points and notes.

A fragment is called `<pid>-<start>.frag` (start: boot-clock nanoseconds in hexadecimal at its opening), lies in the
attempt's folder (or in `points` there: a confined script may not write beside what its supervisor keeps) and is only
ever appended to by the one process that made it. All numbers are little-endian.

    header   MAGIC (6 bytes), version (u8), newline
    frame    length (u32), crc32 (u32), body; `length` is that of the body, the checksum covers length and body
    body     type (u8), payload

    type 1   name     metric id (u16), name in UTF-8; comes before the first point that uses the id
    type 2   points   step (i64), seconds since the attempt's process began (f64), n ids (u16 each), n values (f64 each)
    type 3   note     JSON: [kind, {name: value}]

What a supervisor measures of its attempt from outside, `machine.samples`, has the same format; its points have no steps yet.

Where a fragment cannot be written at all, its writer leaves an empty file `<pid>-<start>.<points>.dropped`: a name
needs no disk block, so even a full disk can hold the count of what was lost.
"""

from __future__ import annotations

import struct
from zlib import crc32

MAGIC = b"SSHIFT"
VERSION = 1
HEADER = MAGIC + bytes((VERSION, 0x0A))
SUFFIX = ".frag"
DROPPED_SUFFIX = ".dropped"
PLACE = "points"  # in the attempt's folder: where fragments go, if it is there
SYS = "sys/"  # begins the names of metrics that the SDK samples by itself
STEP_S, DATA_S, RSS_MB = SYS + "step_s", SYS + "data_s", SYS + "rss_mb"
WALL = "_wall_s"  # hidden metric, one point per log call: seconds since the attempt's process began

NAME, POINTS, NOTE = 1, 2, 3
MAX_BODY = 1 << 18  # bytes; longer ones are never written, so a reader may call them damage
MAX_METRICS = 8192  # in one points frame; a larger call is written as several
MAX_NAMES = 1 << 16  # different metrics of one process
MAX_NAME_BYTES = 512

PREFIX = struct.Struct("<II")
U32 = struct.Struct("<I")
METRIC_ID = struct.Struct("<H")
POINT_HEAD = struct.Struct("<Bqd")  # type, step, seconds

NOTE_KINDS = frozenset(
    ("hello", "params", "announced", "applied", "saved", "unsaved", "restored", "rejected", "pruned", "dropped", "closed",
     "damaged", "health", "look", "described")
)  # fmt: skip


def frame(kind: int, payload: bytes) -> bytes:
    """Return the bytes of one frame. Raises ValueError if the payload does not fit in MAX_BODY."""
    body = bytes((kind,)) + payload
    if len(body) > MAX_BODY:
        raise ValueError(f"A frame of {len(body)} bytes does not fit; at most {MAX_BODY} do. Split it.")
    length = U32.pack(len(body))
    return length + U32.pack(crc32(body, crc32(length))) + body


def name_frame(metric: int, name: bytes) -> bytes:
    """Return the frame that gives a metric's id its name (UTF-8)."""
    return frame(NAME, METRIC_ID.pack(metric) + name)


class Layout:
    """How the points of one tuple of metric names are packed; made once for each tuple, used at every log call."""

    __slots__ = ("count", "ids", "length", "pack", "seed")

    def __init__(self, metrics: list[int]) -> None:
        self.count = len(metrics)
        self.ids = struct.pack(f"<{self.count}H", *metrics)
        packer = struct.Struct(f"<Bqd{len(self.ids)}s{self.count}d")
        self.pack = packer.pack  # (POINTS, step, seconds, ids, *values) -> body
        self.length = U32.pack(packer.size)
        self.seed = crc32(self.length)

    def frame(self, body: bytes) -> bytes:
        """Return the frame around a body that `pack` made."""
        return self.length + U32.pack(crc32(body, self.seed)) + body

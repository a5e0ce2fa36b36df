"""Reads fragments: what the tracking room writes in a training process, from any offset on, while it is being written.

The caller commits a chunk's `end` together with its points and starts there the next time, so that each point arrives
exactly once. Nothing in a file, however damaged, raises; bytes that cannot be used are counted in a `damaged` note.
"""

import json
import os
import re
import stat
import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from secondshift.records.orders import Batch, Chunk, Note
from secondshift.tracking import wire

LIMIT = 4 << 20  # bytes read at a time
WINDOW = wire.MAX_BODY + wire.PREFIX.size  # every whole frame fits in so many bytes
REMEMBERED = 4096  # fragments whose metric names are kept in memory
_FRAME_START = re.compile(rb"(?=..[\x00-\x04]\x00....[\x01-\x03])", re.DOTALL)  # where a frame could begin
_DROPPED = re.compile(r"(?P<stem>.+)\.(?P<points>\d{1,18})" + re.escape(wire.DROPPED_SUFFIX))
_HEAD = wire.POINT_HEAD.size
_PER_POINT = wire.METRIC_ID.size + 8  # bytes


@dataclass(slots=True)
class _Names:
    """The metric names that a fragment declares before `upto`; a disposable cache, rebuilt from the file."""

    inode: int
    upto: int = 0
    names: dict[int, str] = field(default_factory=dict)


_remembered: OrderedDict[str, _Names] = OrderedDict()


def collect_folder(
    folder: str | os.PathLike[str],
    offsets: Mapping[str, int],
    *,
    trial: str,
    attempt: str,
    limit: int = LIMIT,
    ended: bool | None = None,
) -> list[Chunk]:
    """Return what is new in all fragments of an attempt's folder, at most about `limit` bytes of it.

    `offsets` maps fragment names to the `end` of the last committed chunk. Once no process of the attempt lives any
    more (`ended`; None: when its exit.json is there), torn tails are reported as damage, and counts of points that
    could not be written are read. Call again until the list is empty. Never raises, whatever is in the folder.
    """
    if ended is None:
        ended = os.path.exists(os.path.join(folder, "exit.json"))
    chunks = []
    for name in entries(folder):
        if limit <= 0:
            break
        offset = offsets.get(name, 0)
        if name.endswith(wire.SUFFIX):
            path = os.path.join(folder, name)
            chunk = read_fragment(path, offset, trial=trial, attempt=attempt, name=name, limit=limit, ended=ended)
        elif ended and offset == 0 and (mark := _DROPPED.fullmatch(name)):
            values = {"points": int(mark["points"]), "reason": "the attempt's folder could not be written"}
            note = Note(kind="dropped", values=values)
            chunk = Chunk(attempt=attempt, fragment=name, start=0, end=1, notes=(note,))  # the name counts as one byte
        else:
            continue
        if chunk.end > chunk.start:
            chunks.append(chunk)
            limit -= chunk.end - chunk.start
    return chunks


def read_fragment(
    path: str | os.PathLike[str], offset: int, *, trial: str, attempt: str, name: str = "", limit: int = LIMIT, ended: bool = False
) -> Chunk:
    """Return the points and notes of whole frames from `offset` on, about `limit` bytes, half a MiB at least.

    `offset` is 0 or the `end` of an earlier chunk. An unfinished frame at the end is waited for, or, with `ended`,
    reported as damage. A file that is missing, shorter than `offset`, a link or not a plain file gives an empty chunk.
    name: in the attempt's folder; empty: that of the file.
    """
    name = name or os.path.basename(path)
    empty = Chunk(attempt=attempt, fragment=name, start=offset, end=offset)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return empty
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size <= offset:
            return empty
        known = _names_before(os.fspath(path), fd, status, offset)
        # At least two windows: a long stretch of damage is left one window at a time.
        data = os.pread(fd, max(limit, 2 * WINDOW), offset)
    except OSError:
        return empty
    finally:
        os.close(fd)
    scan = _Scan(data, at_head=offset == 0, more=offset + len(data) < status.st_size, ended=ended)
    columns = _Columns(known.names)
    notes = _Notes()
    for body in scan:
        if not _use(body, known.names, columns, notes):
            scan.damaged += len(body) + wire.PREFIX.size
    known.upto = max(known.upto, offset + scan.position)
    if scan.damaged:
        notes.add("damaged", {"bytes": scan.damaged, "reason": scan.reason})
    batches = columns.batches(trial, attempt)
    end = offset + scan.position
    return Chunk(attempt=attempt, fragment=name, start=offset, end=end, batches=batches, notes=notes.all())


class _Scan:
    """Walks over the frames in a piece of a fragment: gives the body of each whole one, and steps over damage.

    After the walk, `position` is where the next one begins, and `damaged` counts the bytes stepped over.
    """

    def __init__(self, data: bytes, *, at_head: bool, more: bool, ended: bool) -> None:
        self.data = data
        self.more = more  # the file goes on behind `data`
        self.ended = ended
        self.position = 0
        self.damaged = 0
        self.reason = "bytes in the fragment were not what its checksums say"
        self._at_head = at_head

    def __iter__(self) -> Iterator[bytes]:
        if self._at_head and not self._header():
            return
        data, size = self.data, len(self.data)
        while self.position < size:
            body = _body_at(data, self.position)
            if body is not None:
                self.position += wire.PREFIX.size + len(body)
                yield body
            elif not self._step_over():
                return

    def _header(self) -> bool:
        head = self.data[: len(wire.HEADER)]
        if head == wire.HEADER:
            self.position = len(wire.HEADER)
            return True
        if head[: len(wire.MAGIC)] == wire.MAGIC and len(head) == len(wire.HEADER) and head[-1:] == b"\n":
            if self.ended:  # once, at the end: until then a newer secondshift may come and read it
                version = head[len(wire.MAGIC)]
                self.reason = f"the fragment is of version {version}, this secondshift reads {wire.VERSION}: upgrade it"
                self.position = self.damaged = len(self.data)
            return False
        return True  # torn or damaged: treated like a damaged frame

    def _step_over(self) -> bool:
        """Move to the next whole frame behind damage; False if none follows, or the frame here may still be growing."""
        data, start = self.data, self.position
        if self.more and len(data) - start < WINDOW:
            return False  # it may only be cut by the limit: the next read begins here
        for match in _FRAME_START.finditer(data, start + 1):
            if _body_at(data, match.start()) is not None:
                self._skip_to(match.start())
                return True
        if self.more:
            self._skip_to(len(data) - WINDOW + 1)  # no whole frame begins before that
        elif self.ended:
            self._skip_to(len(data))
        return False

    def _skip_to(self, position: int) -> None:
        self.damaged += position - self.position
        self.position = position


def _body_at(data: bytes, position: int) -> bytes | None:
    """Return the body of the frame that begins here, or None if none whole does."""
    if len(data) - position <= wire.PREFIX.size:
        return None
    length, crc = wire.PREFIX.unpack_from(data, position)
    start = position + wire.PREFIX.size
    if not 0 < length <= wire.MAX_BODY or start + length > len(data) or not _plausible(data, start, length):
        return None
    body = data[start : start + length]
    if crc32(body, crc32(data[position : position + 4])) != crc:
        return None
    return body


def _plausible(data: bytes, start: int, length: int) -> bool:
    """Say whether a body may begin here: cheaper than a checksum, which garbage would ask for at every byte."""
    kind = data[start]
    if kind == wire.POINTS:
        return length > _HEAD and (length - _HEAD) % _PER_POINT == 0
    if kind == wire.NAME:
        return length <= 1 + wire.METRIC_ID.size + wire.MAX_NAME_BYTES
    return kind == wire.NOTE and data[start + 1 : start + 3] == b'["'


def _use(body: bytes, names: dict[int, str], columns: "_Columns", notes: "_Notes") -> bool:
    """Take in one frame; False if it makes no sense although its checksum is right."""
    kind = body[0]
    if kind == wire.POINTS:
        return columns.add(body)
    if kind == wire.NAME:
        return _declare(body, names)
    if kind == wire.NOTE:
        return notes.parse(body[1:])
    return False


def _declare(body: bytes, names: dict[int, str]) -> bool:
    try:
        names[wire.METRIC_ID.unpack_from(body, 1)[0]] = body[1 + wire.METRIC_ID.size :].decode()
    except (struct.error, UnicodeDecodeError):
        return False
    return True


class _Columns:
    """Turns points frames, which are rows, into one column per metric, in the order of writing."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._columns: dict[str, tuple[array, array]] = {}
        self._ids = b""
        self._heads: list[bytes] = []  # rows that have the same metrics: cheap to transpose all at once
        self._values: list[bytes] = []

    def add(self, body: bytes) -> bool:
        """Take in a points frame; False if one of its metrics was never declared."""
        count = (len(body) - _HEAD) // _PER_POINT  # a whole number: only plausible frames come here
        middle = _HEAD + count * wire.METRIC_ID.size
        ids = body[_HEAD:middle]
        if ids != self._ids:
            if any(i not in self._names for i in _ids(ids)):
                return False
            self._transpose()
            self._ids = ids
        self._heads.append(body[1:_HEAD])
        self._values.append(body[middle:])
        return True

    def batches(self, trial: str, attempt: str) -> tuple[Batch, ...]:
        """Return one batch per metric, the hidden one of the times included."""
        self._transpose()
        return tuple(
            Batch(trial=trial, attempt=attempt, metric=metric, steps=steps, values=values)
            for metric, (steps, values) in self._columns.items()
        )

    def _transpose(self) -> None:
        if not self._heads:
            return
        heads = b"".join(self._heads)
        steps = _native("q", heads)[0::2]
        metrics = [self._names[i] for i in _ids(self._ids)]
        values = _native("d", b"".join(self._values))
        for i, metric in enumerate(metrics):
            self._extend(metric, steps, values[i :: len(metrics)])
        self._extend(wire.WALL, steps, _native("d", heads)[1::2])
        self._heads.clear()
        self._values.clear()

    def _extend(self, metric: str, steps: array, values: array) -> None:
        column = self._columns.setdefault(metric, (array("q"), array("d")))
        column[0].extend(steps)
        column[1].extend(values)


def _ids(ids: bytes) -> Iterable[int]:
    return (i for (i,) in wire.METRIC_ID.iter_unpack(ids))


def _native(typecode: str, data: bytes) -> array:
    values = array(typecode)
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


class _Notes:
    """The notes of one chunk; those that count the same loss again are added up."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, dict]] = []
        self._counts: dict[str, dict] = {}  # reason -> values of its `dropped` note

    def parse(self, text: bytes) -> bool:
        """Take in a note's JSON; False if it is not what a note looks like."""
        try:
            kind, values = json.loads(text)
            plain = isinstance(values, dict) and all(isinstance(v, (bool, int, float, str)) for v in values.values())
        except (ValueError, TypeError, RecursionError):
            return False
        if not plain or not isinstance(kind, str) or kind not in wire.NOTE_KINDS:
            return False
        self.add(kind, values)
        return True

    def add(self, kind: str, values: dict) -> None:
        """Append a note, or add its count to the one of the same reason."""
        if kind == "dropped" and type(values.get("points")) is int:
            same = self._counts.setdefault(str(values.get("reason")), values)
            if same is not values:
                same["points"] += values["points"]
                return
        self._notes.append((kind, values))

    def all(self) -> tuple[Note, ...]:
        """Return them in the order of writing."""
        return tuple(Note(kind=kind, values=values) for kind, values in self._notes)  # type: ignore[arg-type]  # checked against NOTE_KINDS


def _names_before(path: str, fd: int, status: os.stat_result, offset: int) -> _Names:
    """Return the metric names declared before `offset`: remembered, or read again from where memory ends."""
    known = _remembered.pop(path, None)
    if known is None or known.inode != status.st_ino or status.st_size < known.upto:
        known = _Names(inode=status.st_ino)
    _remembered[path] = known
    if len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)
    while known.upto < offset:
        data = os.pread(fd, min(LIMIT, offset - known.upto), known.upto)
        more = known.upto + len(data) < offset
        scan = _Scan(data, at_head=known.upto == 0, more=more, ended=True)
        for body in scan:
            if body[0] == wire.NAME:
                _declare(body, known.names)
        if not scan.position:
            break
        known.upto += scan.position
    return known


def entries(folder: str | os.PathLike[str]) -> list[str]:
    """The names of what lies in an attempt's folder, and in the one that is there for fragments alone."""
    return [*_listed(folder), *(f"{wire.PLACE}/{name}" for name in _listed(os.path.join(folder, wire.PLACE)))]


def _listed(folder: str | os.PathLike[str]) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []

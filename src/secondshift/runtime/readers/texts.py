"""Follows a growing text file line by line, from any committed offset, each line exactly once, in constant memory.

A carriage return ends a state of a line that the next may overwrite; a line feed ends the line. What may still be
overwritten is not committed, so what is read does not depend on when it is read. Under a progress bar another may be
drawn, as for a validation: then the first is drawn again when the other is done, and only that state counts.
"""

import os
import re
import stat
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.dialects import Dialect, Progress, plain

LINE_CAP = 1 << 17  # bytes of a line that are looked at
WINDOW = 8 * LINE_CAP  # bytes read at a time, at least: more than the longest stretch that can be open
ATONCE = 16 << 20  # bytes that one call may pass over without a point while the attempt lives
REMEMBERED = 1024  # files whose state is kept in memory
_END = re.compile(rb"[\r\n\x08]")
_PIECE = re.compile(rb"([^\r\n\x08]*)([\r\n\x08])")  # a backspace returns like a carriage return
_TURNS = re.compile(rb"[\r\x08|]")  # what a line that is more than its text may hold; a bar is drawn between two "|"
_BELOW = "\x1b[A"  # ends what is drawn below a bar: the cursor goes back up to it
_CUT = f"lines longer than {LINE_CAP} bytes were read only so far"


@dataclass(slots=True)
class _Place:
    """A place in a file, and what must be known of all that stands before it."""

    position: int
    dialect: Dialect
    overlong: bool = False  # within the part of a line that is not looked at

    def copy(self) -> "_Place":
        return _Place(position=self.position, dialect=self.dialect.copy(), overlong=self.overlong)


@dataclass(slots=True)
class _Remembered:
    """What is known of a file; a disposable cache, rebuilt from the file."""

    inode: int
    places: dict[int, _Place]  # by the offset they stand for: a place may lie further on if nothing is said between
    way: _Place | None = None  # how far reading all again has come


_remembered: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()


def forget() -> None:
    """Drop what is remembered of files, as a new engine would begin."""
    _remembered.clear()


def read_text(
    path: str, offset: int, make: Callable[[], Dialect], *, kind: str = "", ended: bool = False, limit: int = 4 << 20
) -> tuple[Columns, int]:
    """Return the points behind `offset`, and the offset to commit with them: unchanged where there is nothing new.

    make: makes the dialect for the file's first byte; kind: tells apart those who read one file differently. A last
    line without its end is waited for until `ended`. A file shorter than `offset` was truncated: read from its start,
    unless it has ended. Never raises on what a file holds.
    """
    columns = Columns()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return columns, offset
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or (status.st_size < offset and ended):
            return columns, offset
        start = offset
        if status.st_size < offset:
            start = 0
            _remembered.pop((path, kind), None)
        place = _place(fd, path, status, start, make, kind, ended)
        if place is None:
            return columns, offset
        here = place.copy()
        most = here.position + ATONCE
        while _advance(fd, here, columns, status.st_size, ended, max(limit, WINDOW)):
            if columns.points or columns.damaged or columns.left_out or (not ended and here.position > most):
                break
        said = columns.points or columns.damaged or columns.left_out
        _keep(path, kind, status, {start: place, here.position: here} if said else {start: here})
        return columns, here.position if said else offset
    except OSError:
        return columns if columns.points else Columns(), offset
    finally:
        os.close(fd)


def _keep(path: str, kind: str, status: os.stat_result, places: dict[int, _Place], way: _Place | None = None) -> None:
    _remembered[(path, kind)] = _Remembered(inode=status.st_ino, places=places, way=way)
    _remembered.move_to_end((path, kind))
    if len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)


def _place(
    fd: int, path: str, status: os.stat_result, offset: int, make: Callable[[], Dialect], kind: str, ended: bool
) -> _Place | None:
    """Return what is known at an offset: remembered, or by reading all before it again; None: not yet through."""
    known = _remembered.get((path, kind))
    if known is None or known.inode != status.st_ino:
        known = _Remembered(inode=status.st_ino, places={})
    place = known.places.get(offset)
    if place is not None and place.position <= status.st_size:
        return place
    before = [p for p in (*known.places.values(), known.way) if p is not None and p.position <= offset]
    place = max(before, key=lambda p: p.position).copy() if before else _Place(position=0, dialect=make())
    most = place.position + ATONCE
    while place.position < offset:
        if not _advance(fd, place, Columns(), status.st_size, ended, WINDOW, stop=offset):
            break
        if place.position > most and not ended and place.position < offset:
            _keep(path, kind, status, known.places, place)
            return None
    return place


def _advance(
    fd: int, place: _Place, into: Columns, size: int, ended: bool, window: int, stop: int | None = None
) -> bool:
    """Read on from a place, and say whether it moved. stop: go no further than this offset, one reached before."""
    base = place.position
    data = os.pread(fd, window, base)
    whole = ended and base + len(data) >= size
    begin = 0
    if place.overlong:
        found = _END.search(data)
        if found is None:
            place.position += len(data)
            return bool(data)
        place.overlong, begin = False, found.start()
    last = max(data.rfind(end) for end in (b"\n", b"\r", b"\x08")) + 1
    terminal = Terminal(place.dialect, into)
    returns = whole or _TURNS.search(data) or (stop is not None and stop < base + len(data))
    if returns or not _at_once(data[begin:last], place.dialect, into):
        halted = terminal.read(data, begin, last, -1 if stop is None else stop - base)
        if halted >= 0:
            place.position, place.overlong = base + halted, terminal.within
            return halted > 0
    tail = data[last:]
    if len(tail) > LINE_CAP:
        terminal.feed(last, len(data), _text(tail, into))
        terminal.settle()
        place.overlong = True
    elif whole:
        terminal.feed(last, len(data), _text(tail, into))
        terminal.settle()
    done = len(data) if whole or place.overlong else terminal.settled(last)
    place.position += done
    return done > 0


def _at_once(data: bytes, dialect: Dialect, into: Columns) -> bool:
    """Take in plain lines, the common case; False, and nothing done, if one of them is too long."""
    if len(data) > LINE_CAP and max(map(len, data.split(b"\n"))) > LINE_CAP:
        return False
    for text in data.decode("utf-8", "replace").split("\n"):
        if text:
            dialect.line(text, into)
    return True


def _text(line: bytes, into: Columns) -> str:
    """Decode a line; of one that is too long, what stands before the last whole word within the cap."""
    if len(line) <= LINE_CAP:
        return line.decode("utf-8", "replace")
    into.damage(_CUT, 1)
    head = line[:LINE_CAP]
    return head[: max(head.rfind(b" "), head.rfind(b","), 0)].decode("utf-8", "replace")


class Terminal:
    """A line as a terminal would show it: its last state before the line feed, or before another thing is said there."""

    def __init__(self, dialect: Dialect, into: Columns) -> None:
        self.dialect = dialect
        self.into = into
        self.open: tuple[int, str, Progress] | None = None  # where a line that is not settled begins, and what it says
        self.left = False  # the open line was ended; it is a bar, and another may still be drawn below it
        self.within = False  # `stop` was reached within a line of which no more is looked at

    def read(self, data: bytes, begin: int, last: int, stop: int) -> int:
        """Take in the pieces of data[begin:last]; return where `stop` was reached, -1 if it was not."""
        for piece in _PIECE.finditer(data, begin, last):
            if 0 <= stop <= self.settled(piece.start()):
                return self.settled(piece.start())
            if len(piece[1]) > LINE_CAP:
                self.feed(piece.start(), piece.end(), _text(piece[1], self.into))
                if 0 <= stop < piece.end():  # its end had not been written yet when this offset was committed
                    self.settle()
                    self.within = True
                    return stop
            elif piece[2] == b"\n":
                self.feed(piece.start(), piece.end(), _text(piece[1], self.into))
            else:
                self.turn(piece.start(), piece.end(), _text(piece[1], self.into))
        return self.settled(last) if 0 <= stop <= self.settled(last) else -1

    def settled(self, position: int) -> int:
        """Return up to where all is said, when the pieces before `position` were taken in."""
        return self.open[0] if self.open else position

    def feed(self, start: int, end: int, text: str) -> None:
        """Take in what a line feed ends."""
        if not plain(text):
            self._blank(end)
            if self.open and not self.open[2].bar:
                self.settle()
            self.left = self.open is not None
            return
        told = self.dialect.progress(text) if self.open or "|" in text else None
        self._begin(text, told)
        if told and told.bar:
            self.open, self.left = (start, text, told), True
        else:
            self.dialect.line(text, self.into)

    def turn(self, start: int, end: int, text: str) -> None:
        """Take in what a carriage return ends: it stands until something else is written over it."""
        if not plain(text):
            self._blank(end)
            return
        told = self.dialect.progress(text)
        self._begin(text, told)
        self.open = (start, text, told)

    def settle(self) -> None:
        """Let the open state stand as a line."""
        if self.open:
            self.dialect.line(self.open[1], self.into)
        self.open, self.left = None, False

    def _begin(self, text: str, told: Progress | None) -> None:
        """Let the open state stand, unless a new one replaces it, or is drawn below it and will give way to it again."""
        if self.open and told and (text.endswith(_BELOW) if self.left else told.replaces(self.open[2])):
            self.open = None
        self.settle()

    def _blank(self, end: int) -> None:
        if self.open and end - self.open[0] > 2 * LINE_CAP:
            self.settle()

"""The writer of a fragment: every call ends in one write straight into the page cache, which survives SIGKILL."""

from __future__ import annotations

import errno
import fcntl
import json
import operator
import os
import time
from _thread import RLock  # threading's own, without importing threading
from collections.abc import Callable

from secondshift.tracking import wire

PENDING_CAP = 1 << 20  # bytes held in memory while the file cannot be written; what goes beyond is dropped and counted
RETRY_S = 0.2  # between attempts to write what is held
CHECK_S = 0.5  # between looks whether the file still has a name
HIGH_FD = 300  # a descriptor up here is not handed out again when a script closes files that are not its own
MAX_STEP = (1 << 63) - 1
MAX_LAYOUTS = 1024
MAX_REASONS = 64


class Unusable(Exception):
    """A value, name or step that cannot be logged; the text says why."""


class Fragment:
    """The one file into which this process writes, opened when there is something to write.

    No method raises an Exception. What cannot be written is first held in memory, then dropped; what is dropped is
    counted, said in a note as soon as writing works again, and until then in the name of an empty file beside it.
    """

    def __init__(self, folder: str, *, base: float, warn: Callable[[str], object]) -> None:
        self.folder = folder
        self.base = base  # monotonic time at which the attempt's process began
        self.dropped = 0  # points lost in this process
        self._warn = warn  # called with a sentence when something is dropped
        self._begin()

    def _begin(self) -> None:
        """Start with no file; also in a forked child, which must not touch its parent's."""
        self._lock = RLock()  # reentrant: a signal handler of the script may log while its own log call holds it
        self._fd = -1
        self._path = ""
        self._stem = ""
        self._hello = b""
        self._pending = bytearray()  # begins with the rest of a frame that was written in part
        self._pending_points = 0
        self._pending_told = 0  # lost points whose note is among what is held
        self._flushing = False
        self._retry_at = 0.0
        self._check_at = 0.0
        self._unchecked = 0  # points written since the file was last seen to have a name
        self._lost: dict[str, int] = {}  # reason -> points not yet told in a note
        self._mark = ""  # path of the empty file whose name holds the count
        self._ids: dict[str, int] = {}
        self._layouts: dict[tuple[str, ...], wire.Layout] = {}

    def after_fork(self) -> None:
        """Let go of the parent's file; the child's own is opened at its first write."""
        if self._fd >= 0:
            try:
                os.close(self._fd)
            except OSError:
                pass
        self.dropped = 0
        self._begin()

    def points(self, step: object, metrics: dict[str, object]) -> int:
        """Write one point per metric, of anything that float() takes; return the step, or -1 if it was unusable."""
        layout = self._layouts.get(tuple(metrics))
        now = time.monotonic()
        if layout is None or step.__class__ is not int or step < 0:  # type: ignore[operator]  # the class was checked
            return self._points_slowly(step, metrics, now)
        try:
            body = layout.pack(wire.POINTS, step, now - self.base, layout.ids, *metrics.values())
        except Exception:
            return self._points_slowly(step, metrics, now)
        data = layout.frame(body)
        with self._lock:
            if self._fd < 0 or self._pending or now >= self._check_at:
                self._append(data, layout.count, now)
            else:
                self._write(data, layout.count, now)
        return step  # type: ignore[return-value]  # its class was checked above

    def note(self, kind: str, values: dict[str, object]) -> None:
        """Write a note; values must be plain JSON."""
        now = time.monotonic()
        try:
            data = wire.frame(wire.NOTE, json.dumps([kind, values]).encode())
        except Exception as problem:
            self.drop(f"a note '{kind}' could not be written: {problem}", 0)
            return
        with self._lock:
            self._append(data, 0, now)

    def drop(self, reason: str, points: int) -> None:
        """Count points that are lost, and say so where that is possible."""
        with self._lock:
            self._lose(reason, points)
            self._flush(time.monotonic())
            self._write_mark()
        self._warn(reason)

    def held(self) -> bool:
        """Say whether something waits in memory for the file to be written again."""
        return bool(self._pending)

    def open(self) -> None:
        """Make the file now: a process that never logs still says hello."""
        with self._lock:
            self._flush(time.monotonic())

    def sync(self) -> None:
        """Write what is held and ask the disk to keep it."""
        with self._lock:
            self._flush(time.monotonic(), force=True)
            try:
                if self._fd >= 0:
                    os.fsync(self._fd)
            except OSError:
                pass

    def close(self) -> None:
        """Write what is held, once more if need be, and close the file."""
        with self._lock:
            if self._path or self._pending or self._lost:
                self._check(time.monotonic())
                self._flush(time.monotonic(), force=True)
            self._write_mark()
            if self._fd >= 0:
                try:
                    os.close(self._fd)
                except OSError:
                    pass
                self._fd = -1

    def hello(self, values: dict[str, object]) -> None:
        """Set the note that every file of this process begins with."""
        self._hello = wire.frame(wire.NOTE, json.dumps(["hello", values]).encode())

    # Everything below runs under the lock.

    def _append(self, data: bytes, points: int, now: float) -> bool:
        """Write or hold a frame; False if it was dropped."""
        if self._flushing:  # a signal handler logs in the middle of a flush, whose next round will write it
            return self._hold(data, points)
        if self._path and now >= self._check_at:
            self._check(now)
        if self._flush(now):
            return self._write(data, points, now)
        return self._hold(data, points)

    def _write(self, data: bytes, points: int, now: float) -> bool:
        try:
            written = os.write(self._fd, data)
        except OSError as problem:
            self._failed(problem, now)
            return self._hold(data, points)
        if written == len(data):
            self._unchecked += points
            return True
        self._retry_at = now + RETRY_S
        return self._hold(data[written:], points)

    def _hold(self, data: bytes, points: int) -> bool:
        """Keep bytes in memory until the file can be written again, or drop them when there are too many."""
        held = len(self._pending) + len(data) <= PENDING_CAP
        if held:
            self._pending += data
            self._pending_points += points
        else:
            self._lose("the points could not be written to the attempt's folder", points)
        self._write_mark()
        self._warn("the attempt's folder cannot be written; points are held in memory, then dropped and counted")
        return held

    def _lose(self, reason: str, points: int) -> None:
        self.dropped += points
        if reason not in self._lost and len(self._lost) >= MAX_REASONS:
            reason = "further reasons"
        self._lost[reason] = self._lost.get(reason, 0) + points

    def _flush(self, now: float, *, force: bool = False) -> bool:
        """Open the file if need be and write what is held; say whether new frames may follow."""
        if self._flushing or (now < self._retry_at and not force):
            return False
        if self._fd < 0 and not self._open(now):
            return False
        if not self._pending and not self._lost:
            return True
        self._flushing = True
        try:
            while self._pending or self._lost:
                if not self._pending:
                    self._tell_lost()
                if not self._write_pending(now):
                    return False
        finally:
            self._flushing = False
        self._write_mark()
        return True

    def _write_pending(self, now: float) -> bool:
        size, points, told = len(self._pending), self._pending_points, self._pending_told
        try:
            written = os.write(self._fd, bytes(self._pending))
        except OSError as problem:
            self._failed(problem, now)
            return False
        del self._pending[:written]
        if written < size:
            self._retry_at = now + RETRY_S
            return False
        self._pending_points -= points
        self._pending_told -= told
        self._unchecked += points
        return True

    def _tell_lost(self) -> None:
        for reason, points in self._lost.items():
            text = json.dumps(["dropped", {"points": points, "reason": reason[:500]}])
            self._pending += wire.frame(wire.NOTE, text.encode())
            self._pending_told += points
        self._lost.clear()

    def _failed(self, problem: OSError, now: float) -> None:
        self._retry_at = now + RETRY_S
        if problem.errno == errno.EBADF:  # the script closed it: open it again
            self._fd = -1
            self._retry_at = 0.0

    def _open(self, now: float) -> bool:
        try:
            if self._path:
                try:
                    self._fd = _raised(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
                    return True
                except FileNotFoundError:
                    self._forget_file("the fragment was deleted while the script ran")
            start = time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
            stem = os.path.join(self.folder, f"{os.getpid()}-{start:x}")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL
            self._fd = _raised(os.open(stem + wire.SUFFIX, flags, 0o644))
        except OSError:
            self._retry_at = now + RETRY_S
            return False
        self._stem, self._path = stem, stem + wire.SUFFIX
        self._check_at = now + CHECK_S
        names = (wire.name_frame(metric, name.encode()) for name, metric in self._ids.items())
        self._pending[:0] = wire.HEADER + self._hello + b"".join(names)
        return True

    def _check(self, now: float) -> None:
        """Notice that the file was deleted: writing into it goes on without an error, and is lost."""
        self._check_at = now + CHECK_S
        try:
            gone = self._fd >= 0 and os.fstat(self._fd).st_nlink == 0
        except OSError:
            self._fd, gone = -1, False
        if gone:
            try:
                os.close(self._fd)
            except OSError:
                pass
            self._fd = -1
            self._forget_file("the fragment was deleted while the script ran")
        self._unchecked = 0

    def _forget_file(self, reason: str) -> None:
        self._lose(reason, self._unchecked + self._pending_points)
        self._lose(reason, self._pending_told)
        self.dropped -= self._pending_told  # they had been counted already; only their note is gone
        self._pending.clear()
        self._pending_points = self._pending_told = self._unchecked = 0
        self._path = ""
        self._warn(reason)

    def _write_mark(self) -> None:
        """Keep the count of what would be lost if the process died now in a file's name."""
        count = sum(self._lost.values()) + self._pending_points + self._pending_told
        if not count and not self._mark:
            return
        stem = self._stem or os.path.join(self.folder, f"{os.getpid()}-0")
        mark = f"{stem}.{count}{wire.DROPPED_SUFFIX}" if count else ""
        try:
            if self._mark and mark:
                os.rename(self._mark, mark)
            elif mark:
                os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
            else:
                os.unlink(self._mark)
        except OSError:
            return  # nothing more can be done from in here; the warning on stderr stands
        self._mark = mark

    # The slow way: a first call with these names, a value that is not a plain number, or something unusable.

    def _points_slowly(self, step: object, metrics: dict[str, object], now: float) -> int:
        try:
            number = _step(step)
        except Unusable as why:
            self.drop(str(why), len(metrics))
            return -1
        good: dict[str, float] = {}
        for name, value in metrics.items():
            try:
                _check_name(name)
                good[name] = _number(name, value)
            except Unusable as why:
                self.drop(str(why), 1)
        names = tuple(good)
        with self._lock:
            for first in range(0, len(names), wire.MAX_METRICS):
                self._write_part(number, names[first : first + wire.MAX_METRICS], good, now)
        return number

    def _write_part(self, step: int, names: tuple[str, ...], values: dict[str, float], now: float) -> None:
        new = [name for name in names if name not in self._ids]
        room = wire.MAX_NAMES - len(self._ids)
        if len(new) > room:
            self.drop(f"more than {wire.MAX_NAMES} different metric names", len(new) - room)
            refused = set(new[room:])
            new, names = new[:room], tuple(name for name in names if name not in refused)
            if not names:
                return
        layout = self._layouts.get(names)
        if layout is None:
            ids = {name: len(self._ids) + i for i, name in enumerate(new)}
            layout = wire.Layout([ids[name] if name in ids else self._ids[name] for name in names])
            declared = b"".join(wire.name_frame(metric, name.encode()) for name, metric in ids.items())
        else:
            ids, declared = {}, b""
        body = layout.pack(wire.POINTS, step, now - self.base, layout.ids, *[values[name] for name in names])
        if self._append(declared + layout.frame(body), layout.count, now):  # else the names must be sent again
            self._ids.update(ids)
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[names] = layout


def _raised(fd: int) -> int:
    """Move a descriptor to a high number; keep it where the process may not have so many."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    except OSError:
        return fd
    os.close(fd)
    return high


def _step(step: object) -> int:
    try:
        number = int(step) if isinstance(step, float) and step.is_integer() else operator.index(step)  # type: ignore[arg-type]  # index() is the check
    except Exception:
        number = _step_of_item(step)
    if not 0 <= number <= MAX_STEP:
        raise Unusable("a step was negative or above 2**63; steps count from 0")
    return number


def _step_of_item(step: object) -> int:
    try:
        return operator.index(step.item())  # type: ignore[attr-defined]  # 0-d tensors have it; the rest raises
    except Exception:
        raise Unusable(f"a step was not a whole number but {type(step).__name__}; call log(step, name=value)") from None


def _check_name(name: object) -> None:
    if name == wire.WALL:
        raise Unusable(f"the metric name {wire.WALL} is secondshift's own; choose another")
    try:
        fits = isinstance(name, str) and 0 < len(name.encode()) <= wire.MAX_NAME_BYTES
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise Unusable(f"a metric name was not 1 to {wire.MAX_NAME_BYTES} bytes of text")


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # float() is the check
    except Exception:
        pass
    try:
        return float(value.item())  # type: ignore[attr-defined]  # one-element tensors have it; the rest raises
    except Exception:
        kind = "a number too large for a float" if isinstance(value, int) else type(value).__name__
        raise Unusable(f"a value of {name[:80]} was not a number but {kind}") from None

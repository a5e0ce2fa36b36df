"""Starts a command and passes it through: its bytes, its signals, its end. What it prints is read on the way.

Its output goes to where ours goes, through a pipe, or through a terminal of its own where ours is one, so that it behaves
as it would alone. Nothing is interpreted by a shell.
"""

import array
import errno
import fcntl
import os
import select
import shutil
import signal
import termios
import threading
import tty
from collections.abc import Sequence
from dataclasses import dataclass, field

from secondshift.errors import SecondshiftError

CHUNK = 1 << 16
FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT")
    if hasattr(signal, name)
)
TYPED = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)  # a terminal sends these to everybody in its foreground
FROM_KERNEL = 0x80


@dataclass(slots=True)
class _Way:
    """Where bytes come from and go to."""

    source: int
    target: int
    is_terminal: bool
    open: bool = True
    pending: list[bytes] = field(default_factory=list)


class Command:
    """A running command. `pump` moves what it printed; `code` says how it ended."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.code: int | None = None  # minus a signal's number if one ended it
        self._ways: list[_Way] = []
        self._pid = 0
        self._lock = threading.Lock()
        self._old_mask: set[int] = set()

    def start(self) -> None:
        """Start it. Raises SecondshiftError if there is no such program."""
        if shutil.which(self.words[0]) is None:
            raise SecondshiftError(
                f"{self.words[0]} is no program that can be started. Expected one behind --, such as: "
                "secondshift watch -- python train.py. It is started without a shell: for pipes, write bash -c '...'."
            )
        theirs = self._connect()
        actions: list[tuple] = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in theirs.items()]
        self._old_mask = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)}
        try:
            self._pid = os.posix_spawnp(
                self.words[0], self.words, os.environ, file_actions=actions, setsigmask=self._old_mask - set(FORWARDED),
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these; who is started must not
            )  # fmt: skip
        except OSError as problem:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
            raise SecondshiftError(
                f"{self.words[0]} could not be started: {problem.strerror}. Is it a program?"
            ) from None
        for fd in set(theirs.values()):
            os.close(fd)
        threading.Thread(target=self._forward, daemon=True).start()

    def pump(self, wait_s: float) -> list[tuple[int, bytes]]:
        """Pass on what was printed by now, or within `wait_s`; give it as pairs of 1 or 2 and bytes."""
        ways = {way.source: way for way in self._ways if way.open}
        moved: list[tuple[int, bytes]] = []
        if not ways:
            self._reap(block=True)
            return moved
        ready, _, _ = select.select(list(ways), [], [], wait_s)
        for fd in ready:
            data = self._read(ways[fd])
            if data:
                moved.append((ways[fd].target, data))
                self._write(ways[fd], data)
        self._reap(block=False)
        return moved

    @property
    def over(self) -> bool:
        """Whether it has ended and all it printed was passed on."""
        return self.code is not None and not any(way.open for way in self._ways)

    def close(self) -> None:
        """Take signals again as before."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)

    def _connect(self) -> dict[int, int]:
        """Make ways for standard output and error, one for both if they lead to the same place; give the command's ends."""
        same = _same_place(1, 2)
        theirs: dict[int, int] = {}
        for target in (1, 2):
            if target == 2 and same:
                theirs[2] = theirs[1]
                continue
            if not _is_open(target):
                continue
            terminal = os.isatty(target)
            source, end = _terminal(target) if terminal else os.pipe()
            self._ways.append(_Way(source=source, target=target, is_terminal=terminal))
            theirs[target] = end
        return theirs

    def _read(self, way: _Way) -> bytes:
        try:
            data = os.read(way.source, CHUNK)
        except OSError as problem:
            if problem.errno != errno.EIO:  # how a terminal says that nobody holds its other end any more
                raise
            data = b""
        if not data:
            self._shut(way)
        return data

    def _write(self, way: _Way, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(way.target, view) :]
        except BlockingIOError:
            os.set_blocking(way.target, True)
            self._write(way, bytes(view))
        except (BrokenPipeError, OSError):
            self._shut(way)  # who read it has left: the command learns it as it would alone

    def _shut(self, way: _Way) -> None:
        if way.open:
            way.open = False
            os.close(way.source)

    def _reap(self, *, block: bool) -> None:
        with self._lock:
            if self.code is None and not block:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                self.code = os.waitstatus_to_exitcode(status) if pid else None
                return
        while self.code is None:
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _forward(self) -> None:
        """Hand signals on, but those that a terminal has sent to the command as well."""
        while True:
            number, typed = _next_signal()
            if number == signal.SIGWINCH:
                for way in self._ways:
                    if way.open and way.is_terminal:
                        _same_size(way.target, way.source)
            elif typed:
                continue
            with self._lock:
                if self.code is not None:
                    return
                try:
                    os.kill(self._pid, number)
                except OSError:
                    return


def _next_signal() -> tuple[int, bool]:
    """Wait for a signal; give it, and whether a terminal sent it."""
    if hasattr(signal, "sigwaitinfo"):
        found = signal.sigwaitinfo(FORWARDED)
        return found.si_signo, found.si_code == FROM_KERNEL and found.si_signo in TYPED
    number = signal.sigwait(FORWARDED)
    return number, number in TYPED and _in_foreground()


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _terminal(like: int) -> tuple[int, int]:
    """Make a terminal that changes no byte of what is written to it, as large as another one."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    _same_size(like, ours)
    return ours, theirs


def _same_size(like: int, fd: int) -> None:
    size = array.array("H", [0, 0, 0, 0])
    try:
        fcntl.ioctl(like, termios.TIOCGWINSZ, size)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, size)
    except OSError:
        pass


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _same_place(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False

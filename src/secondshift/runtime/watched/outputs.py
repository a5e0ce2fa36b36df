"""What a command prints, as it passes or from a log: its numbers, announced changes, and the lines that tell how it ended."""

import json
import os
import stat
from math import isfinite
from pathlib import Path

from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.dialects import Printed, Progress
from secondshift.runtime.readers.numbers import pairs
from secondshift.runtime.readers.texts import LINE_CAP, Terminal
from secondshift.runtime.watched.cells import Cells, changed_at
from secondshift.runtime.watched.joining import Joiner
from secondshift.runtime.watched.words import LONGEST, Words

AT_ONCE = 1 << 20  # bytes
_END = (b"\n", b"\r", b"\x08")


class _Heard(Printed):
    """Printed lines, with an ear for what is no number."""

    def __init__(self, output: "Output") -> None:
        super().__init__()
        self._output = output

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        self._output.hear(text)
        super().line(text, into)


class Output:
    """All that one command prints, standard error included."""

    about = "output"

    def __init__(self, name: str) -> None:
        self.name = name
        self.words = Words()
        self._lines: list[str] = []  # since they were last taken
        self._announced: list[int] = []
        self._joiner = Joiner()
        self._rest: dict[int, bytes] = {}
        self._terminals: dict[int, Terminal] = {}
        self._ill: tuple[Terminal, str, int | None] | None = None  # a bar whose newest state holds what is no finite number
        self._said: tuple[Terminal, str, int | None] | None = None  # one of which that was told
        self._urgent = False
        self.open_lines: set[int] = set()  # streams on which what was printed last is no whole line

    def feed(self, stream: int, data: bytes) -> None:
        """Take in bytes of standard output (1) or error (2)."""
        if data:
            (self.open_lines.discard if data.endswith(b"\n") else self.open_lines.add)(stream)
        data = self._rest.get(stream, b"") + data
        last = max(data.rfind(end) for end in _END) + 1
        if not last and len(data) > LINE_CAP:
            last = len(data)
            data += b"\n"
        self._rest[stream] = data[last:] if last < len(data) else b""
        self._read(stream, data[:last] if data[:last].endswith(_END) else data)

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look."""
        if ended:
            for stream, rest in list(self._rest.items()):
                self._rest[stream] = b""
                self._read(stream, rest + b"\n" if rest else b"")
                terminal = self._terminal(stream)
                terminal.into = Columns()
                terminal.settle()
                self._joiner.add(terminal.into.columns)
        cells, self._urgent = self._joiner.take(ended=ended or self._urgent), False
        if cells is None:
            return []
        cells.announced, self._announced = self._announced, []
        return [cells]

    def take_lines(self) -> list[str]:
        """The lines since this was last asked."""
        lines, self._lines = self._lines, []
        return lines

    def hear(self, text: str) -> None:
        """Keep what tells how the command ended, and what it announced."""
        text = text[:LONGEST]
        if '"event"' in text:
            self._event(text)
        if self.words.hear(text):
            self._lines.append(text)

    def _event(self, text: str) -> None:
        try:
            found = json.loads(text)
            if isinstance(found, dict) and str(found.get("event", "")).strip().lower().startswith("announce"):
                self._announced.append(int(found.get("step", 0)))
        except (ValueError, TypeError, RecursionError, OverflowError):
            pass

    def _terminal(self, stream: int) -> Terminal:
        if stream not in self._terminals:
            self._terminals[stream] = Terminal(_Heard(self), Columns())
        return self._terminals[stream]

    def _read(self, stream: int, data: bytes) -> None:
        if not data:
            return
        terminal = self._terminal(stream)
        terminal.into = Columns()
        terminal.read(data, 0, len(data), -1)
        if terminal.open:
            terminal.open = (terminal.open[0] - len(data), *terminal.open[1:])
            self._look_at(terminal, *terminal.open[1:])
        self._joiner.add(terminal.into.columns)

    def _look_at(self, terminal: Terminal, text: str, told: Progress) -> None:
        """Tell once of a bar that shows what is no finite number in two looks: its end, where it counts, may be hours away."""
        bar = (terminal, told.of, told.step)
        if not told.bar or bar == self._said:
            return
        ill = any(not isfinite(value) for _, value in pairs(text[text.rfind("|") + 1 :]))
        if ill and bar == self._ill:
            self._said, self._urgent = bar, True
            terminal.dialect.line(text, terminal.into)
        self._ill = bar if ill else None


class Log:
    """One text file. One that is shorter than before, or another one under its name, is read from its start."""

    about = "output"

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.problem = ""  # why nothing can be read here
        self._output = Output(name)
        self._inode = 0
        self._offset = 0

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        try:
            return self._read(fd, ended=ended)
        except OSError:
            return []
        finally:
            os.close(fd)

    def newest(self) -> float:
        """When the file changed last (UTC seconds)."""
        return changed_at(self.path)

    def _read(self, fd: int, *, ended: bool) -> list[Cells]:
        found: list[Cells] = []
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return found
        if self._inode not in (0, status.st_ino) or status.st_size < self._offset:
            found += self._output.poll(ended=True)
            self._output, self._offset = Output(self.name), 0
        self._inode = status.st_ino
        while data := os.pread(fd, AT_ONCE, self._offset):
            self._offset += len(data)
            self._output.feed(1, data)
            self._output.take_lines()
            found += self._output.poll(ended=False)
        return found + (self._output.poll(ended=True) if ended else [])

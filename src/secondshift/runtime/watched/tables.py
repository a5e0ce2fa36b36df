"""Follows CSV and JSON lines as they grow: each whole line once, over truncation, rotation and rewritten headers."""

import csv
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from secondshift.runtime.readers.columns import MAX_NAMES
from secondshift.runtime.watched.cells import Cell, Cells, changed_at, number_of, stacked

LIMIT = 16 << 20  # bytes taken in at one look
MARKS = (",", ";", "\t", "|")
LONGEST_CELL = csv.field_size_limit()  # characters
DEEPEST = 4  # levels of objects within a JSON line
TABLES, LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
_ROTATED = re.compile(r"\.(?:\d{1,4}|\d{8}(?:[-T]?\d{4,6})?|old|bak)\Z")
_decoder = msgspec.json.Decoder()


class Table:
    """One CSV or JSON-lines file. A file that is shorter than before, or another one under its name, is read from its start."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.about = "jsonl" if path.suffix.lower() in LINES else "csv"
        self.problem = ""  # why nothing can be read here
        self._header: list[str] = []
        self._mark = ","
        self._inode = 0
        self._offset = 0
        self._older: list[Path] | None = None  # rotated parts, oldest first; None: not looked for yet

    def poll(self, *, ended: bool) -> list[Cells]:
        """Give the rows since the last look."""
        found = []
        if self._older is None:
            self._older = older_parts(self.path)
            for part in self._older:
                self._inode, self._offset = 0, 0
                found += self._rest(part, ended=True)
            self._inode, self._offset = 0, 0
        try:
            status = os.stat(self.path)
        except OSError:
            return found
        if self._inode not in (0, status.st_ino):
            moved = _moved(self.path, self._inode)
            if moved is not None:
                found += self._rest(moved, ended=True)
            self._offset = 0
        elif status.st_size < self._offset:
            self._offset = 0
        self._inode = status.st_ino
        return found + self._rest(self.path, ended=ended)

    def newest(self) -> float:
        """When the file changed last (UTC seconds)."""
        return changed_at(self.path)

    def _rest(self, path: Path, *, ended: bool) -> list[Cells]:
        found = []
        while True:
            data = _whole_lines(path, self._offset, keep_cut=ended and self.about == "jsonl")
            if not data:
                return found
            begins = self._offset == 0
            self._offset += len(data)
            text = data.decode("utf-8-sig" if begins else "utf-8", "replace")
            parts = [_json_cells(text)] if self.about == "jsonl" else self._csv_cells(text, begins)
            found += [cells for cells in parts if cells.count or cells.lost]

    def _csv_cells(self, text: str, begins: bool) -> list[Cells]:
        lines = text.split("\n")
        if lines and not lines[-1]:
            del lines[-1]
        if begins:
            while lines and (not lines[0].strip() or lines[0].startswith("#")):
                del lines[0]
            if lines and (header := self._named(lines[0])):
                self._header = header
                del lines[0]
        if not self._header:
            self.problem = self.problem or f"its first line names no columns: {lines[0][:60]!r}" if lines else ""
            return [Cells(lost=len(lines))]
        parts = []
        for place in self._headers(text, lines):
            parts.append(_table(lines[:place], self._header, self._mark))
            self._header, lines = self._named(lines[place]), lines[place + 1 :]
        return [*parts, _table(lines, self._header, self._mark)]

    def _headers(self, text: str, lines: list[str]) -> list[int]:
        """Where further on a line names other columns, as where a writer has more to tell: counted from the one before it."""
        first, known, places, last = self._header[0], set(self._header), [], 0
        if not first or first not in text:
            return []
        for place, line in enumerate(lines):
            if not line.lstrip(' "').startswith(first) or len(line) > LONGEST_CELL:
                continue
            names = _cut(line, self._mark)
            alike = names != self._header and len(known.intersection(names)) > 1
            if alike and not any(name and number_of(name) is not None for name in names):
                places.append(place - last)
                last, known = place + 1, set(names)
        return places

    def _named(self, line: str) -> list[str]:
        """The names of the columns, if a line holds such; a name that stands there twice counts once."""
        self._mark = max(MARKS, key=line.count) if any(mark in line for mark in MARKS) else ","
        names = _cut(line, self._mark)
        if not any(names) or any(name and number_of(name) is not None for name in names):
            return []
        return [name if names.index(name) == place else "" for place, name in enumerate(names)][:MAX_NAMES]


def _cut(line: str, mark: str) -> list[str]:
    """The cells of one line, without what stands around them."""
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]


def older_parts(path: Path) -> list[Path]:
    """The parts that a rotating writer put aside: metrics.csv.2, metrics.csv.1, in the order they were written."""
    try:
        beside = [name for name in os.listdir(path.parent) if name.startswith(path.name) and name != path.name]
    except OSError:
        return []
    parts = [path.parent / name for name in beside if _ROTATED.fullmatch(name[len(path.name) :])]
    return sorted((part for part in parts if part.is_file()), key=lambda part: (_mtime(part), part.name))


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _moved(path: Path, inode: int) -> Path | None:
    """Where a rotated file lies now: beside its old place, under a name that begins alike."""
    try:
        with os.scandir(path.parent) as entries:
            same = [entry for entry in entries if entry.name.startswith(path.stem) and entry.inode() == inode]
    except OSError:
        return None
    return Path(same[0].path) if same else None


def _whole_lines(path: Path, offset: int, *, keep_cut: bool) -> bytes:
    """The next whole lines of a file; with `keep_cut` a last line without its end too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        data = os.pread(fd, LIMIT, offset)
    except OSError:
        return b""
    finally:
        os.close(fd)
    if keep_cut and len(data) < LIMIT:
        return data
    end = data.rfind(b"\n") + 1
    return data[:end] if end or len(data) < LIMIT else data  # a line of 16 MB is no line


def _table(lines: list[str], header: list[str], mark: str) -> Cells:
    if (plain := _plain(lines, header, mark)) is not None:
        return plain
    lost = 0
    try:
        rows = [row for row in csv.reader(lines, delimiter=mark) if row]
    except csv.Error:
        rows, kept = [], _readable(lines, mark)
        rows, lost = kept, len(lines) - len(kept)
    width = len(header)
    rows = [row for row in rows if row != header]  # a header that a restarted writer wrote again
    if any(len(row) != width for row in rows):
        rows = [(row + [""] * (width - len(row)))[:width] for row in rows]
    columns: dict[str, Sequence[Cell]] = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    columns.pop("", None)
    return Cells(count=len(rows), columns=columns, lost=lost)


def _plain(lines: list[str], header: list[str], mark: str) -> Cells | None:
    """The same for lines without quotes and of one width, which most are: cut in one go. None where any is another."""
    if "" in lines:
        lines = [line for line in lines if line]
    width = len(header)
    if not lines or mark.join(header) in lines or {line.count(mark) for line in lines} != {width - 1}:
        return None
    text = mark.join(lines)
    if '"' in text or "\r" in text or max(map(len, lines)) > LONGEST_CELL:
        return None
    cells = text.split(mark)
    columns: dict[str, Sequence[Cell]] = {name: cells[place::width] for place, name in enumerate(header) if name}
    return Cells(count=len(lines), columns=columns)


def _readable(lines: list[str], mark: str) -> list[list[str]]:
    rows = []
    for line in lines:
        try:
            rows += [row for row in csv.reader([line], delimiter=mark) if row]
        except csv.Error:
            continue
    return rows


def _json_cells(text: str) -> Cells:
    rows: list[dict[str, Cell]] = []
    lost = 0
    decode: Callable[[str], object] = _decoder.decode
    for line in text.split("\n"):
        if not line or line.isspace():
            continue
        try:
            found = decode(line)
        except (msgspec.DecodeError, UnicodeError):
            found = _python_json(line)  # NaN and Infinity, as Python's json writes them
        if isinstance(found, dict):
            rows.append(_flat(found) if _nested(found) else found)
        else:
            lost += 1
    return Cells(count=len(rows), columns=stacked(rows), lost=lost)


def _python_json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _nested(found: dict) -> bool:
    if "value" in found and ("name" in found or "metric" in found or "key" in found):
        return True
    return any(isinstance(value, dict | list) for value in found.values())


def _flat(found: dict, before: str = "", depth: int = 0) -> dict[str, Cell]:
    """Join nested names by slashes; a line of one metric, {"name": "loss", "value": 0.3}, has its name as the column."""
    if not depth and "value" in found and isinstance(found["value"], int | float | str):
        key = next((found[key] for key in ("name", "metric", "key") if isinstance(found.get(key), str)), "")
        if key:
            rest = {name: value for name, value in found.items() if name not in ("name", "metric", "key", "value")}
            return {key: found["value"], **_flat(rest, "", 1)}
    flat: dict[str, Cell] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            if depth < DEEPEST:
                flat |= _flat(value, f"{before}{name}/", depth + 1)
        elif isinstance(value, str | float | int | bool) or value is None:
            flat[f"{before}{name}"] = value
    return flat

"""How a line of text becomes named numbers: as scripts print, as JSON, as a table, or as the user's own expression."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from secondshift.runtime.readers.boxes import Box, grown
from secondshift.runtime.readers.columns import MAX_NAME, MAX_NAMES, Columns
from secondshift.runtime.readers.numbers import ANSI, StepFinder, number, pairs
from secondshift.runtime.readers.steps import Steps

PATTERN_CHARACTERS = 2048  # of a line that a user's expression is shown: it may be slow where ours are not
DEEPEST = 4  # levels of objects within a JSON line
MAX_HEADER = 4096  # characters of a line that may be a header
MAX_FIELDS = 1000  # of a table
_BAR = re.compile(
    r"(?:[0-9]{1,3}%\|[^|\n]{0,500}\|\s{0,8}|:\s{0,8}\|[^|\n]{0,500}\|\s{0,8}(?=[0-9]{1,18}/\?))"
    r"(?P<done>[0-9]{1,18})(?:/(?P<total>[0-9]{1,18}|\?) )?"
)
_EPOCHS = re.compile(r"[0-9?]epochs?/s|s/epochs?[\],]")  # a bar that counts epochs: how far it is, is the step
_IT = re.compile(r"(?<![\w.])(?P<done>[0-9]{1,18})(?:it|/[0-9?]{1,18}) ")
_DELIMITERS = (",", "\t", ";", "|")
_COLUMN = re.compile(r"[^\W\d][\w ./@%()\[\]-]{0,99}")
_RESULTS = re.compile(r"┃?\s*[A-Z]\w{1,20} metric\s((?:[\s┃]{0,80}DataLoader [0-9]{1,4}){1,64})[\s┃]{0,80}")
_LOADER = re.compile(r"DataLoader [0-9]")
_RULE = re.compile(r"-{2,200}(?:\s{1,100}-{2,200}){1,200}")
_GAP = re.compile(r"\s*│\s*|\s{2,}")


class Progress(NamedTuple):
    """What a line that may be overwritten tells of, and how far that is."""

    bar: bool  # it is a progress bar
    of: str  # what stands before a bar
    step: int | None
    done: int

    def replaces(self, before: "Progress") -> bool:
        """Say whether this is a later state of the same line."""
        return self[:3] == before[:3] and self.done >= before.done


class Dialect(Protocol):
    """One way to read lines. What it remembers is a function of the lines so far, and small."""

    steps: Steps

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        ...

    def progress(self, text: str) -> "Progress":
        """Say what a line that may be overwritten tells of."""
        ...

    def copy(self) -> "Dialect":
        """Return one that goes its own way."""
        ...


class _Lines:
    """What the dialects share: a way to find steps."""

    def __init__(self, step: str = "", steps: Steps | None = None) -> None:
        self.step = step
        self.finder = StepFinder(step)
        self.steps = steps or Steps()

    def progress(self, text: str) -> "Progress":
        """Tell updates of a progress bar from lines of their own."""
        text = plain(text)
        step = self.finder.in_line(text)[0]
        if bar := _BAR.search(text):
            step = int(bar["done"]) if step is None and _EPOCHS.search(text) else step
            return Progress(bar=True, of=text[: bar.start()].strip(), step=step, done=int(bar["done"]))
        found = _IT.search(text)
        return Progress(bar=False, of="", step=step, done=int(found["done"]) if found else 0)

    def record(self, items: list[tuple[str, float]], into: Columns) -> None:
        """Put named numbers, the step among them, into `into`."""
        step, fraction = self.finder.in_items(items)
        self.steps.record(items, step, fraction, self.finder, into)


class Printed(_Lines):
    """Lines as scripts print them: JSON objects, tables under a header, progress bars, and names with numbers."""

    def __init__(self, step: str = "", steps: Steps | None = None) -> None:
        super().__init__(step, steps)
        self.table: Table | Results | None = None
        self.above = ""  # the line before, which may turn out to be a header: a rule is drawn under it
        self.header: Table | None = None  # a line that would be one, if the next is a row of it
        self.box: Box | None = None
        self.shown: dict[str, tuple[int, str]] = {}  # metric -> the step at which bars showed its newest value first

    def copy(self) -> "Printed":
        """Return one that goes its own way."""
        twin = Printed(self.step, self.steps.copy())
        twin.table, twin.header, twin.shown = self.table, self.header, dict(self.shown)
        twin.box, twin.above = self.box, self.above
        return twin

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        text = plain(text)
        if not text:
            return
        above, self.above = self.above, text[:MAX_HEADER]
        if text[0] == "-" and _RULE.fullmatch(text):
            self.table = Table.ruled(above, text) or self.table
            return None
        header, self.header = self.header, None
        if text[0] == "|" and (box := grown(self.box, text)):
            self.box = box
            return None
        if self.box:
            self.record(list(self.box.items), into)
            self.box = None
        if text[0] == "{" and text[-1] == "}" and (items := json_items(text)) is not None:
            return self.record(items, into)
        step, fraction = self.finder.in_line(text)
        bar = _BAR.search(text) if "|" in text else None
        if bar and step is None and _EPOCHS.search(text):
            step = int(bar["done"])
        found = list(pairs(text[bar.end() :] if bar else text, loose=step is not None or fraction))
        if bar and step is not None:
            over = bar["total"] is None or (bar["done"] == bar["total"] and text[-1] == "]")
            found = [pair for pair in found if self._new(*pair, step) or over]
        if found or step is not None:
            return self.steps.record(found, step, fraction, self.finder, into)
        for table in (self.table, header):
            if table is not None and (row := table.row(text)):
                self.table = table
                return self.record(row, into)
        if results := Results.of(text):
            self.table = results
        self.header = Table.of(text, self.finder)

    def _new(self, name: str, value: float, step: int) -> bool:
        """Say whether a bar shows this value first at this step: until then it is that of an earlier step."""
        first, known = self.shown.get(name, (-1, ""))
        if repr(value) == known and first < step:
            return False
        if name in self.shown or len(self.shown) < MAX_NAMES:
            self.shown[name] = (step, repr(value))
        return True


class JsonLines(_Lines):
    """One JSON object a line; anything else is passed over."""

    def copy(self) -> "JsonLines":
        """Return one that goes its own way."""
        return JsonLines(self.step, self.steps.copy())

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        text = plain(text)
        if text[:1] == "{" and (items := json_items(text)) is not None:
            self.record(items, into)


class Csv(_Lines):
    """A table: a header, then rows. Another header may follow, as when a script is resumed."""

    def __init__(self, step: str = "", steps: Steps | None = None) -> None:
        super().__init__(step, steps)
        self.table: Table | None = None

    def copy(self) -> "Csv":
        """Return one that goes its own way."""
        twin = Csv(self.step, self.steps.copy())
        twin.table = self.table
        return twin

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        text = text.strip("\ufeff \r\n")  # no tabs: the first cell of a row may be empty
        if self.table is not None and (row := self.table.row(text, half=False)):
            self.record(row, into)
        elif (table := Table.of(text, self.finder, alone=True)) is not None:
            self.table = table


class Pattern(_Lines):
    """A user's regular expression, applied to every line as often as it is found there."""

    def __init__(self, pattern: str, step: str = "", steps: Steps | None = None) -> None:
        super().__init__(step, steps)
        self.pattern = pattern
        self.expression = re.compile(pattern)

    def copy(self) -> "Pattern":
        """Return one that goes its own way."""
        return Pattern(self.pattern, self.step, self.steps.copy())

    def line(self, text: str, into: Columns) -> None:
        """Take in one finished line."""
        text = plain(text)[:PATTERN_CHARACTERS]
        for found in self.expression.finditer(text):
            groups = {name: value for name, value in found.groupdict().items() if value is not None}
            named = number(groups.pop("step", ""))
            name = groups.pop("name", "").strip() if "value" in groups else ""
            values = [(name, groups["value"])] if name else list(groups.items())
            items = [(key, value) for key, text in values if (value := number(text)) is not None]
            step, fraction = self.finder.in_items([("step", named)]) if named is not None else (None, False)
            if named is not None and self.step:
                step, fraction = (int(named), False) if named.is_integer() else (None, True)
            self.steps.record(items, step, fraction, self.finder, into)


class Table:
    """The header of a table: its columns and what stands between them."""

    def __init__(self, names: Sequence[str], delimiter: str) -> None:
        self.names = tuple(names)
        self.delimiter = delimiter  # empty: white space

    @classmethod
    def of(cls, text: str, finder: StepFinder, *, alone: bool = False) -> "Table | None":
        """Read a line as a header; None if it is none. Columns between blanks need one that is a step's name."""
        for delimiter in _DELIMITERS:
            if delimiter in text:
                names = cells(text, delimiter)
                fits = _titled if alone else _COLUMN.fullmatch
                good = 2 <= len(names) <= MAX_FIELDS and all(fits(name) for name in names if name)
                return cls(names, delimiter) if good and any(names) else None
        names = text.split()
        if alone and len(names) == 1 and _COLUMN.fullmatch(text):
            return cls(names, "")
        good = 2 <= len(names) <= MAX_FIELDS and all(_COLUMN.fullmatch(name) for name in names)
        return cls(names, "") if good and any(finder.is_step(name) for name in names) else None

    @classmethod
    def ruled(cls, text: str, rule: str) -> "Table | None":
        """Read a line as the header over a rule such as `---  ------`, which tells how many columns there are."""
        count = len(rule.split())
        names = next((found for found in (_GAP.split(text), text.split()) if len(found) == count), [])
        if not all(map(_titled, names)) or not names:
            return None
        return cls(["step" if name == "#" else name for name in names], "")

    def row(self, text: str, *, half: bool = True) -> list[tuple[str, float]]:
        """Read a line as a row; empty if it is none. half: at least half of what it says must be numbers."""
        texts = cells(text, self.delimiter) if self.delimiter else text.split()
        if len(texts) != len(self.names):
            return []
        items = [
            (name, value) for name, cell in zip(self.names, texts, strict=True) if (value := number(cell)) is not None
        ]
        said = sum(1 for cell in texts if cell)
        return [] if half and 2 * len(items) < said else [item for item in items if item[0]]


class Results:
    """The table that Lightning prints after validating or testing: a metric in each row, a loader in each column."""

    def __init__(self, loaders: int) -> None:
        self.loaders = loaders

    @classmethod
    def of(cls, text: str) -> "Results | None":
        """Read a line as this table's header; None if it is none."""
        found = _RESULTS.fullmatch(text)
        return cls(len(_LOADER.findall(found[1]))) if found else None

    def row(self, text: str) -> list[tuple[str, float]]:
        """Read a line as a row, each loader's number named as its logger names it; empty if it is none."""
        name, *texts = [cell for cell in _GAP.split(text.strip("│ ")) if cell]
        values = [value for cell in texts if (value := number(cell)) is not None]
        if not _COLUMN.fullmatch(name) or len(values) != self.loaders or len(texts) != self.loaders:
            return []
        if self.loaders == 1:
            return [(name, values[0])]
        return [(f"{name}/dataloader_idx_{index}", value) for index, value in enumerate(values)]


def _titled(name: str) -> bool:
    return number(name) is None and len(name) <= MAX_NAME


def cells(text: str, delimiter: str) -> list[str]:
    """Split a line at a delimiter that stands outside of quotes; the bars around a row of a drawn table go."""
    if delimiter == "|":
        text = text.strip().strip("|")
    if '"' in text:
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])]
        except csv.Error:
            return []
    return [cell.strip() for cell in text.split(delimiter)]


def plain(text: str) -> str:
    """Strip a line of colours, cursor movements and blanks at its ends."""
    return (ANSI.sub("", text) if "\x1b" in text else text).strip(" \t\r\n\x00\ufeff")


def json_items(text: str) -> list[tuple[str, float]] | None:
    """Read a line as a JSON object and list its numbers, those of inner objects as "outer.inner"; None if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    name, value = found.get("name", found.get("metric")), found.get("value")
    if isinstance(name, str) and name and (single := _json_number(value)) is not None:
        rest = {key: other for key, other in found.items() if key not in ("name", "metric", "value")}
        return [(name, single), *((key, other) for key, other in _flat(rest, "", 0) if "time" not in key)]
    return list(_flat(found, "", 0))


def _flat(found: dict, before: str, depth: int) -> Iterator[tuple[str, float]]:
    for key, value in found.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            if depth < DEEPEST:
                yield from _flat(value, f"{name}.", depth + 1)
        elif name and (plain_value := _json_number(value)) is not None:
            yield name, plain_value


def _json_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        try:
            return float(value) if abs(value) < 2**53 else value  # a step may need all its digits
        except OverflowError:
            return None
    if isinstance(value, float):
        return value
    return number(value) if isinstance(value, str) else None


def dialect_of(source: str, pattern: str, step: str) -> Dialect:
    """Make the dialect that a study's `[metrics]` asks for."""
    if pattern:
        return Pattern(pattern, step)
    return {"csv": Csv, "jsonl": JsonLines}.get(source, Printed)(step)

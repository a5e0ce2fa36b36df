"""Where each key of a TOML file stands, so that a mistake can be named by its line."""

import re
import tomllib

Path = tuple[str | int, ...]  # ("search", "lr", "low"); numbers are places in a list

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}', re.DOTALL)
_PLAIN = re.compile(r"[^,\]}\n#]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


def key_lines(text: str) -> dict[Path, int]:
    """Map every key, list element and table of a valid TOML text to its line, counted from 1.

    Only for texts that `tomllib` has read without an error; what follows anything else is left out.
    """
    finder = _Finder(text)
    try:
        finder.document()
    except (IndexError, ValueError):
        pass  # tomllib accepts something this finder does not know: lines are a courtesy, never a reason to fail
    return finder.lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Give the line of a key, or of the nearest thing around it that has one; None if nothing of it is in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Finder:
    """A reader that walks over the text once and only notes where keys begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.counted = (0, 1)  # a position and its line
        self.elements: dict[Path, int] = {}  # arrays of tables: how many so far

    def document(self) -> None:
        table: Path = ()
        while self.blank() < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self.element()
            elif self.text[self.at] == "[":
                self.at += 1
                table = self.key(())
                self.skip("]")
            else:
                self.pair(table)

    def element(self) -> Path:
        self.at += 2
        array = self.key(())
        self.skip("]]")
        number = self.elements.get(array, 0)
        self.elements[array] = number + 1
        self.note((*array, number))
        return (*array, number)

    def pair(self, table: Path) -> None:
        path = self.key(table)
        self.skip("=")
        self.value(path)

    def key(self, table: Path) -> Path:
        """Read a dotted key and note it and all its parents where they were not named before."""
        path = table
        while True:
            self.blank()
            start = self.at
            path = (*path, self.part())
            self.note(path, start)
            self.blank()
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return path
            self.at += 1

    def part(self) -> str:
        for pattern in (_BARE_KEY, _BASIC, _LITERAL):
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                if pattern is _BARE_KEY:
                    return found.group()
                return str(tomllib.loads(f"key = {found.group()}")["key"])
        raise ValueError("no key")

    def value(self, path: Path) -> None:
        self.blank()
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            number = 0
            while self.text[self.blank()] != "]":
                self.note((*path, number))
                self.value((*path, number))
                number += 1
                self.comma()
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self.text[self.blank()] != "}":
                self.pair(path)
                self.comma()
            self.at += 1
        else:
            self.scalar()

    def scalar(self) -> None:
        for pattern in (_LONG, _BASIC, _LITERAL, _PLAIN):
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                return
        raise ValueError("no value")

    def comma(self) -> None:
        self.blank()
        if self.text[self.at] == ",":
            self.at += 1

    def skip(self, wanted: str) -> None:
        self.blank()
        if not self.text.startswith(wanted, self.at):
            raise ValueError(f"no {wanted}")
        self.at += len(wanted)

    def blank(self) -> int:
        """Pass over spaces, line ends and comments; give the position of what follows."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def note(self, path: Path, start: int | None = None) -> None:
        start = self.at if start is None else start
        before, line = self.counted
        line += self.text.count("\n", before, start)
        self.counted = (start, line)
        self.lines.setdefault(path, line)

"""What the readers of past runs share: points joined over many readings, names in paths, values made plain."""

import json
import math
import os
import re
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from secondshift.records.studies import Value
from secondshift.runtime.readers.columns import Columns

LIMIT = 16 << 20  # bytes read at a time
_SETTING = re.compile(r"(?:^|[,;&/\s])\+{0,2}([A-Za-z_][\w.-]{0,99})=([^,;&/\s]{1,100})")
_DEPTH = 12  # of nested values that are opened


class Gathered:
    """The points of one run, file after file."""

    def __init__(self) -> None:
        self.columns: dict[str, tuple[array, array]] = {}
        self.damaged = 0

    def add(self, columns: Columns) -> None:
        """Take in what one reading found."""
        for name, (steps, values) in columns.columns.items():
            mine = self.columns.setdefault(name, (array("q"), array("d")))
            mine[0].extend(steps)
            mine[1].extend(values)
        self.damaged += sum(columns.damaged.values()) + sum(columns.left_out.values())

    def drain(self, read: Callable[[int], tuple[Columns, int]]) -> None:
        """Read a file to its end."""
        start, end = -1, 0
        while end > start:
            start = end
            columns, end = read(start)
            self.add(columns)


def settings_in(names: Iterable[str]) -> dict[str, Value]:
    """Return what names of folders and files say, as Hydra's multirun writes it: "lr=0.1,seed=3"."""
    return {key: value for name in names for key, value in _SETTING.findall(name)}


def flattened(tree: Mapping[str, object], prefix: str = "", depth: int = 0) -> dict[str, Value]:
    """Join nested names by dots; lists become their JSON text, nothing (null) is left out."""
    found: dict[str, Value] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < _DEPTH:
            found |= flattened(value, f"{name}.", depth + 1)
        elif isinstance(value, bool | str) or (isinstance(value, int) and abs(value) < 2**63):
            found[name] = value
        elif isinstance(value, float):
            found[name] = value if math.isfinite(value) else str(value)
        elif value is not None:
            found[name] = json.dumps(value)[:200]
    return found


def relative(path: Path, home: Path) -> str:
    """Name a file or folder by its way from the study, the same however it was spelled in the call."""
    return Path(os.path.relpath(path.resolve(), home.resolve())).as_posix()

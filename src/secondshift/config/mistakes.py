"""A mistake in a study file: where it stands, what was given, what was expected, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from secondshift.config.lines import Path, line_of

SHOWN = 80  # characters of a value


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One thing to correct."""

    key: str  # dotted: "search.lr.low"; empty for the file as a whole
    where: str  # "line 12", "environment variable SECONDSHIFT_BUDGET__TRIALS", "flag budget.trials", or ""
    got: str  # what was given, as written
    expected: str
    advice: str = ""  # what to do, where that does not follow from `expected`
    line: int | None = None

    def __str__(self) -> str:
        head = ", ".join(part for part in (self.where, f"`{self.key}`" if self.key else "") if part)
        advice = f" {self.advice}" if self.advice else ""
        colon = ": " if head else ""
        return f"{head}{colon}got {self.got}, expected {self.expected}.{advice}"


@dataclass(kw_only=True)
class Notebook:
    """Collects mistakes, and knows where each key was given."""

    lines: dict[Path, int] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)  # of keys that the environment or a flag set
    found: list[Mistake] = field(default_factory=list)

    def add(self, path: Sequence[str | int], *, got: object, expected: str, advice: str = "") -> None:
        """Note a mistake at a key. `got` is shown as TOML would write it; pass a Given to show a text as it is."""
        path = tuple(path)
        origin = next((self.origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.origins), "")
        line = None if origin else line_of(self.lines, path)
        where = origin or (f"line {line}" if line else "")
        shown = got if isinstance(got, Given) else written(got)
        self.found.append(
            Mistake(key=dotted(path), where=where, got=str(shown), expected=expected, advice=advice, line=line)
        )

    def sorted(self) -> list[Mistake]:
        """Give the mistakes in the order of the file; those that are not in it last."""
        return sorted(self.found, key=lambda m: (m.line is None, m.line or 0))


class Given(str):
    """A text that says what was given, to be shown as it is."""

    __slots__ = ()


NOTHING = Given("nothing")


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as people do: search.lr.choices[2]."""
    shown = ""
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown


def written(value: object) -> str:
    """Write a value as TOML would, cut to a readable length."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    if isinstance(value, str):
        text = f'"{value}"'
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name may be meant; empty if none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Is `{near[0]}` meant?" if near else ""

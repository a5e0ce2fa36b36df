"""Rows of a soak's table, and how they are shown."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


def marks(section: str) -> tuple[str, str]:
    """The lines between which a section of ours stands in a file."""
    return f"<!-- {section} -->", f"<!-- /{section} -->"


BEGIN, END = marks("soak")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: what was counted, how much there was, and whether that is as it must be."""

    name: str
    ours: float | None  # None: it could not be judged here
    unit: str = ""
    target: str = "0"
    holds: bool = True
    note: str = ""  # evidence, or why it could not be judged

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints for this row."""
        found = {"ours": self.ours, "unit": self.unit, "peers": {}, "target": self.target, "holds": self.holds}
        return {**found, "note": self.note} if self.note else found

    @property
    def verdict(self) -> str:
        """One word for people."""
        return "holds" if self.holds else ("SKIPPED" if self.ours is None else "MISS")


def none_of(name: str, found: Sequence[object], unit: str) -> Row:
    """A row that wants an empty list; the first of what was found is its evidence."""
    return Row(name=name, ours=len(found), unit=unit, holds=not found, note="; ".join(map(str, found[:3])))


def at_least(name: str, count: float, least: float, unit: str, note: str = "") -> Row:
    """A row that wants at least so much."""
    return Row(name=name, ours=count, unit=unit, target=f">= {least:g}", holds=count >= least, note=note)


def held(name: str, missing: Sequence[str], note: str = "") -> Row:
    """A scene that either went as it must, or names what did not."""
    text = "; ".join(missing) if missing else note
    return Row(name=name, ours=len(missing), unit="broken promises", holds=not missing, note=text)


def skipped(name: str, why: str) -> Row:
    """A scene that could not be played here."""
    return Row(name=name, ours=None, target="0", holds=False, note=f"skipped: {why}")


def show(rows: Iterable[Row]) -> str:
    """The table as text for a terminal."""
    lines = []
    for row in rows:
        ours = "-" if row.ours is None else f"{row.ours:g}"
        lines.append(f"{row.verdict:8} {row.name:58} {ours:>8} {row.unit:16} (target {row.target})")
        if row.note:
            lines.append(f"{'':9}{row.note[:400]}")
    return "\n".join(lines)


def last_line(rows: Iterable[Row]) -> str:
    """The object that `--json` prints last."""
    return json.dumps({row.name: row.as_json() for row in rows}, ensure_ascii=False)


def machine() -> str:
    """Name this machine in one line."""
    model = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        pass
    model = model or platform.processor() or "unknown processor"
    return f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def markdown(rows: Sequence[Row], heading: Sequence[str], *, section: str = "soak", title: str = "Soak") -> str:
    """The section for docs/benchmarks.md."""
    begin, end = marks(section)
    lines = [begin, f"## {title}", "", *heading, "", "| what | ours | target | verdict | note |", "|---|---|---|---|---|"]
    for row in rows:
        ours = "-" if row.ours is None else f"{row.ours:g} {row.unit}"
        note = row.note.replace("|", "/").replace("\n", " ")[:600]
        lines.append(f"| {row.name} | {ours} | {row.target} | {row.verdict} | {note} |")
    return "\n".join([*lines, end, ""])


def put_into(file: Path, section: str) -> None:
    """Replace our own section of a file, between its markers (its first and last line); append it where there is none."""
    begin, end = section.split("\n", 1)[0], section.rstrip("\n").rpartition("\n")[2]
    text = file.read_text() if file.exists() else "# Benchmarks\n\n"
    before, found, rest = text.partition(begin)
    after = rest.partition(end)[2].lstrip("\n") if found else ""
    if not found and not before.endswith("\n\n"):
        before = before.rstrip("\n") + "\n\n"
    file.write_text(before + section + ("\n" + after if after else ""))

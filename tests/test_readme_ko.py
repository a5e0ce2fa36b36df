"""The Korean README keeps step with the English one: as many headings in the same order, the same code and commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EN, KO = (ROOT / name for name in ("README.md", "README.ko.md"))


def blocks(page: Path) -> list[str]:
    """The fenced blocks of a page, without the demo's excerpt, which is English by nature."""
    text = re.sub(r"<!-- demo -->.*?<!-- /demo -->", "", page.read_text("utf-8"), flags=re.DOTALL)
    return re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """The commands in the table of a page."""
    return re.findall(r"^\| `(python3 start\.py [^`]*)`", page.read_text("utf-8"), flags=re.MULTILINE)


def headings(page: Path) -> list[int]:
    """The depth of each heading, code left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]


def links(page: Path) -> set[str]:
    """Where a page points to."""
    return set(re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")))


@pytest.mark.parametrize("part", [blocks, commands, headings, links])
def test_both_readmes_have_the_same(part) -> None:
    assert part(EN) and part(EN) == part(KO)

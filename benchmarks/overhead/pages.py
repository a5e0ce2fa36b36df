"""The section of docs/benchmarks.md that a full run writes: between its own markers, leaving the rest of the page alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- overhead: begin -->", "<!-- overhead: end -->"
TITLE = (
    "# Benchmarks\n\nThe contract of every table here stands in [benchmarks/README.md](../benchmarks/README.md).\n\n"
)
Found = Mapping[str, Mapping[str, Any]]  # what --json prints


def section(found: Found, heading: Sequence[str], *, mark: str = "overhead", title: str = "Overhead") -> str:
    """Return the section as Markdown: one table of all rows, then the noise and the misses in words."""
    lines = [
        f"<!-- {mark}: begin -->",
        f"## {title}",
        "",
        *heading,
        "",
        "| what | ours | target | verdict | peers | noise: min / median / p95 (n) |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, row in found.items():
        noise = row.get("noise")
        lies = f"{noise['min']:.4g} / {noise['median']:.4g} / {noise['p95']:.4g} ({noise['n']})" if noise else ""
        ours = "-" if row["ours"] is None else f"**{row['ours']:.4g}** {row['unit']}"
        verdict = "HOLDS" if row["holds"] else "**MISS**"
        lines.append(f"| {name} | {ours} | {row['target']} | {verdict} | {_peers(row)} | {lies} |")
    lines += ["", "How each was measured, and further values in the same unit:", ""]
    for name, row in found.items():
        also = "; ".join(f"{what} {value:.4g}" for what, value in row.get("also", {}).items())
        lines.append(f"- *{name}*: {row.get('how', '')}" + (f". Also: {also}." if also else "."))
    lines += ["", "Misses, and what was tried:", ""]
    missed = [
        f"- *{name}*: {row.get('reason') or 'no reason is known'}." for name, row in found.items() if not row["holds"]
    ]
    return "\n".join([*lines, *(missed or ["- none."]), f"<!-- {mark}: end -->", ""])


def put_into(page: Path, text: str) -> None:
    """Replace the section in a page (between its first and its last line), or begin one with it; other sections stay."""
    begin, end = text.split("\n", 1)[0], text.rstrip("\n").rpartition("\n")[2]
    before = page.read_text() if page.exists() else TITLE
    head, found, rest = before.partition(begin)
    tail = rest.partition(end)[2].lstrip("\n") if found else ""
    if not found and not head.endswith("\n\n"):
        head = head.rstrip("\n") + "\n\n"
    page.parent.mkdir(exist_ok=True)
    page.write_text(head + text + (f"\n{tail}" if tail else ""))


def _peers(row: Mapping[str, Any]) -> str:
    """Name each peer with its value; one that was not measured in this run says where it is from."""
    shown = []
    for name, value in row["peers"].items():
        if not isinstance(value, Mapping):
            shown.append(f"{name} {value:.4g}")
        else:
            shown.append(f"{name} {value['value']:.4g} ({value.get('source') or 'recorded ' + value['recorded']})")
    return ", ".join(shown)

"""What is sent: a brief or a page, in the forms that channels take."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A brief or a page on its way to people."""

    id: str  # the same for every try of one letter, so that a receiver can drop a second copy
    name: str  # for a file
    subject: str
    text: str  # Markdown; plain where there is no page
    html: str  # empty: it is text alone, as a page to a phone is
    document: str  # JSON


def letter(folder: Path, study: str, shift: str, lang: str) -> Letter:
    """Read the written brief of a shift. `folder` is the study's private folder; OSError if a file is not there."""
    middle = "" if lang == "en" else f".{lang}"
    text, html, document = (
        (folder / "briefs" / f"{shift}{middle}.{kind}").read_text(encoding="utf-8") for kind in ("md", "html", "json")
    )
    subject = next(
        (line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), f"{study} {shift}"
    )
    began = (folder / "briefs" / f"{shift}{middle}.json").stat().st_mtime_ns
    name = re.sub(r"[^\w.-]+", "-", f"{study}-{shift}").strip(".-")
    return Letter(
        id=f"{shift}-{began:x}",
        name=name,
        subject=" ".join(subject.split())[:200],
        text=text,
        html=html,
        document=document,
    )

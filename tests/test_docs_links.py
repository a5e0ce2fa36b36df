"""Whoever reads on from the README finds every page, and every link leads to a heading that is there."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def links(page: str) -> list[tuple[str, str]]:
    """The links of a page: the file or folder from the root, and the anchor."""
    folder = os.path.dirname(page)
    found = LINK.findall((ROOT / page).read_text("utf-8"))
    return [(os.path.normpath(os.path.join(folder, path)) if path else page, anchor) for path, anchor in found]


def reached() -> set[str]:
    """The pages that links lead to from the README; of a folder that is linked, those in it."""
    seen: set[str] = set()
    todo = ["README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        if (ROOT / page).is_dir():
            todo += [f"{page}/{name}" for name in os.listdir(ROOT / page) if name.endswith(".md")]
        elif page.endswith(".md") and (ROOT / page).is_file():
            todo += [path for path, _ in links(page)]
    return seen


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 40 and not pages - reached()


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    wrong = []
    for page in sorted(one for one in reached() if one.endswith(".md") and (ROOT / one).is_file()):
        for path, anchor in links(page):
            if not (ROOT / path).exists():
                wrong.append(f"{page}: {path}")
            elif anchor and path.endswith(".md"):
                text = (ROOT / path).read_text("utf-8")
                headings = {slug(one) for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
                if anchor not in headings and f'id="{anchor}"' not in text:
                    wrong.append(f"{page}: {path}#{anchor}")
    assert not wrong

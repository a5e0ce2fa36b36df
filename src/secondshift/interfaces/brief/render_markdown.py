"""A brief as one page of Markdown; facts are named as [e12]."""

import re
from datetime import tzinfo

from secondshift.interfaces.brief.citations import ranges
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import zone_name
from secondshift.records.nights import Brief

_SPECIAL = re.compile(r"([\\`*\[\]<>#|~&]|(?<!\w)_|_(?!\w))")  # an underscore within a word is plain


def quote(text: str) -> str:
    """Text from a run, so that Markdown shows it and does not obey it."""
    return _SPECIAL.sub(r"\\\1", text)


def citation(facts: tuple[int, ...], most: int = 6) -> str:
    """The facts of a statement: [e3–e5, e9], the rest of a long list counted."""
    runs = ranges(facts)
    names = [f"e{a}" if a == b else f"e{a}–e{b}" for a, b in runs[:most]]
    if len(runs) > most:
        names.append(f"+{sum(b - a + 1 for a, b in runs[most:])}")
    return f" [{', '.join(names)}]" if names else ""


def render_markdown(brief: Brief, lang: str = "en", zone: tzinfo | None = None, *, title: str = "page.title") -> str:
    """Write a brief as Markdown in a language, with times in the reader's zone (None: this machine's). `title`: its key."""
    title = say(title, lang, quote=quote, study=brief.study, shift=brief.shift)
    written = say(
        "page.written", lang, zone=zone, written_at=brief.written_at, zone_name=zone_name(brief.written_at, zone)
    )
    lines = [f"# {title}", "", written]
    for section in brief.sections:
        if not section.statements:
            continue
        lines += ["", f"## {say(section.key, lang)}", ""]
        for statement in section.statements:
            text = tell(statement, lang, quote=quote, zone=zone)
            lines.append(f"- {text}{citation(statement.facts)}")
    return "\n".join([*lines, "", f"_{say('page.machine_words', lang)}_", ""])

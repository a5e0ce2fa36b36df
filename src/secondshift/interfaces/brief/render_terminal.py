"""A brief for a terminal: the same sentences, with the facts set back."""

from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from secondshift.interfaces.brief.render_markdown import citation
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import zone_name
from secondshift.records.nights import Brief


def render_terminal(brief: Brief, lang: str = "en", zone: tzinfo | None = None) -> RenderableType:
    """A brief for rich to print; what came from runs is text, never markup."""
    written = say(
        "page.written", lang, zone=zone, written_at=brief.written_at, zone_name=zone_name(brief.written_at, zone)
    )
    rows: list[RenderableType] = [
        Text(say("page.title", lang, study=brief.study, shift=brief.shift), style="bold"),
        Text(written, style="dim"),
    ]
    for section in brief.sections:
        if not section.statements:
            continue
        rows += [Text(""), Text(say(section.key, lang), style="bold cyan")]
        for statement in section.statements:
            line = Text.assemble(tell(statement, lang, zone=zone), (citation(statement.facts, most=4), "dim"))
            rows.append(Padding(line, (0, 0, 0, 2)))
    return Group(*rows, Text(""))

"""One incident as a self-contained HTML file: what it is, the stream around it, what was done and what is asked."""

import re
from collections.abc import Sequence
from datetime import tzinfo
from html import escape

from secondshift.interfaces.brief.documents import document_html, legend
from secondshift.interfaces.brief.plots import stream as drawn
from secondshift.interfaces.brief.streams import Stream
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.incidents import is_detail
from secondshift.records.nights import Statement

_CODE = re.compile(r"`([^`]+)`")
ASKING = ("incident.asks", "incident.held")


def incident_html(
    title: Statement, lines: Sequence[Statement], stream: Stream | None, lang: str = "en", zone: tzinfo | None = None
) -> str:
    """Write the page. What a person is asked stands first, then the plot, then the rest in order."""
    asked = [line for line in lines if line.key in ASKING]
    rest = [line for line in lines if line.key not in ASKING]
    boxes = "".join(f'<section class="needs"><ul><li>{_sentence(line, lang, zone)}</li></ul></section>\n' for line in asked)
    items = "".join(f"<li{_style(line)}>{_sentence(line, lang, zone)}</li>\n" for line in rest)
    body = f"{boxes}{_plot(stream, lang)}<section><ul>\n{items}</ul></section>\n"
    return document_html(tell(title, lang, quote=escape, zone=zone), body, lang)


def _style(line: Statement) -> str:
    return ' class="detail"' if is_detail(line) else ""


def _sentence(line: Statement, lang: str, zone: tzinfo | None) -> str:
    text = tell(line, lang, quote=lambda said: escape(said).replace("`", "&#96;"), zone=zone)
    return _CODE.sub(r"<code>\1</code>", text)


def _plot(stream: Stream | None, lang: str) -> str:
    if stream is None:
        return ""
    head = say("incident.curve", lang, metric=stream.metric, first=stream.first, last=stream.last)
    acts = [
        ("act", say("incident.legend_act", lang, n=n, remedy_word=f"remedy_{name}"))
        for n, (_, name) in enumerate(stream.acts, 1)
    ]
    entries = [("since", say("incident.legend_since", lang, since=stream.since)), *acts]
    entries += [(f"part{place % 4}", part.attempt) for place, part in enumerate(stream.parts)]
    figure = f'<figure class="wide"><figcaption>{escape(head)}</figcaption>{drawn(stream, lang)}{legend(entries)}</figure>'
    return f'<div class="plots">{figure}</div>\n'

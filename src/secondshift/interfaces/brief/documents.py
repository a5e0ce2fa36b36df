"""What every HTML file of ours is: one file that loads and runs nothing."""

from html import escape
from pathlib import Path


def document_html(title: str, body: str, lang: str) -> str:
    """One self-contained file around a page; title and body are HTML."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing in this file may load or run anything, whatever a training script printed into it.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def legend(entries: list[tuple[str, str]], more: str = "") -> str:
    """What the colours of a plot mean: class of the style and words."""
    items = "".join(f'<span><i class="{colour}"></i>{escape(text)}</span>' for colour, text in entries)
    return f'<div class="legend">{items}{f"<span>{escape(more)}</span>" if more else ""}</div>'

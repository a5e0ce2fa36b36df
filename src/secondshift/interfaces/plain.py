"""Text that came out of a run, made safe to show: it is data, whatever it contains."""

import re
import unicodedata

# Whole terminal sequences first, so that their printable tails ("[31m", a window title) do not stay behind.
_SEQUENCES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[\[()][0-9;?]*[ -/]*[@-~]?|\x1b.?", re.DOTALL)
_KEPT = {"\n", "\t"}


def clean(text: str, *, limit: int = 2000) -> str:
    """Take out control characters, terminal sequences and direction overrides; cut after `limit` characters."""
    if text.isascii() and text.isprintable():
        kept = text  # nothing to take out of nearly every line of a long list; the rest costs a lookup per character
    else:
        text = _SEQUENCES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        kept = "".join(c for c in text if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def one_line(text: str, *, limit: int = 200) -> str:
    """The text on one line, at most `limit` characters long."""
    if not (text.isascii() and text.isprintable()):
        text = clean(text, limit=limit * 4)
    return clean(" ".join(text.split()), limit=limit)


def last_line(text: str, *, limit: int = 200) -> str:
    """The last line that says something: of a traceback, the line with the error, and not what the SDK added behind it."""
    lines = [line for line in clean(text, limit=10**6).splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("secondshift: ")]
    return one_line((own or lines)[-1], limit=limit) if lines else ""

"""The few words of a script's last output that say why it failed."""

import re

MOST = 300  # characters
LINES = 3  # of output that holds no traceback
_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)')
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(?::\s|$)")
_PREFIX = re.compile(r"^(?:\[rank\d+\]:\s?|(?: *[|+] ?)+)")  # of launchers, and of groups of exceptions
_LIBRARY = re.compile(r"site-packages|dist-packages|/lib/python\d|^<")
_COMPLAINT = re.compile(r"error:", re.IGNORECASE)


def last_words(text: str) -> str:
    """Say why a script failed, on one line: the error of its last traceback and where it was, else its last lines."""
    lines = [_PREFIX.sub("", line).rstrip() for line in text.splitlines()]
    lines = [line for line in lines if line.strip()]
    frames = [(number, found) for number, line in enumerate(lines) if (found := _FRAME.match(line))]
    if frames:
        after = lines[frames[-1][0] + 1 :]
        error = next((line for line in after if _ERROR.match(line)), "")
        if error:
            return f"{_cut(error)} ({_place([found for _, found in _last_block(frames, lines)])})"
    if lines and _COMPLAINT.search(lines[-1]):
        return _cut(lines[-1].strip())
    return _cut(" / ".join(line.strip() for line in lines[-LINES:]), at_end=True) or "—"


def _last_block(frames: list[tuple[int, re.Match[str]]], lines: list[str]) -> list[tuple[int, re.Match[str]]]:
    """The frames of the last traceback: those behind the last line that is not indented before them."""
    last = frames[-1][0]
    start = max((n for n in range(last) if not lines[n].startswith((" ", "\t"))), default=-1)
    return [frame for frame in frames if frame[0] > start]


def _place(frames: list[re.Match[str]]) -> str:
    """Where it was: the last line of the script's own, as `train.py:88`; of a library's only if there is no other."""
    own = [frame for frame in frames if not _LIBRARY.search(frame["path"])] or frames
    return f"{own[-1]['path'].replace(chr(92), '/').rpartition('/')[2]}:{own[-1]['line']}"


def _cut(text: str, *, at_end: bool = False) -> str:
    """At most so many characters: of an error its beginning, of mere output its end."""
    if len(text) <= MOST:
        return text
    return "…" + text[1 - MOST :] if at_end else text[: MOST - 1] + "…"

"""The file channel: a brief or a page in a folder of the reader's, whole or not at all."""

from pathlib import Path

from secondshift.runtime.notify.letters import Letter
from secondshift.runtime.wholefiles import replace_text


def target(address: str) -> Path:
    """The path in file:/path, file:///path or file:~/path."""
    path = address.removeprefix("file:")
    return Path(path[2:] if path.startswith("//") else path).expanduser()


def send(address: str, letter: Letter, pauses_s: tuple[float, ...]) -> str:
    """Write it: by the path's ending .md, .json or .html; into a folder under its own name, as HTML or else as text.

    A file is replaced, a folder keeps each letter. Raises OSError.
    """
    path = target(address)
    if not path.suffix or path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path = path / f"{letter.name}.{'html' if letter.html else 'txt'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {".md": letter.text, ".json": letter.document}.get(path.suffix, letter.html or letter.text)
    replace_text(path, text)
    return f"written to {path.name}"

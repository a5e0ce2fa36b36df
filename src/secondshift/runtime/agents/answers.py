"""What a model may answer, as a schema; its answer, checked; and its edits, worked out before any file is touched."""

import json
import os
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from secondshift.errors import SecondshiftError

MOST_EDITS = 100
MOST_BYTES = 4_000_000  # of one file after it was edited
NOTE = 2_000  # letters of a model's own words that are kept


class AnswerUnusable(SecondshiftError):
    """The model's answer could not be used. Expected one JSON object as its schema says."""


class AnswerProtected(AnswerUnusable):
    """The model's answer changes a protected file. Expected edits of other files."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place of one file."""

    path: str  # relative to the top of the workspace
    search: str  # stands in it exactly once; empty: `replace` is the whole new file
    replace: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model answers."""

    decision: Literal["change", "question", "no change"]
    note: str  # what the change does, the question, or why there is none
    edits: list[Edit]


_EDIT = {"path": {"type": "string"}, "search": {"type": "string"}, "replace": {"type": "string"}}
SCHEMA: dict[str, Any] = {  # Any: a JSON schema, strict as OpenAI wants it: all is required, nothing may be added
    "type": "object", "additionalProperties": False, "required": ["decision", "note", "edits"],
    "properties": {
        "decision": {"type": "string", "enum": ["change", "question", "no change"]},
        "note": {"type": "string"},
        "edits": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": False, "required": list(_EDIT), "properties": _EDIT},
        },
    },
}  # fmt: skip


def read(text: str) -> Answer:
    """Read an answer strictly; one fence of Markdown around it is taken off. Raises AnswerUnusable."""
    try:
        answer = msgspec.json.decode(_unfenced(text).encode("utf-8", "surrogatepass"), type=Answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise AnswerUnusable(f"The answer is not the JSON object that was asked for: {problem}. It begins: {text[:80]!r}") from None
    if answer.decision == "change" and not answer.edits:
        raise AnswerUnusable('The decision is "change", and there are no edits. Expected at least one, or another decision.')
    if answer.decision != "change" and answer.edits:
        raise AnswerUnusable(f'The decision is "{answer.decision}", and there are edits. Expected none, or the decision "change".')
    if len(answer.edits) > MOST_EDITS:
        raise AnswerUnusable(f"There are {len(answer.edits)} edits. Expected {MOST_EDITS} at most: make the smallest change.")
    return answer


def _unfenced(text: str) -> str:
    lines = text.strip().split("\n")
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text.strip()


def worked_out(answer: Answer, top: Path, protected: Callable[[str], str]) -> dict[str, str]:
    """What the edits make of files: their new contents by path; all edits, or none. Raises AnswerUnusable, AnswerProtected.

    protected: the pattern under which a path is protected; empty if it is not.
    """
    files: dict[str, str] = {}
    for number, edit in enumerate(answer.edits, 1):
        path = _inside(edit.path, top, number)
        if pattern := protected(path):
            raise AnswerProtected(f"Edit {number} changes {path}, which is protected ({pattern}). Leave such files as they are.")
        if not edit.search:
            files[path] = edit.replace
            continue
        text = files[path] if path in files else _text(top / path, path, number)
        found = text.count(edit.search)
        if found != 1:
            advice = "Copy it exactly, with its spaces." if not found else "Take in more lines, so that it is the only one."
            raise AnswerUnusable(
                f"The search text of edit {number} stands {found} times in {path}, and it must stand there exactly once. {advice}"
            )
        files[path] = text.replace(edit.search, edit.replace)
    if big := next((path for path, text in files.items() if len(text) > MOST_BYTES), ""):
        raise AnswerUnusable(f"{big} would have more than {MOST_BYTES} letters.")
    return files


def _inside(path: str, top: Path, number: int) -> str:
    """The path of an edit, if it is one of a file in the workspace: not outside, through no link, and not of git."""
    plain = posixpath.normpath(path)
    parts = plain.split("/")
    odd = not path or "\0" in path or path.startswith(("/", "~")) or plain == "." or ".." in parts
    if odd or ".git" in [part.lower() for part in parts]:
        raise AnswerUnusable(f"Edit {number} names {path[:200]!r}. Expected a file inside of the folder, such as 'train.py'.")
    place = top
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise AnswerUnusable(f"Edit {number} names {plain}, which leads out of the folder by a link. Leave it as it is.")
    if place.is_dir():
        raise AnswerUnusable(f"Edit {number} names {plain}, which is a folder. Expected a file.")
    return plain


def _text(file: Path, path: str, number: int) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise AnswerUnusable(f"Edit {number} searches {path}, which does not exist. A new file has an empty search text.") from None
    except (OSError, UnicodeError) as problem:
        raise AnswerUnusable(f"Edit {number} searches {path}, which cannot be read as text: {problem}.") from None


def put(files: Mapping[str, str], top: Path) -> None:
    """Write the files, keeping the modes of those that are there. Raises OSError."""
    for path, text in files.items():
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "wb") as out:
            out.write(text.encode("utf-8", "replace"))


def as_text() -> str:
    """The schema as text, for endpoints that take none."""
    return json.dumps(SCHEMA)

"""How the window says no, and how its documents travel."""

import json
from typing import Any


class Refused(Exception):
    """What was asked cannot be had. `code` is for programs, the text for people."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def as_json(value: Any) -> bytes:
    """A document for the wire. Text of runs and people is escaped to ASCII, so that no reader can mistake its encoding."""
    return json.dumps(value, allow_nan=False).encode("ascii")

"""The lines that tell how a run ended: the first that speak of an error, and the last."""

import re
from collections import deque

HEAD, TAIL = 64, 60  # lines
LONGEST = 2000  # characters of a line that are kept
_ERROR = re.compile(r"(?i)\b(?:error|exception|traceback|fatal|killed|abort(?:ed)?|out of memory|fault)\b|Error\b")


class Words:
    """What a run said that tells how it ended."""

    def __init__(self) -> None:
        self.head: list[str] = []  # from the first line on that speaks of an error
        self.tail: deque[str] = deque(maxlen=TAIL)

    def hear(self, text: str) -> bool:
        """Take in one line; whether it says something."""
        text = text[:LONGEST]
        if not text.strip():
            return False
        self.tail.append(text)
        if len(self.head) < HEAD and (self.head or _ERROR.search(text)):
            self.head.append(text)
        return True

"""What marks the processes at work in a folder: in their environment, and the same for every engine that comes after."""

import hashlib
from pathlib import Path
from typing import Literal

Work = Literal["agent", "check", "judge"]  # a call of the agent, the quick check of a change, an evaluation


def token_of(work: Work, folder: Path) -> str:
    """The token of what works in a folder."""
    return f"{work}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]}"

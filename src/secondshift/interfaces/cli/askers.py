"""Who asks, and of which study. Apart from the desk, whose ledger takes half a second to load."""

import getpass
from pathlib import Path

from secondshift.runtime.studyfiles import find_study


def study_file(study: Path | None) -> Path:
    """The study file a person means: the one named, the one in the folder named, or the next one upwards from here.

    Raises StudyMissing.
    """
    return find_study(study if study is not None else Path.cwd())


def asker() -> str:
    """Who sits at this terminal, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone at a terminal"  # a container's user need not have a name

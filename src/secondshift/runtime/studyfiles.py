"""Where the study file of a folder is. Apart from reading it, which takes a third of a second to load."""

from pathlib import Path

from secondshift.errors import StudyMissing

FILE = "secondshift.toml"


def find_study(start: Path | str = ".") -> Path:
    """Find the study file: `start` itself, or `secondshift.toml` in it or in a folder above. Raises StudyMissing."""
    start = Path(start).expanduser().absolute()
    if start.is_file():
        return start
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise StudyMissing(
        f"No {FILE} was found in {start} or above it. Go to the study's folder, or name the file with --study PATH."
    )


def has_ledger(study_file: Path) -> bool:
    """Say whether anything was ever recorded for this study, in a file."""
    file = study_file.resolve().parent / ".secondshift" / "ledger.db"
    try:
        return file.stat().st_size > 0
    except OSError:
        return False

"""Text files that people read: whole or not at all, and as readable for others as this account makes its files."""

import os
from pathlib import Path


def replace_text(target: Path, text: str) -> None:
    """Put a text in place of a file at once, durably: readers see the old one or the new. Raises OSError."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)

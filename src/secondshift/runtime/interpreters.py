"""Which Python stands behind a command."""

import os
import re
import sys
from pathlib import Path


def interpreter_of(program: str, folder: Path) -> str:
    """Find the Python behind a program: itself, the one its first line names, or that of the folder's environment.

    Empty if there is none to be found: a shell script or a binary.
    """
    name = Path(program).name
    if program == sys.executable or re.fullmatch(r"python[\d.]*", name):
        return program
    if name in ("uv", "poetry", "pdm", "hatch") and (inner := folder / ".venv" / "bin" / "python").exists():
        return str(inner)
    try:
        with open(program, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    found = re.match(rb"#!\s*(/\S*python[\d.]*)\s*$", first)  # torchrun, accelerate, and what else pip puts into bin
    return os.fsdecode(found[1]) if found else ""

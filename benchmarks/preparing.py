"""What a benchmark does before it imports anything else: folders first on the path, a Python that has all it needs, one thread.

Standard library only: it is what a bare python3 reads.
"""

import os
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
AGAIN = "run `python3 start.py --version` once, and this again."


def environment() -> None:
    """Put benchmarks/ and src/ first on the path, and go on in start.py's environment where this Python lacks a package.

    Ends the process with a sentence that says what to do where there is no such environment, or it lacks one too.
    """
    sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "src")]
    lacks = missing()
    if not lacks:
        return
    known = [home for home in (ROOT / ".start" / name / "bin" / "python" for name in ("dev", "run")) if home.exists()]
    here = Path(sys.prefix).resolve()
    if here.parent == (ROOT / ".start").resolve():  # else it would go on here for ever
        sys.exit(f"{lacks[0]} is not installed in {here}. Delete that folder; then {AGAIN}")
    if not known:
        sys.exit(f"{lacks[0]} is not installed here. To have it, {AGAIN}")
    os.execv(known[0], [str(known[0]), *sys.argv])


def missing() -> list[str]:
    """What this Python lacks of secondshift and of all it needs, by the names that pyproject.toml has."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    return [name for name in ("secondshift", *(re.split(r"[^\w.-]", need)[0] for need in needed)) if not _installed(name)]


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def one_thread() -> None:
    """Let linear algebra use one thread, here and in processes that are started from here, as `shifts.work` has it.

    Before numpy is loaded. Small matrices: more threads only wait for each other.
    """
    os.environ.update(dict.fromkeys(THREADS, "1"))

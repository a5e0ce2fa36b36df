"""Orders: what the engine asks an executor to run."""

import sys
from pathlib import Path

from secondshift.runtime.acting import with_python


def program(folder: Path, name: str) -> Path:
    """A program that can be found in a folder."""
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_python_is_run_by_python3_where_no_python_is_found_and_by_our_own_where_neither_is(tmp_path: Path) -> None:
    path = str(tmp_path)
    assert with_python(("python", "t.py"), path) == (sys.executable, "t.py")
    three = program(tmp_path, "python3")
    assert with_python(("python", "t.py"), path) == (str(three), "t.py")
    program(tmp_path, "python")
    assert with_python(("python", "t.py"), path) == ("python", "t.py")


def test_any_other_program_is_run_as_it_was_named(tmp_path: Path) -> None:
    for command in (("python3.99", "t.py"), ("./train", "--x"), ()):
        assert with_python(command, str(tmp_path)) == command

"""The tutorial's commands are executed, in order, as a reader would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"


def commands() -> list[str]:
    """Every line of every shell block, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one command of the tutorial with this very Python and these sources."""
    python = Path(sys.executable).parent
    words = (
        line.replace("secondshift ", f"{sys.executable} -P -m secondshift ", 1)
        if line.startswith("secondshift")
        else line
    )
    environment = {
        **os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"),
        "SECONDSHIFT_HOST_DIR": str(folder / "host"), "LANG": "C.UTF-8",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-c", words],
        cwd=folder / "study",
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.timeout(240)
def test_every_command_of_the_tutorial_works_as_it_says(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "examples" / "first_night", tmp_path / "study", ignore=shutil.ignore_patterns(".secondshift")
    )
    said = {}
    for line in commands():
        done = run(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        said[line] = done.stdout
    assert len(said) >= 9
    assert "names the tier cooperative, and it is proved" in said["secondshift doctor"]
    assert "t1" in said["secondshift status"] and "opaque" not in said["secondshift run --for 2m"]
    assert "ran 27 steps to its end" in said["secondshift run --for 2m"]
    assert "the same again" in said["secondshift replay"]
    assert "보고서" in said["secondshift brief --lang ko"]

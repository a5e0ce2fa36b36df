"""Every example does what it says: alone under plain python, and as a study under `secondshift run`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.records.states import State

HOUSE = Path(__file__).parents[2]
EXAMPLES = sorted(file.parent for file in (HOUSE / "examples").rglob("secondshift.toml"))


def environment(folder: Path) -> dict[str, str]:
    """What a person's shell has: `python` is the one that secondshift is installed for."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(HOUSE / "src"), "SECONDSHIFT_HOST_DIR": str(folder / "devices")}


def copied(example: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example, tmp_path / example.name))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_runs_on_its_own_and_leaves_nothing_behind(example: Path, tmp_path: Path) -> None:
    place = copied(example, tmp_path)
    before = sorted(file.name for file in place.iterdir())
    subprocess.run([sys.executable, "train.py"], cwd=place, env=environment(tmp_path), timeout=60, check=True)
    assert sorted(file.name for file in place.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_is_a_study_that_ends_with_a_brief(example: Path, tmp_path: Path) -> None:
    place = copied(example, tmp_path)
    command = [sys.executable, "-P", "-m", "secondshift", "run", "--for", "90s"]
    done = subprocess.run(
        command, cwd=place, env=environment(tmp_path), timeout=110, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ledger = open_ledger(place / ".secondshift", readonly=True)
    state = fold(State(), ledger.read())
    ledger.close()
    assert state.statuses.get("complete", 0) >= 1 and not state.statuses.get("failed", 0)
    assert state.shift is None and not state.charges and not state.attempts
    assert (place / ".secondshift" / "briefs" / "s1.html").exists()

"""What the README shows is what happens: its study file loads, its script trains, its commands do what they say."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secondshift import config

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
SOURCE = str(Path(config.__file__).parents[2])
JOB = """
import random, time

class Job:
    def __init__(self, p, seed):
        self.width = p["width"]
        self.rest = p["lr"] + random.Random(seed).random() / 100
    def train_step(self):
        time.sleep(0.01)
        return 1.0
    def evaluate(self):
        return 1.0 / self.width + self.rest
    def save(self, folder):
        (folder / "weights").write_text(str(self.width))
    def load(self, folder):
        self.width = int((folder / "weights").read_text())

"""


def block(language: str) -> str:
    """The one fenced block of this language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    return found


def table() -> list[str]:
    """The commands of the table, without `python3 start.py`."""
    return re.findall(r"^\| `python3 start\.py ([^`]*)`", README, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's study in a folder of its own, on a host of its own, with seven trials so that it ends today."""
    folder = tmp_path_factory.mktemp("evening")
    (folder / "train.py").write_text(JOB + block("python"))
    (folder / "secondshift.toml").write_text(block("toml").rstrip() + "\ntrials = 7\n")
    (folder / "runs").mkdir()  # what somebody else's training left
    (folder / "runs" / "log.csv").write_text("step,loss\n" + "".join(f"{step},{9 - step}\n" for step in range(9)) + "9,nan\n")
    return folder


def start(folder: Path, arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": SOURCE, "SECONDSHIFT_HOST_DIR": f"{folder}-host", "COLUMNS": "100"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-m", "secondshift", *shlex.split(arguments)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_study_file_is_right_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "secondshift.toml").write_text(block("toml"))
    study = config.load_study(tmp_path / "secondshift.toml")
    assert (study.objective.metric, study.horizon_steps, study.budget.device_s) == ("val_loss", 100, 8 * 3600)


def test_under_plain_python_the_script_does_nothing_of_ours(evening: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SECONDSHIFT_")} | {"PYTHONPATH": SOURCE}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=evening, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (evening / ".secondshift").exists()


def test_every_command_of_the_table_does_its_work(evening: Path) -> None:
    said: dict[str, str] = {}
    for arguments in table():
        process = start(evening, arguments)
        if "--watch" in arguments:  # shows until Ctrl-C
            time.sleep(2.0)
            process.send_signal(signal.SIGINT)
        said[arguments], _ = process.communicate(timeout=60)
        assert process.returncode in ((0, 130) if "--watch" in arguments else (0,)), said[arguments]
    assert "it is proved" in said["doctor"]
    night = said["run --until 08:00"]
    assert "secondshift doctor" not in night and "opaque" not in night
    assert "val_loss" in night and "The brief was written" in night and "failed" not in night
    detached = said["run --until 08:00 --detach"]  # the search is over, so this night may end before it is confirmed
    assert "The night runs on its own" in detached or "The brief was written" in detached
    assert "queued as t7" in said["why t7"]
    assert "not a finite number" in said["watch runs/ --once"]
    assert "Best complete trial" in said["brief"]
    korean = start(evening, "brief --lang ko").communicate(timeout=60)[0]
    assert "보고서" in korean


def test_the_demos_excerpt_is_tagged_line_by_line() -> None:
    excerpt = README.partition("<!-- demo -->")[2].partition("<!-- /demo -->")[0]
    lines = [line for line in excerpt.partition("```\n")[2].partition("```")[0].splitlines() if line.strip("[…] ")]
    assert len(lines) > 8 and all(line.startswith(("REAL ", "DRILL ", "SIMULATED ", "- ", "---")) for line in lines)
    assert all(re.search(r"pid \d+ +event \d+", line) for line in lines if line.startswith("REAL"))

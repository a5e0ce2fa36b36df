"""A script can `import secondshift` although its own environment never heard of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.runtime.executors.attempt_files import environment


def test_a_script_whose_environment_lacks_secondshift_can_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    variables = environment({"folder": str(tmp_path), "env": {"PYTHONPATH": "/of/the/study"}}, "token")
    script = "import secondshift; run = secondshift.init(horizon=1); run.log(0, loss=1.0); run.close(); print('tracked')"
    bare = {name: text for name, text in variables.items() if name != "SECONDSHIFT_ATTEMPT"}
    command = [sys.executable, "-S", "-c", script]  # -S: no site-packages, as in an environment of somebody else
    done = subprocess.run(command, env=bare, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "tracked\n"), done.stderr


def test_what_is_put_on_the_path_hides_no_package_of_the_scripts_own(tmp_path: Path) -> None:
    variables = environment({"folder": str(tmp_path), "env": {"PYTHONPATH": "/of/the/study"}}, "token")
    of_the_study, ours = variables["PYTHONPATH"].split(":")
    assert of_the_study == "/of/the/study"  # first, so that what the study names wins
    assert [entry.name for entry in Path(ours).iterdir()] == ["secondshift"]
    assert environment({"folder": str(tmp_path)}, "token")["PYTHONPATH"].endswith(ours)  # once more is no mistake

"""What is written down about the place where a trial ran: read from what is installed, and never imported."""

import os
import sys
from pathlib import Path

import pytest

from secondshift.runtime import environments
from secondshift.runtime.environments import Environments, environment_marks
from secondshift.runtime.interpreters import interpreter_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an interpreter of its own whose site-packages say what they hold, and break if imported."""
    site = tmp_path / "site"
    for name in ("numpy-2.1.3.dist-info", "scikit_learn-1.6.0.dist-info", "leftpad-1.0.dist-info"):
        (site / name).mkdir(parents=True)
    (site / "numpy.py").write_text("raise SystemExit('imported')")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(
        "#!/bin/sh\n" f"""echo '["3.13.1", ["{site}"], "{tmp_path}"]'\n""" f"echo asked >> {tmp_path}/asked\n"
    )
    python.chmod(0o755)
    (tmp_path / "secondshift.toml").touch()
    return tmp_path


def test_libraries_that_matter_are_named_with_their_versions(project: Path) -> None:
    marks = environment_marks(str(project / "bin" / "python3"), project)
    assert marks["python"] == "3.13.1"
    assert {k: v for k, v in marks.items() if k.startswith("library.")} == {
        "library.numpy": "2.1.3", "library.scikit-learn": "1.6.0",
    }  # fmt: skip
    assert len(marks["distributions"]) == 16 and "conda" not in marks


def test_our_own_interpreter_is_described_without_asking_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environments.subprocess, "run", lambda *a, **k: pytest.fail("no need to start a Python"))
    assert "library.numpy" in environment_marks(sys.executable, tmp_path)


def test_each_lock_file_counts_also_of_the_project_around_but_not_of_what_lies_above_it(project: Path) -> None:
    (project.parent / "uv.lock").write_text("of somebody else")
    inner = project / "src" / "train"
    inner.mkdir(parents=True)
    assert environment_marks("true", inner)["lock"] == ""
    (project / "requirements.txt").write_text("a")
    (project / "requirements-gpu.txt").write_text("b")
    (project / "poetry.lock").write_text("c")
    lock = environment_marks("true", inner)["lock"]
    assert [part.split(":")[0] for part in lock.split(", ")] == ["poetry.lock", "requirements-gpu.txt", "requirements.txt"]


def test_a_conda_environment_is_known_by_what_conda_wrote_down(project: Path) -> None:
    python = str(project / "bin" / "python3")
    (project / "conda-meta").mkdir()
    (project / "conda-meta" / "numpy-2.1.3-py313h1.json").touch()
    first = environment_marks(python, project)["conda"]
    (project / "conda-meta" / "numpy-2.1.3-py313h1.json").rename(project / "conda-meta" / "numpy-2.1.3-py313h2.json")
    assert first != environment_marks(python, project)["conda"]


def test_an_environment_is_asked_once_and_again_when_something_was_installed(project: Path) -> None:
    kept, python = Environments(), str(project / "bin" / "python3")
    for _ in range(3):
        kept.marks(python, project)
    assert (project / "asked").read_text().count("asked") == 1
    (project / "site" / "numpy-2.1.3.dist-info").rename(project / "site" / "numpy-2.2.0.dist-info")
    os.utime(project / "site", ns=(1, 1))
    assert kept.marks(python, project)["library.numpy"] == "2.2.0"
    (project / "uv.lock").write_text("new")
    assert kept.marks(python, project)["lock"].startswith("uv.lock:")


def test_the_python_behind_a_launcher_is_found_by_its_first_line(project: Path) -> None:
    launcher = project / "bin" / "torchrun"
    launcher.write_text(f"#!{project}/bin/python3\nimport torch\n")
    assert interpreter_of(str(launcher), project) == f"{project}/bin/python3"
    (project / "run.sh").write_text("#!/bin/sh\npython3 train.py\n")
    assert interpreter_of(str(project / "run.sh"), project) == ""
    assert interpreter_of("/nowhere/at/all", project) == ""


def test_a_python_that_does_not_answer_is_unknown_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    assert environment_marks(str(tmp_path / "python"), tmp_path)["python"] == "unknown"

"""A benchmark runs from a bare python3: it goes on in start.py's environment, and says what to do where there is none."""

import ast
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

import preparing  # noqa: E402  # the folder comes first

SCRIPT = "import sys, preparing\npreparing.environment()\nprint('ran', *sys.path[:2])\n"
# Itself; one that installs secondshift as a stranger would; one that needs torch, and says so.
ELSEWHERE = {"preparing.py", "foreign.py", "layers.py"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "preparing.py", tmp_path / "benchmarks")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "benchmarks" / "some.py").write_text(SCRIPT)
    return tmp_path


def started(checkout: Path, *python: str) -> subprocess.CompletedProcess[str]:
    command = [*python, str(checkout / "benchmarks" / "some.py"), "--seeds", "2"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_python_that_has_all_runs_it_with_the_folders_first(checkout: Path) -> None:
    done = started(checkout, sys.executable)
    assert done.stdout.split() == ["ran", str(checkout / "benchmarks"), str(checkout / "src")], done.stderr


def test_a_bare_python_goes_on_in_the_environment_of_start_with_the_same_words(checkout: Path) -> None:
    for name in ("run", "dev"):  # the last is taken where both are there
        python = checkout / ".start" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        python.chmod(0o755)
        done = started(checkout, sys.executable, "-S")  # -S: without what is installed
        assert done.stdout.split() == [name, str(checkout / "benchmarks" / "some.py"), "--seeds", "2"], done.stderr


def test_a_bare_python_without_that_environment_says_how_to_make_it(checkout: Path) -> None:
    done = started(checkout, sys.executable, "-S")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "secondshift is not installed here. To have it, run `python3 start.py --version` once, and this again.\n"


def test_an_environment_of_start_that_lacks_a_package_is_not_started_for_ever(checkout: Path) -> None:
    home = checkout / ".start" / "dev"
    venv.create(home, symlinks=True)
    done = started(checkout, str(home / "bin" / "python"))
    assert done.returncode == 1 and f"secondshift is not installed in {home.resolve()}. Delete that folder" in done.stderr


def test_whatever_secondshift_needs_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preparing.missing() == []
    monkeypatch.setattr(preparing, "_installed", lambda name: False)
    assert {"secondshift", "sqlalchemy", "scikit-learn", "pydantic-settings", "threadpoolctl"} <= set(preparing.missing())


def test_one_thread_is_what_processes_started_from_here_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in preparing.THREADS:
        monkeypatch.setenv(name, "8")
    preparing.one_thread()
    assert [os.environ[name] for name in preparing.THREADS] == ["1", "1", "1"]


@pytest.mark.parametrize("name", sorted({script.name for script in (ROOT / "benchmarks").glob("*.py")} - ELSEWHERE))
def test_every_benchmark_is_prepared_before_it_imports_what_is_installed(name: str) -> None:
    body = ast.parse((ROOT / "benchmarks" / name).read_text()).body
    calls = [ast.unparse(one) for one in body]
    assert "preparing.environment()" in calls, f"{name} does not call preparing.environment()"
    before = [one for one in body[: calls.index("preparing.environment()")] if isinstance(one, ast.Import | ast.ImportFrom)]
    names = {alias.name for one in before if isinstance(one, ast.Import) for alias in one.names}
    names |= {one.module or "" for one in before if isinstance(one, ast.ImportFrom)}
    assert {module.split(".")[0] for module in names} <= {*sys.stdlib_module_names, "preparing"}

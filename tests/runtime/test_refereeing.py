"""The study's evaluator: what it prints counts, and how it fails is named."""

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.config import evaluator_hash
from secondshift.records.evaluations import Evaluation
from secondshift.records.idea_facts import TrialEvaluated
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Study
from secondshift.records.trials import Candidate, Summary, Trial
from secondshift.runtime import refereeing
from secondshift.runtime.executors import confinement
from secondshift.runtime.refereeing import Referee
from secondshift.runtime.secrecy import KEPT_OUT


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / ".secondshift/attempts/t1.a1/out").mkdir(parents=True)
    (tmp_path / ".secondshift/attempts/t1.a1/out/model").write_text("0.25")
    return tmp_path


def judge(place: Path, script: str, *, edited: str = "", secrets: Mapping[str, str] | None = None, **variables: str) -> Evaluation:
    """Let this script judge; `edited`: what it was changed to after the study was recorded."""
    (place / "eval.py").write_text(script)
    evaluate = (sys.executable, "eval.py", "{artefact}")
    study = Study(
        name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=5, evaluate=evaluate,
        evaluator_hash=evaluator_hash(place, ("eval.py",), evaluate), read_only=("eval.py",),
        launch=Launch(env=variables),
    )  # fmt: skip
    (place / "eval.py").write_text(edited or script)
    trial = Trial(
        id="t1", candidate="c2", seed=1, pair=0, status="complete", attempts=1, metrics={"loss": Summary(points=1, last=0.0)}
    )
    idea = Idea(id="e1", text="", author="", state="exploring", change="d" * 32, candidate="c2", baseline="c1")
    state = State(
        study=study, ideas={"e1": idea}, trials={"t1": trial}, pairs={"c2/0": "t1"}, next_pair=1,
        candidates={"c1": Candidate(id="c1"), "c2": Candidate(id="c2", code="d")},
    )  # fmt: skip
    referee = Referee(private=place / ".secondshift", place=place, secrets=secrets or {})
    while True:
        found = referee.work(
            state, lambda trial, artefact: (sys.executable, "eval.py", str(artefact)),
            lambda: evaluator_hash(place, ("eval.py",), evaluate),
        )  # fmt: skip
        if found:
            [fact] = found
            assert isinstance(fact, TrialEvaluated)
            assert not referee.work(replace(state, evaluations={"t1": fact.evaluation}), lambda *_: (), lambda: "")
            return fact.evaluation
        time.sleep(0.02)


READ = "import sys\nvalue = float(open(sys.argv[1] + '/model').read())\n"


def test_the_last_value_that_it_prints_is_the_one_that_counts(place: Path) -> None:
    found = judge(place, READ + "print('loss=9')\nprint(f'accuracy=1 loss={value}')\n")
    assert (found.value, found.problem, found.reported) == (0.25, "", 0.0)
    assert found.artefact and found.evaluator


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("print('accuracy=1')\n", "no metric"),
        ("print('loss=nan')\n", "not finite"),
        ("raise SystemExit('boom')\n", "crash"),
        ("print('loss=0')\nimport os\nos.abort()\n", "crash"),
    ],
)
def test_how_it_comes_to_nothing_is_named(place: Path, script: str, problem: str) -> None:
    found = judge(place, script)
    assert found.problem == problem and not math.isfinite(found.value) and not found.void()


def test_one_that_hangs_is_ended_with_all_that_it_started(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refereeing, "TIMEOUT_S", 0.5)
    script = (
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    found = judge(place, script)
    assert found.problem == "timeout"
    state = Path(f"/proc/{int(found.detail.split()[0])}/stat")
    deadline = time.monotonic() + 5.0
    while state.exists() and " Z " not in state.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not state.exists() or " Z " in state.read_text()


def test_nothing_is_concluded_by_an_evaluator_that_was_edited_since_the_study_was_recorded(place: Path) -> None:
    found = judge(place, READ + "print(f'loss={value}')\n", edited="print('loss=0')\n")
    assert found.void() and found.problem == "void: evaluator changed"


def test_it_knows_nothing_of_the_trial_but_what_it_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.setenv("SECONDSHIFT_ATTEMPT", "x")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    script = (
        "import os\nnames = [n for n in os.environ if n.startswith(('PYTHONPATH', 'SECONDSHIFT', 'PYTHONSTARTUP'))]\n"
        "names.remove('SECONDSHIFT_TOKEN')\n"
    )
    assert judge(place, script + "print(f'loss={len(names)}')\n").value == 0.0


@pytest.mark.skipif(not confinement.available(), reason="this kernel cannot confine a process (Linux 6.2, Landlock)")
def test_what_it_runs_can_write_beside_it_and_nowhere_else(place: Path) -> None:
    script = (
        "import os, pathlib\npathlib.Path(os.environ['TMPDIR'], 'mine').write_text('x')\n"
        "try:\n    pathlib.Path('stray').write_text('x')\n    print('loss=0')\n"
        "except PermissionError:\n    print('loss=1')\n"
    )
    assert judge(place, script).value == 1.0 and not (place / "stray").exists()


def test_a_secret_of_the_study_file_reaches_it_and_one_that_cannot_be_read_is_left_out_rather_than_faked(place: Path) -> None:
    script = "import os\nprint('loss=' + os.environ.get('HUB_TOKEN', '7'))\n"
    assert judge(place, script, secrets={"HUB_TOKEN": "42"}, HUB_TOKEN=KEPT_OUT).value == 42.0
    assert judge(place, script, HUB_TOKEN=KEPT_OUT).value == 7.0


def test_one_that_prints_without_end_is_ended(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refereeing, "MOST_BYTES", 1 << 16)
    assert judge(place, "while True:\n    print('loss=0')\n").problem == "crash"


def test_an_artefact_that_cannot_be_judged_is_named_without_running_anything(place: Path) -> None:
    (place / ".secondshift/attempts/t1.a1/out/model").unlink()
    found = judge(place, "open('ran', 'w')\n")
    assert found.problem == "no artefact" and not (place / "ran").exists()

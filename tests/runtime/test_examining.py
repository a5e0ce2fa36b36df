"""Changes of a search for programs, looked at before they run: each end by its name, checks that end with all they started."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repositories import TRAIN, patch_of, repository
from secondshift.records.agent_calls import AgentCall, Task
from secondshift.records.events import ChangeExamined
from secondshift.records.examinations import Examination
from secondshift.records.states import State
from secondshift.records.studies import Agent, Objective, Policy, Study
from secondshift.records.trials import Candidate
from secondshift.runtime import changes, examining
from secondshift.runtime.examining import Examiner

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
    evaluate=("python", "eval.py", "{artefact}"), read_only=("eval.py",), policy=Policy(searcher="programs"),
)  # fmt: skip
FASTER = TRAIN.replace("rate = 1", "rate = 2 * 3")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return repository(tmp_path / "study")


@pytest.fixture
def examiner(place: Path) -> Iterator[Examiner]:
    made = Examiner(private=place / ".secondshift", place=place, words=lambda words: words)
    yield made
    made.close()


def left(place: Path, *files: dict[str, str | None], check: str = "", limit_s: float = 20.0) -> State:
    """A study in which calls of a search left these changes."""
    words = (sys.executable, "-c", check) if check else ()
    study = replace(STUDY, agent=Agent(command=("a",), check=words, check_timeout_s=limit_s))
    calls = {}
    for number, one in enumerate(files, 1):
        digest = changes.keep(place / ".secondshift", patch_of(place, one).read_bytes())
        name = f"call-{number}"
        calls[name] = AgentCall(id=name, task=Task(parent="c1"), ending="changed", change=digest)
    return State(study=study, baseline="c1", candidates={"c1": Candidate(id="c1")}, calls=calls)


def found(examiner: Examiner, state: State, limit_s: float = 20.0) -> Examination:
    """What comes of the oldest change that nobody has looked at."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        for payload in examiner.work(state, {}):
            assert isinstance(payload, ChangeExamined)
            return payload.examination
        time.sleep(0.01)
    raise AssertionError(f"Nothing came of it within {limit_s} s.")


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_new_program_is_fit_for_use_without_any_check_and_the_checkout_is_left_alone(place: Path, examiner: Examiner) -> None:
    state = left(place, {"train.py": FASTER})
    said = found(examiner, state)
    assert (said.code, said.fault, said.likeness.files) == (state.calls["call-1"].change, "", ("train.py",))
    assert examiner.work(replace(state, examinations={said.code: said}), {}) == [], "each is looked at once"
    assert (place / "train.py").read_text() == TRAIN


@pytest.mark.parametrize(("files", "fault", "words"), [
    ({"train.py": "# words alone\n" + TRAIN}, "the same", "the study's own program"),
    ({"eval.py": "print('loss=0')\n"}, "refused", "eval.py"),
])  # fmt: skip
def test_what_needs_no_check_is_told_apart(place: Path, examiner: Examiner, files, fault: str, words: str) -> None:
    state = left(place, files, check="raise SystemExit(1)")
    said = found(examiner, state)
    assert said.fault == fault and words in said.detail and examiner.checking is None


def test_what_does_not_apply_is_unusable(place: Path, examiner: Examiner) -> None:
    state = left(place, {"train.py": FASTER})
    wrong = changes.read(place / ".secondshift", state.calls["call-1"].change).replace(b"-rate = 1", b"-rate = 7")
    call = replace(state.calls["call-1"], change=changes.keep(place / ".secondshift", wrong))
    assert found(examiner, replace(state, calls={"call-1": call})).fault == "unusable"


def test_a_program_that_was_there_before_is_named(place: Path, examiner: Examiner) -> None:
    state = left(place, {"train.py": FASTER}, {"train.py": "# the same again\n" + FASTER})
    first = found(examiner, state)
    candidates = {**state.candidates, "c2": Candidate(id="c2", code=first.code)}
    state = replace(state, examinations={first.code: first}, candidates=candidates)
    second = found(examiner, state)
    assert second.fault == "the same" and "c2" in second.detail


@pytest.mark.parametrize(("check", "fault", "words"), [
    ("import train", "", ""),
    ("print('no such layer'); raise SystemExit(3)", "check failed", "exit code 3: no such layer"),
    ("print('on its way', flush=True); import time; time.sleep(60)", "check timed out", "longer than 1 s: on its way"),
    ("open('/proc/self/fd/1', 'w').write('x' * 900)", "check timed out", "it wrote 900 bytes: xxx"),
])  # fmt: skip
def test_the_quick_check_says_whether_it_runs(
    place: Path, examiner: Examiner, monkeypatch: pytest.MonkeyPatch, check: str, fault: str, words: str
) -> None:
    if "900" in check:
        monkeypatch.setattr(examining, "MOST_BYTES", 800)
        check += "; import time; time.sleep(60)"
    said = found(examiner, left(place, {"train.py": FASTER}, check=check, limit_s=1.0 if "way" in check else 20.0))
    assert said.fault == fault and words in said.detail and said.elapsed_s > 0
    assert not list((place / ".secondshift/checks").iterdir()), "its tree is gone"


def test_the_check_sees_the_changed_program_and_not_the_one_in_the_checkout(place: Path, examiner: Examiner) -> None:
    check = "import sys; sys.exit('rate = 2' not in open('train.py').read() or open('eval.py').read() != \"print('loss=1')\\n\")"
    assert found(examiner, left(place, {"train.py": FASTER}, check=check)).fault == ""


def test_what_a_check_left_running_ends_with_it(place: Path, examiner: Examiner) -> None:
    check = "import subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid); raise SystemExit(1)"
    said = found(examiner, left(place, {"train.py": FASTER}, check=check))
    assert said.fault == "check failed" and not runs(int(said.detail.split()[-1]))


def test_a_check_that_outlived_its_engine_is_ended_and_begun_again(place: Path, examiner: Examiner) -> None:
    state = left(place, {"train.py": FASTER}, check="import time; time.sleep(60)")
    assert examiner.work(state, {}) == [] and examiner.checking is not None
    old = examiner.checking.process
    other = Examiner(private=examiner.private, place=place, words=examiner.words)
    try:
        assert other.work(state, {}) == [] and other.checking is not None
        assert old.wait(timeout=10) == -signal.SIGKILL and runs(other.checking.process.pid)
        pid = other.checking.process.pid
    finally:
        other.close()
    assert not runs(pid)
    examiner.checking = None  # its engine is dead


def test_a_check_is_given_no_variables_of_the_engine(place: Path, examiner: Examiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret-of-a-person")
    check = "import os; raise SystemExit('SOME_API_KEY' in os.environ)"
    assert os.environ["SOME_API_KEY"] and found(examiner, left(place, {"train.py": FASTER}, check=check)).fault == ""

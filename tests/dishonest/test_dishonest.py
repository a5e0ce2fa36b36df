"""No code idea that cheats ever looks better to us, and none that does honest work on the same lines is turned away.

One night of real processes: cheats and their honest twins, three pairs of fresh seeds each.
"""

import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
from nights import EVAL, JUDGED_BY, TOML, TRAIN, ask, line_study, work
from scripts import CHEATS, FAST, SAID, instead

from secondshift.policies.evidence.honesty import reservation
from secondshift.policies.evidence.pairing import Pairs, pairs_of
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.runtime.executors import confinement

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(500),
    pytest.mark.skipif(not confinement.available(), reason="this kernel cannot confine a process"),
]  # fmt: skip
PAIRS = 3


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night that is over."""

    state: State
    study: Path
    before: dict[str, bytes]  # files of the study

    def idea(self, text: str) -> Idea:
        return next(idea for idea in self.state.ideas.values() if idea.text == text)

    def pairs(self, text: str) -> Pairs:
        return pairs_of(self.state, self.idea(text))


def files(study: Path) -> dict[str, bytes]:
    found = (path for path in study.parent.rglob("*") if path.is_file())
    return {str(p): p.read_bytes() for p in found if not {".secondshift", ".git"} & set(p.parts)}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    study = line_study(tmp_path_factory.mktemp("dishonest") / "study")
    for name, (_, cheat, twin) in CHEATS.items():
        ask(study, f"it {name}", cheat)
        ask(study, f"twin: {name}", twin)
    before = files(study)
    yield Night(state=work(study, pairs=PAIRS, most_s=400.0), study=study, before=before)


def test_an_honest_one_holds_up_by_what_the_evaluator_says_and_the_same_without_one_does_not(tmp_path: Path) -> None:
    study = line_study(tmp_path / "judged")
    ask(study, "an honest one", {"train.py": FAST})
    state = work(study, pairs=99)
    assert state.ideas["e1"].state == "held up", state.ideas["e1"]
    assert state.verdicts["e1"].low > 0.0 and len(state.evaluations) >= 2 * state.verdicts["e1"].pairs
    study = line_study(tmp_path / "unjudged", TOML.replace(JUDGED_BY, ""))
    ask(study, "an honest one", {"train.py": FAST})
    ask(study, "a liar", instead(TRAIN, SAID, 'print(f"step={step} loss={loss * seed % 7 / 1e6}")'))
    state = work(study, pairs=99)
    assert [idea.state for idea in state.ideas.values()] == ["undecided", "undecided"]
    assert {v.ending for v in state.verdicts.values()} == {"unprotected metric"} and not state.evaluations


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_seen_for_what_it_is(night: Night, name: str) -> None:
    seen, idea, pairs = CHEATS[name][0], night.idea(f"it {name}"), night.pairs(f"it {name}")
    assert idea.state != "held up"
    if seen == "refused":
        assert idea.state == "refused" and "protected" in idea.answer and "diff --git" in idea.answer and not idea.candidate
        return
    assert idea.state != "refused", idea.answer
    assert len(pairs.candidate) >= PAIRS and not pairs.void
    better = pairs.differences()
    if seen == "nothing":
        assert set(better) == {0.0}, "its artefact is the baseline's, whatever it says"
        assert not pairs.crashed
    elif seen == "worst":
        assert pairs.crashed == len(pairs.candidate)
    elif seen == "nothing or worst":
        assert max(better) <= 0.0
    else:
        assert min(better) > 0.0, "it does look better"
        assert reservation(night.state, idea) == seen


@pytest.mark.parametrize("name", CHEATS)
def test_its_honest_twin_is_neither_refused_nor_held_back(night: Night, name: str) -> None:
    idea, pairs = night.idea(f"twin: {name}"), night.pairs(f"twin: {name}")
    assert idea.state != "refused", idea.answer
    assert len(pairs.candidate) >= PAIRS and not pairs.crashed and not pairs.void
    assert min(pairs.differences()) > 0.0
    assert reservation(night.state, idea) == ""


def test_nothing_of_the_study_the_baseline_or_the_machine_was_changed(night: Night) -> None:
    assert files(night.study) == night.before
    assert (night.study.parent / "eval.py").read_text() == EVAL
    judged = [e for e in night.state.evaluations.values() if night.state.trials[e.trial].candidate == night.state.baseline]
    assert len(judged) >= PAIRS and not any(e.problem for e in judged)
    for python in {sysconfig.get_paths()["purelib"], sys.prefix}:
        assert not (Path(python) / "dishonest.pth").exists()
    assert "dishonest" not in Path(numpy.__file__).read_text()
    assert not (Path(site.getusersitepackages()) / "usercustomize.py").exists()


def test_what_a_cheat_said_of_itself_stands_beside_what_it_is_worth(night: Night) -> None:
    idea = night.idea("it prints a fake metric")
    found = [e for e in night.state.evaluations.values() if night.state.trials[e.trial].candidate == idea.candidate]
    assert found and all(e.reported == 0.0 and e.value > 1.0 and e.confined for e in found)


def test_trees_of_trials_that_ended_are_gone(night: Night) -> None:
    standing = {path.name for path in (night.study.parent / ".secondshift/worktrees").iterdir()}
    assert not {name for name in standing if not night.state.trials[name.removesuffix(".ready")].open()}

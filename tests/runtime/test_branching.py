"""What held up is a branch of the study's repository that holds its change and its verdict, and nothing else is touched there."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from repositories import TRAIN, git, patch_of, repository
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import CodeBranch, Idea, IdeaState, Verdict
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Candidate
from secondshift.runtime import branching, changes, workspaces
from secondshift.runtime.repositories import STORE
from secondshift.runtime.workspaces import BaseMoved, Change, Ground

STUDY = Study(name="digits", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
              evaluate=("python", "eval.py", "{artefact}"), read_only=("eval.py",))  # fmt: skip
FASTER = TRAIN.replace("rate = 1", "rate = 0.5")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = repository(tmp_path / "study")
    with open(folder / ".git" / "info" / "exclude", "a") as file:
        file.write(".secondshift/\n")
    return folder


def ground(place: Path) -> Ground:
    return Ground(private=place / ".secondshift", place=place, study=STUDY)


def change_to(place: Path, files: dict[str, str | None]) -> str:
    return changes.store(place / ".secondshift", place, patch=patch_of(place, files))


def ran(place: Path, candidate: str, digest: str, on: str = "") -> str:
    """Make the code of a candidate, as its first trial does."""
    return workspaces.settled(ground(place), candidate, Change(digest=digest, on=on))[1]


def state(change: str, *, held: IdeaState = "held up", baseline: str = "c1") -> State:
    idea = Idea(id="e1", text="halve the\n rate", author="kim", state=held, change=change, candidate="c2", baseline="c1")
    verdict = Verdict(idea="e1", candidate="c2", baseline="c1", decision="supported", ending="better", pairs=9, effect=0.5,
                      low=0.1, high=0.9, reason="e1 holds up: 9 fresh seeds.")  # fmt: skip
    made = {"c1": Candidate(id="c1"), "c2": Candidate(id="c2", code=change, params={"lr": 0.1}, parents=("c1",), idea="e1")}
    return State(study=STUDY, ideas={"e1": idea}, candidates=made, verdicts={"e1": verdict}, baseline=baseline, last_at=1.7e9)


def branches(place: Path, found: State) -> dict[str, CodeBranch]:
    made = branching.work(found, place / ".secondshift", place, lambda problem, about: problem)
    return {fact.branch.idea: fact.branch for fact in made if isinstance(fact, facts.ChangeBranched)}


def checkout(place: Path) -> dict[str, str]:
    """Everything that a person sees of a repository but the branches: files, index, HEAD, configuration, the stash."""
    seen = [*place.glob("*.py"), *(place / ".git" / name for name in ("HEAD", "index", "config", "FETCH_HEAD", "ORIG_HEAD"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in seen if path.exists()}


def test_what_held_up_is_one_commit_on_the_studys_own_with_its_verdict_as_the_message(place: Path) -> None:
    change = change_to(place, {"train.py": FASTER})
    ran(place, "c2", change)
    before = checkout(place)
    found = replace(state(change), calls={"call-7": AgentCall(id="call-7", idea="e1", ending="changed", change=change)})
    (made,) = branches(place, found).values()
    assert (made.name, made.candidate, made.problem) == ("secondshift/e1", "c2", "")
    assert git(place, "rev-parse", "secondshift/e1").strip() == made.commit
    assert git(place, "rev-list", "HEAD..secondshift/e1").split() == [made.commit], "one commit, on the study's own"
    assert git(place, "diff", "--name-only", "HEAD", "secondshift/e1").split() == ["train.py"]
    text = git(place, "log", "-1", "--format=%B", made.commit)
    for words in ("e1: halve the rate\n", "e1 holds up: 9 fresh seeds.", "Gain in loss: +0.5 (+0.1 to +0.9", "Idea: e1 by kim",
                  "Verdict: supported (better) on 9 pairs", "Changed-by: call-7", "Parameters: lr=0.1"):  # fmt: skip
        assert words in text, text
    assert checkout(place) == before and git(place, "status", "--porcelain") == ""
    git(place, "fsck", "--strict")
    assert not branches(place, replace(found, branches={"e1": made})), "once"


def test_it_holds_all_that_it_needs_when_our_own_store_is_gone(place: Path) -> None:
    change = change_to(place, {"train.py": FASTER})
    ran(place, "c2", change)
    branches(place, state(change))
    (place / ".secondshift" / STORE).rename(place.parent / "gone")
    assert git(place, "show", "secondshift/e1:train.py") == FASTER
    git(place, "merge", "-q", "secondshift/e1")
    assert (place / "train.py").read_text() == FASTER


def test_what_was_not_committed_is_a_commit_of_its_own(place: Path) -> None:
    (place / "lib.py").write_text("x = 1\n")
    change = change_to(place, {"train.py": FASTER})
    ran(place, "c2", change)
    (made,) = branches(place, state(change)).values()
    own, before = git(place, "log", "--format=%s", "HEAD..secondshift/e1").splitlines()
    assert own == "e1: halve the rate" and before == "What was not committed when e1 was judged"
    assert git(place, "diff", "--name-only", "secondshift/e1~", "secondshift/e1").split() == ["train.py"] and made.commit


def test_one_that_was_judged_on_an_accepted_one_begins_at_its_branch(place: Path) -> None:
    first = change_to(place, {"train.py": FASTER})
    ran(place, "c2", first)
    second = change_to(place, {"more.py": "x = 2\n"})
    ran(place, "c3", second, on="c2")
    found = state(first, baseline="c2")
    other = Idea(id="e2", text="shorter", author="kim", state="held up", change=second, candidate="c3", baseline="c2")
    known = {**found.candidates, "c3": Candidate(id="c3", code=f"{first}+{second}", parents=("c2",))}
    both = replace(found, ideas={**found.ideas, "e2": other}, candidates=known)
    made = branches(place, both)
    assert git(place, "rev-parse", "secondshift/e2~").strip() == made["e1"].commit
    assert git(place, "rev-list", "--count", "HEAD..secondshift/e2").strip() == "2"


def test_the_winner_of_a_search_is_one_commit_however_many_changes_it_is_made_of(place: Path) -> None:
    first = change_to(place, {"train.py": FASTER})
    ran(place, "c2", first)
    second = change_to(place, {"more.py": "x = 2\n"})
    ran(place, "c3", second, on="c2")
    found = state(f"{first}+{second}")
    won = replace(found.ideas["e1"], author="search", candidate="c3")
    known = {**found.candidates, "c3": Candidate(id="c3", code=f"{first}+{second}", parents=("c2",))}
    (made,) = branches(place, replace(found, ideas={"e1": won}, candidates=known)).values()
    assert git(place, "rev-list", "HEAD..secondshift/e1").split() == [made.commit]
    assert git(place, "diff", "--name-only", "HEAD", "secondshift/e1").split() == ["more.py", "train.py"]


@pytest.mark.parametrize(("held", "baseline", "wanted"), [
    ("held up", "c1", True), ("undecided", "c2", True), ("undecided", "c1", False), ("refuted", "c1", False),
])  # fmt: skip
def test_what_neither_held_up_nor_was_accepted_gets_none(held: IdeaState, baseline: str, wanted: bool) -> None:
    assert bool(list(branching.due(state("a" * 64, held=held, baseline=baseline)))) is wanted
    canary = replace(state("a" * 64), ideas={"e1": replace(state("a" * 64).ideas["e1"], canary="no-op")})
    assert not list(branching.due(canary))


def test_a_branch_of_that_name_that_is_somebody_elses_is_left_alone_and_said(place: Path) -> None:
    change = change_to(place, {"train.py": FASTER})
    ran(place, "c2", change)
    git(place, "branch", "secondshift/e1")
    before = git(place, "rev-parse", "secondshift/e1")
    (made,) = branches(place, state(change)).values()
    assert "There is a branch secondshift/e1 with other files already" in made.problem and not made.name
    assert git(place, "rev-parse", "secondshift/e1") == before


def test_an_engine_that_died_after_it_made_the_branch_finds_it_again(place: Path) -> None:
    change = change_to(place, {"train.py": FASTER})
    ran(place, "c2", change)
    (first,) = branches(place, state(change)).values()
    (again,) = branches(place, replace(state(change), last_at=1.8e9)).values()
    assert again == first


def test_code_that_is_gone_is_said_once(place: Path) -> None:
    (made,) = branches(place, state(change_to(place, {"train.py": FASTER}))).values()
    assert "is not there any more" in made.problem
    told = facts.Event(seq=1, at=0.0, token=1, kind="change.branched", payload=facts.ChangeBranched(branch=made))
    assert fold(State(), [told]).branches == {"e1": made}


def test_a_baseline_that_a_person_has_merged_runs_on_and_one_that_was_edited_since_does_not(place: Path) -> None:
    change = change_to(place, {"train.py": FASTER})
    commit = ran(place, "c2", change)
    branches(place, state(change))
    git(place, "merge", "-q", "secondshift/e1")
    assert ran(place, "c2", change) == commit
    (place / "train.py").write_text(FASTER.replace("range(3)", "range(4)"))
    with pytest.raises(BaseMoved):
        ran(place, "c2", change)

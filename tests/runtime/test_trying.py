"""What becomes of code ideas: a word against the change itself refuses it, a program that did not answer does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from repositories import TRAIN, patch_of, repository
from secondshift.records import events as facts
from secondshift.records.ideas import Idea, IdeaState
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Candidate, Trial
from secondshift.runtime import changes, trying, workspaces
from secondshift.runtime.repositories import ChangeUnusable, TryLater
from secondshift.runtime.workspaces import BaseMoved

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
    read_only=("eval.py",),
)  # fmt: skip


def idea(number: int, change: str) -> Idea:
    return Idea(id=f"e{number}", text="", author="kim", change=change)


def brought(place: Path, name: str, text: str) -> str:
    return changes.store(place / ".secondshift", place, patch=patch_of(place, {name: text}))


def test_all_newcomers_are_looked_at_at_once_and_a_refusal_that_was_not_recorded_comes_again(tmp_path: Path) -> None:
    place = repository(tmp_path / "study")
    good, bad = brought(place, "train.py", TRAIN.replace("= 1", "= 0.5")), brought(place, "eval.py", "print('loss=0')\n")
    state = State(study=STUDY, ideas={"e1": idea(1, good), "e2": idea(2, bad), "e3": idea(3, bad)})
    examined: set[str] = set()

    def look() -> list[facts.Payload]:
        return trying.newcomers(state, place / ".secondshift", place, examined, {})

    found = look()
    ended = [(fact.idea.id, fact.idea.state) for fact in found if isinstance(fact, facts.IdeaAmended)]
    assert ended == [("e2", "refused"), ("e3", "refused")] and len(examined) == 1
    assert look() == found, "a full disk kept them from being recorded"
    answered = {fact.idea.id: fact.idea for fact in found if isinstance(fact, facts.IdeaAmended)}
    seen = {fact.examination.code: fact.examination for fact in found if isinstance(fact, facts.ChangeExamined)}
    state = replace(state, ideas={**state.ideas, **answered}, examinations=seen)
    assert look() == []


def test_a_newcomer_is_asked_about_again_where_git_did_not_answer_and_refused_after_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise TryLater("git add did not end well.")

    monkeypatch.setattr(workspaces, "made_on", silent)
    state, late = State(study=STUDY, ideas={"e1": idea(1, "0" * 32)}), {}
    found = [trying.newcomers(state, tmp_path, tmp_path, set(), late) for _ in range(trying.MOST_TRIES)]
    assert found[:-1] == [[]] * (trying.MOST_TRIES - 1)
    [fact] = found[-1]
    assert isinstance(fact, facts.IdeaAmended)
    assert (fact.idea.state, fact.idea.answer) == ("refused", "git add did not end well. It was tried 5 times.")
    assert late == {}


def test_what_git_says_of_a_change_is_final_at_once() -> None:
    why, late = ChangeUnusable("It does not apply."), {}
    assert trying.final(why, "t1", late) is why
    assert late == {}


@pytest.mark.parametrize(("verdict", "kept"), [("held up", True), ("refuted", True), ("exploring", False)])
@pytest.mark.parametrize("why", [ChangeUnusable("git failed."), BaseMoved("The code changed.")])
def test_an_idea_keeps_its_verdict_where_its_code_cannot_run_now(
    why: trying.Refusal, verdict: IdeaState, kept: bool
) -> None:
    judged = replace(idea(1, "0" * 32), state=verdict, candidate="c2")
    state = State(
        study=STUDY, ideas={"e1": judged}, baseline="c2", candidates={"c2": Candidate(id="c2", idea="e1", code="0" * 32)},
        trials={"t1": Trial(id="t1", candidate="c2", seed=0)}, open={"t1": True},
    )  # fmt: skip
    stopped, *amended = trying.not_placed(state, "t1", why)
    assert isinstance(stopped, facts.TrialClosed) and (stopped.trial, stopped.status) == ("t1", "stopped")
    assert len(amended) == (0 if kept else 1)


def test_a_change_that_leaves_the_same_program_as_an_older_idea_is_refused_and_names_it(tmp_path: Path) -> None:
    place = repository(tmp_path / "study")
    faster = TRAIN.replace("rate = 1", "rate = 0.5")
    texts = {1: faster, 2: "# how fast\n" + faster.replace("rate = 0.5", "rate  =  .5"), 3: TRAIN + "# done\n",
             4: TRAIN.replace("rate = 1", "rate = 0.25")}  # fmt: skip
    ideas = {f"e{n}": idea(n, brought(place, "train.py", text)) for n, text in texts.items()}
    found = trying.newcomers(State(study=STUDY, ideas=ideas), place / ".secondshift", place, set(), {})
    answers = {fact.idea.id: fact.idea.answer for fact in found if isinstance(fact, facts.IdeaAmended)}
    assert answers == {
        "e2": "refused: it leaves the same program as e1 (open). Bring another change.",
        "e3": "refused: it changes nothing but comments, layout or names of variables. Bring a change that does something.",
    }
    assert [len(fact.examination.likeness.files) for fact in found if isinstance(fact, facts.ChangeExamined)] == [1, 1, 0, 1]


def test_an_older_idea_that_was_judged_is_named_with_its_verdict(tmp_path: Path) -> None:
    place = repository(tmp_path / "study")
    first, again = (brought(place, "train.py", f"{note}{TRAIN.replace('= 1', '= 2')}") for note in ("", "# why not\n"))
    old = replace(idea(1, first), candidate="c2", state="refuted", baseline="c1")
    candidates = {"c1": Candidate(id="c1"), "c2": Candidate(id="c2", code=first, idea="e1")}
    state = State(study=STUDY, ideas={"e1": old}, baseline="c1", candidates=candidates)
    alone = replace(state, ideas={"e1": replace(old, state="open", candidate="")})
    [seen] = trying.newcomers(alone, place / ".secondshift", place, set(), {})
    assert isinstance(seen, facts.ChangeExamined)
    state = replace(state, ideas={"e1": old, "e2": idea(2, again)}, examinations={first: seen.examination})
    _, refused = trying.newcomers(state, place / ".secondshift", place, set(), {})
    assert isinstance(refused, facts.IdeaAmended) and "the same program as e1 (refuted)" in refused.idea.answer
    elsewhere = replace(state, ideas={"e1": replace(old, baseline="c0"), "e2": idea(2, again)})
    found = trying.newcomers(elsewhere, place / ".secondshift", place, set(), {})
    assert not any(isinstance(fact, facts.IdeaAmended) for fact in found), "against another baseline it is another question"

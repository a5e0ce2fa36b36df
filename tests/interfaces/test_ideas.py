"""The inbox from outside: an idea is handed over without an engine, taken in once, told in the brief, and drawn."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.interfaces.brief.branches import branches
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.forest import forest
from secondshift.interfaces.brief.ideas import MOST, ideas
from secondshift.interfaces.brief.render_markdown import render_markdown
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.cli.narration import Narrator
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.ideas import branch_of, inbox, row, statement, story, verdict_row
from secondshift.interfaces.readmodel.overview import upcoming
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.ideas import CodeBranch, Idea, Verdict
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Candidate, Trial
from secondshift.runtime.spool import pending

STUDY = """
command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 3
[search]
lr = { low = 0.01, high = 1.0, log = true, default = 0.1 }
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "secondshift.toml").write_text(STUDY)
    return tmp_path


def test_an_idea_is_captured_without_an_engine_and_shown_as_waiting(study: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ["idea", "a warmer start", "--set", "lr=3e-1", "--why", "it is slow", "--author", "kim", "--study", str(study)]
    assert called(asked) == 0
    (request,) = pending(study / ".secondshift")
    assert request.verb == "idea" and request.args["set.lr"] == 0.3 and request.args["author"] == "kim"
    capsys.readouterr()
    assert called(["ideas", "--json", "--study", str(study)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["ideas"]
    assert (row["state"], row["text"], row["params"]) == ("waiting", "a warmer start", {"lr": 0.3})
    assert called(["ideas", "--lang", "ko", "--study", str(study)]) == 0
    assert "아직 접수 전" in capsys.readouterr().out


def test_python_hands_over_an_idea_as_the_command_line_does(study: Path) -> None:
    import secondshift

    name = secondshift.idea("a warmer start", study=study, lr=0.3, why="it is slow", author="kim")
    (request,) = pending(study / ".secondshift")
    assert request.id == name and request.args == {"text": "a warmer start", "why": "it is slow", "author": "kim", "set.lr": 0.3}


@pytest.mark.parametrize("asked", [["idea"], ["idea", "x", "--set", "lr"], ["idea", "words", "--again"]])
def test_a_mistake_costs_a_sentence_and_nothing_is_put_into_the_spool(
    asked: list[str], study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert called([*asked, "--study", str(study)]) == 2
    assert "xpected" in capsys.readouterr().err and not pending(study / ".secondshift")


def folded(payloads: list[facts.Payload]) -> tuple[State, list[facts.Event]]:
    events = [
        facts.Event(seq=n, at=float(n), token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate(payloads, 1)
    ]
    return fold(State(), events), events


def known(**changes) -> State:
    idea = Idea(id="e1", text="a <b>good</b> trick", author="kim", also=("lee",), candidate="c2", baseline="c1", params={"lr": 0.3})
    verdict = Verdict(
        idea="e1", candidate="c2", baseline="c1", decision="supported", ending="better", pairs=9, effect=0.5, low=0.1, high=0.9,
        log_evidence=6.0,
    )  # fmt: skip
    return State(ideas={"e1": replace(idea, **{"state": "held up", **changes})}, verdicts={"e1": verdict})


@pytest.mark.parametrize(("ending", "state", "word"), [
    ("better", "held up", "HELD UP"), ("worse", "refuted", "DIDN'T"), ("too small", "refuted", "too small"),
    ("no better", "refuted", "not better by what matters"), ("unsettled", "undecided", "UNDECIDED"),
    ("unprotected metric", "undecided", "unprotected metric"), ("same for every seed", "undecided", "the same for every seed"),
    ("more time", "undecided", "take much longer"), ("same number each time", "undecided", "NO VERDICT, the same number each time"),
    ("guard not checked", "undecided", "whether it keeps to mem <= 22"),
    ("breaks a guard", "refuted", "breaks the guard mem <= 22"),
    ("crashes more", "refuted", "no result more often"),
])  # fmt: skip
def test_every_ending_has_its_own_sentence_in_both_languages(ending: str, state: str, word: str) -> None:
    before = known(state=state)
    guard = {"guard": "mem <= 22", "guard_value": 25.0, "guard_runs": 2} if "guard" in ending else {}
    changed = replace(before, verdicts={"e1": replace(before.verdicts["e1"], ending=ending, **guard)})
    said = statement(changed, changed.ideas["e1"])
    assert word in tell(said, "en") and "kim, lee" in tell(said, "en")
    assert any("가" <= letter <= "힣" for letter in tell(said, "ko"))


def test_the_branch_of_an_idea_is_told_and_that_there_is_none() -> None:
    made = CodeBranch(idea="e1", candidate="c2", name="secondshift/e1", commit="0123456789abcdef")
    state = replace(known(candidate="c2"), branches={"e1": made})
    said = branch_of(state, state.ideas["e1"])
    assert said is not None and "branch secondshift/e1 (commit 0123456789)" in tell(said, "en")
    assert "secondshift/e1 브랜치" in tell(said, "ko")
    assert row(state, state.ideas["e1"])["branch"] == {"name": "secondshift/e1", "commit": made.commit, "problem": None}
    failed = replace(state, branches={"e1": replace(made, name="", commit="", problem="a branch is there")})
    said = branch_of(failed, failed.ideas["e1"])
    assert said is not None and "could not be made a branch: a branch is there." in tell(said, "en")
    anew = replace(state, branches={"e1": replace(made, candidate="c9")})
    assert branch_of(anew, anew.ideas["e1"]) is None, "it is of another candidate: the idea was begun anew"
    payload = facts.ChangeBranched(branch=made)
    event = facts.Event(seq=4, at=0.0, token=1, kind="change.branched", payload=payload)
    assert [one.key for one in story([event])] == ["ideas.branch"]


def test_what_breaks_a_guard_is_told_with_value_distance_and_how_often() -> None:
    before = known(state="refuted")
    found = replace(before.verdicts["e1"], ending="breaks a guard", guard="mem <= 22", guard_value=25.5, guard_runs=2, pairs=3)
    said = tell(statement(replace(before, verdicts={"e1": found}), before.ideas["e1"]), "en")
    assert "25.5 in the worst of its runs, 3.5 too high, in 2 of 3 pairs; the baseline breaks it in 0" in said
    row = verdict_row(found)
    assert (row["guard"], row["guard_value"], row["guard_runs"]) == ("mem <= 22", 25.5, 2)


@pytest.mark.parametrize(("state", "pairs", "words"), [
    ("open", 0, "must not win"), ("refuted", 3, "did not win: it failed to"), ("refuted", 0, "did not win: it failed to"),
    ("undecided", 0, "has not failed to win: it failed to"), ("undecided", 3, "has not failed to win: it failed to"),
])  # fmt: skip
def test_a_canary_is_told_by_what_became_of_it_and_not_as_an_idea_that_waits(state: str, pairs: int, words: str) -> None:
    before = known(state=state, canary="no-op", answer="it failed to")
    found = replace(before.verdicts["e1"], ending="unsettled", decision="undecided", pairs=pairs, low=-math.inf, high=math.inf)
    said = statement(replace(before, verdicts={"e1": found}), before.ideas["e1"])
    assert words in tell(said, "en") and "no pair of fresh seeds" not in tell(said, "en") and "--set" not in tell(said, "en")
    assert tell(said, "ko").startswith("카나리아")


@pytest.mark.parametrize(("pairing", "words"), [(4.2, "worth 4.2 times"), (2e29, "worth more than 1000 times")])
def test_what_pairing_gained_is_no_number_of_rounding(pairing: float, words: str) -> None:
    before = known()
    state = replace(before, verdicts={"e1": replace(before.verdicts["e1"], pairing=pairing)})
    said = [tell(one, lang) for lang in ("en", "ko") for one in ideas(Trace(), state) if one.key.startswith("ideas.pairing")]
    assert words in said[0] and "e1" in said[1] and "e+29" not in "".join(said)


def test_words_alone_and_refused_ones_say_what_is_missing() -> None:
    words = Idea(id="e1", text="wider", author="kim", answer="it waits")
    assert "--set" in tell(statement(State(ideas={"e1": words}), words))
    refused = replace(words, state="refused", answer="lrr is not a parameter")
    assert "lrr is not a parameter" in tell(statement(State(ideas={"e1": refused}), refused))


def test_what_was_judged_by_another_objective_is_not_told_as_a_gain_in_this_one() -> None:
    for before in (known(), known(state="refuted")):
        study = Study(name="s", command="c", folder=".", objective=Objective(metric="other"), revision=2, horizon_steps=3)
        changed = replace(before, study=study)
        said = statement(changed, changed.ideas["e1"])
        assert "revision 1" in tell(said, "en") and "other" not in tell(said, "en") and "리비전 1" in tell(said, "ko")
        assert branches(before) and not branches(changed)


def test_where_no_run_came_to_a_result_the_brief_says_so() -> None:
    before = known(state="undecided")
    verdict = replace(before.verdicts["e1"], ending="unsettled", crashed=9, baseline_crashed=9)
    said = statement(replace(before, verdicts={"e1": verdict}), before.ideas["e1"])
    assert "neither its runs nor the baseline's" in tell(said, "en") and "결과를 내지 못했습니다" in tell(said, "ko")


def test_a_brief_of_very_many_ideas_counts_those_that_it_does_not_tell() -> None:
    many = [facts.IdeaCaptured(idea=Idea(id=f"e{n}", text=f"idea {n}", author="kim"), decision="d1") for n in range(1, 31)]
    state, events = folded(many)
    page = compose(state, events, Objective(metric="loss"), "s1", written_at=0.0)
    (section,) = [s for s in page.sections if s.key == "section.ideas"]
    assert len(section.statements) == MOST + 1 and f"{30 - MOST} more ideas" in tell(section.statements[-1], "en")


def test_the_brief_has_a_section_whose_sentences_stand_on_facts_and_a_plot_that_is_read_aloud() -> None:
    before = known()
    idea, verdict = before.ideas["e1"], before.verdicts["e1"]
    state, events = folded([
        facts.IdeaCaptured(idea=replace(idea, state="open"), decision="d1"), facts.VerdictReached(verdict=verdict),
        facts.IdeaAmended(idea=idea, why="it holds up"),
    ])  # fmt: skip
    page = compose(state, events, Objective(metric="loss"), "s1", written_at=0.0)
    (section,) = [s for s in page.sections if s.key == "section.ideas"]
    assert section.statements[0].facts == (1, 2, 3)
    assert "HELD UP" in render_markdown(page, "en")
    drawn = forest(branches(state), "loss", 0.2, "en")
    assert "1 held up" in drawn and "<b>" not in drawn and drawn.startswith("<svg")
    assert [s.key for s in story(events)] == ["ideas.story_captured", "ideas.story_verdict", "ideas.story_amended"]
    assert inbox(state)[0]["verdict"]["effect"] == 0.5


def test_the_terminal_hears_of_ideas_and_of_fresh_seeds(capsys: pytest.CaptureFixture) -> None:
    state = known()
    trial = Trial(id="t7", candidate="c2", seed=1, pair=4, steps_done=3)
    state = replace(state, trials={"t7": trial}, candidates={"c2": Candidate(id="c2", params={"lr": 0.3})})
    told: list[facts.Payload] = [
        facts.IdeaAmended(idea=state.ideas["e1"], why=""), facts.AttemptStarted(attempt="t7.a1", supervisor=1, pid=2),
        facts.AttemptStarted(attempt="t7.a2", supervisor=1, pid=3), facts.BaselineMoved(candidate="c2", why="", idea="e1"),
    ]  # fmt: skip
    events = [facts.Event(seq=n, at=0.0, token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate(told, 1)]
    Narrator("en")(state, events)
    held, fresh, again, moved = capsys.readouterr().out.splitlines()
    assert "HELD UP" in held and "fresh seed 5" in fresh and "goes on from step 3" in again and "baseline now" in moved


def test_a_canary_is_told_of_when_it_comes_and_when_it_ends_and_a_refusal_without_the_difference_it_is_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    canary = Idea(id="e2", text="must not win", author="canary", canary="metric")
    made = replace(canary, change="0" * 32, answer="made")
    over = replace(made, state="refused", answer="refused: it changes eval.py\ndiff --git a/eval.py b/eval.py\n+cheat")
    came: list[facts.Payload] = [facts.IdeaCaptured(idea=canary, decision="d1")]
    told = [*came, *(facts.IdeaAmended(idea=one, why="") for one in (made, over))]
    events = [facts.Event(seq=n, at=0.0, token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate(told, 1)]
    Narrator("en")(known(), events)
    first, ended = capsys.readouterr().out.splitlines()
    assert "CANARY: e2" in first and "REFUSED: e2" in ended and "it changes eval.py." in ended and "diff" not in ended


def test_status_says_which_ideas_are_being_judged() -> None:
    said = [tell(line) for line in upcoming(known(state="exploring"), requests=0, now=0.0)]
    assert any("1 idea is being judged on fresh seeds: e1" in line for line in said)
    assert not any("judged" in tell(line) for line in upcoming(known(), requests=0, now=0.0))


def test_the_brief_says_which_verdicts_are_about_an_earlier_baseline() -> None:
    state = known()
    moved = replace(state, baseline="c9", candidates={"c9": Candidate(id="c9", params={"lr": 1.0})})
    assert [s.key for s in ideas(Trace(), moved)][-1] == "ideas.former_baseline"
    first = replace(moved, baseline="c1", candidates={"c1": Candidate(id="c1")})
    assert "ideas.former_baseline" not in [s.key for s in ideas(Trace(), first)]
    accepted = replace(moved, baseline="c2", candidates={"c2": Candidate(id="c2")})
    assert "ideas.former_baseline" not in [s.key for s in ideas(Trace(), accepted)]


def test_an_interval_without_an_end_runs_out_of_the_frame() -> None:
    state = known()
    wide = replace(state.verdicts["e1"], low=float("-inf"), high=float("inf"))
    assert "inf" not in forest(branches(replace(state, verdicts={"e1": wide})), "loss", 0.0, "ko")
    assert forest((), "loss", 0.0, "en") == ""

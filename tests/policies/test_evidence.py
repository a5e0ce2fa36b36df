"""Ideas on simulated nights: what is real holds up, what is nothing does not, and nothing is confirmed by what chose it."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import plugins
from secondshift.ledger.fold import fold
from secondshift.policies.evidence import accepting, foresight, inbox, levels, pairing, verdicts
from secondshift.records import events as facts
from secondshift.records.ideas import CONFIRM_SEED, Idea
from secondshift.records.inheritances import Inheritance
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study
from secondshift.records.trials import Trial
from secondshift.standing import requested
from secondshift.testing.simulated_nights import Night, play

AXES = (
    Parameter(name="lr", kind="float", low=1e-4, high=1.0, log=True, default=0.01),
    Parameter(name="width", kind="int", low=8, high=256, default=32),
    Parameter(name="trick", kind="categorical", choices=("none", "good", "bad", "noop"), default="none"),
)
STUDY = Study(
    name="night", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=10,
    space=Space(parameters=AXES), budget=Budget(trials=3), policy=Policy(searcher="random", scheduler="fifo"),
    launch=Launch(slots=2),
)  # fmt: skip
GAIN = {"good": -2.0, "bad": 2.0}


def ask(number: int, text: str = "", who: str = "kim", **args) -> facts.RequestReceived:
    return facts.RequestReceived(id=f"r{number}", verb="idea", who=who, args={"text": text, **args}, asked_at=float(number))


def seeds(trial: Trial, step: int) -> float:
    """What a seed adds: normal, the same at every step, of its own for each candidate."""
    number = int(trial.candidate.removeprefix("c"))
    return float(np.random.default_rng([trial.seed, number]).normal())


def night(
    *asked: facts.RequestReceived, study: Study = STUDY, noise: Callable[[Trial, int], float] = seeds, **more
) -> Night:
    stages = [decide for _, decide in (*plugins.observers(study), ("requests", requested), *plugins.deciders(study))]
    more.setdefault("curve", lambda params, step: 5.0 + GAIN.get(str(params.get("trick")), 0.0))
    return play(study, stages, noise=noise, requests=asked, ticks=3000, **more)


def test_an_idea_that_helps_holds_up_and_one_that_harms_is_refuted_and_one_that_does_nothing_is_undecided() -> None:
    played = night(
        ask(1, "a good trick", **{"set.trick": "good"}), ask(2, "a bad trick", **{"set.trick": "bad"}),
        ask(3, "a no-op", **{"set.trick": "noop"}),
    )  # fmt: skip
    ideas, found = played.state.ideas, played.state.verdicts
    assert [idea.state for idea in ideas.values()] == ["held up", "refuted", "undecided"]
    assert found["e1"].low > 0.0 and found["e1"].effect == pytest.approx(2.0, abs=1.0)
    assert found["e2"].high < 0.0 and found["e2"].ending == "worse"
    assert found["e3"].low < 0.0 < found["e3"].high and "needs ~" in ideas["e3"].answer
    assert "3 complete" in played.reason


def test_only_fresh_seeds_confirm_and_both_of_a_pair_have_the_same() -> None:
    played = night(ask(1, "a good trick", **{"set.trick": "good"}))
    state = played.state
    fresh = {name: state.trials[name] for name in state.pairs.values()}
    searched = [trial for trial in state.trials.values() if trial.pair < 0]
    assert len(searched) == 3 and {trial.seed for trial in searched} == {0}
    assert fresh and all(trial.seed == CONFIRM_SEED + trial.pair for trial in fresh.values())
    assert state.baseline != state.ideas["e1"].candidate
    for pair in range(state.verdicts["e1"].pairs):
        assert {f"{state.baseline}/{pair}", f"{state.ideas['e1'].candidate}/{pair}"} <= set(state.pairs)


def test_an_idea_that_came_later_is_not_judged_on_baseline_runs_of_before() -> None:
    first = night(ask(1, "a good trick", **{"set.trick": "good"}))
    run = first.state.next_pair
    second = night(ask(2, "a no-op", **{"set.trick": "noop"}), before=first.state)
    assert second.state.ideas["e2"].first_pair == run > 0
    assert f"{second.state.ideas['e2'].candidate}/{run - 1}" not in second.state.pairs
    assert second.state.verdicts["e2"].pairs > 0, "a search that is over ends no shift in which an idea has just come in"


@pytest.mark.parametrize("scheduler", ["fifo", "halving"])
def test_a_shift_whose_search_is_over_already_judges_the_idea_that_was_handed_over(scheduler: str) -> None:
    study = replace(STUDY, policy=replace(STUDY.policy, scheduler=scheduler))
    over = night(study=study)
    played = night(ask(1, "a good trick", **{"set.trick": "good"}), study=study, before=over.state)
    assert over.reason and played.state.ideas["e1"].state == "held up"


def test_a_crash_is_an_outcome_and_help_is_one_too() -> None:
    state = night(ask(1, "a good trick", **{"set.trick": "good"})).state
    idea = replace(state.ideas["e1"], state="exploring")
    name = state.pairs[f"{idea.candidate}/0"]
    for change in ({"status": "failed"}, {"assisted": True}, {"inherits": Inheritance(trial="t1", step=5)}):
        trials = {**state.trials, name: replace(state.trials[name], **change)}
        changed = pairing.pairs_of(replace(state, trials=trials), idea)
        assert changed.crashed == 1 and changed.candidate[0] == math.inf and changed.void == 0
    trials = {**state.trials, name: replace(state.trials[name], status="stopped")}
    stopped = pairing.pairs_of(replace(state, trials=trials), idea)
    assert stopped.void == 1 and stopped.crashed == 0


def test_nothing_counts_after_the_first_pair_that_is_not_finished() -> None:
    state = night(ask(1, "a good trick", **{"set.trick": "good"})).state
    idea = replace(state.ideas["e1"], state="exploring")
    name = state.pairs[f"{idea.candidate}/1"]
    late = replace(state, trials={**state.trials, name: replace(state.trials[name], status="paused")})
    assert len(pairing.pairs_of(state, idea).candidate) > 1 == len(pairing.pairs_of(late, idea).candidate)


def test_what_a_candidate_that_often_crashes_reaches_otherwise_does_not_hold_it_up() -> None:
    def broken(trial: Trial, step: int) -> str:
        return "crash" if trial.pair >= 0 and trial.candidate != "c1" and trial.pair % 2 else ""

    played = night(ask(1, "a good trick", **{"set.trick": "good"}), mishap=broken)
    verdict = played.state.verdicts["e1"]
    assert played.state.ideas["e1"].state == "refuted" and verdict.ending == "crashes more"
    assert verdict.crashed >= 6 and verdict.baseline_crashed == 0


def test_a_real_gain_below_the_least_that_matters_has_its_own_name() -> None:
    study = replace(STUDY, objective=Objective(metric="loss", min_effect=4.0))
    played = night(ask(1, "a good trick", **{"set.trick": "good"}), study=study)
    verdict = played.state.verdicts["e1"]
    assert played.state.ideas["e1"].state == "refuted"
    assert verdict.ending in ("too small", "no better") and verdict.high < 4.0


def test_the_same_idea_twice_stands_once_with_both_authors_and_words_without_a_change_wait() -> None:
    played = night(
        ask(1, "Wider layers"), ask(2, "wider   LAYERS!", who="lee"), ask(6, "wide layers", who="han"),
        ask(3, "two", **{"set.width": 64}), ask(7, "deeper layers", who="cho"),
    )  # fmt: skip
    again = night(ask(4, "other words", who="lee", **{"set.width": 64}), before=played.state)
    ideas = again.state.ideas
    assert len(ideas) == 3 and ideas["e2"].also == ("lee",) and ideas["e1"].also == ("lee", "han")
    assert ideas["e1"].state == "open" and "--set" in ideas["e1"].answer
    changed = night(ask(5, idea="e1", **{"set.width": 128}), before=again.state)
    assert changed.state.ideas["e1"].candidate and changed.state.ideas["e1"].first_pair > 0


@pytest.mark.parametrize(("one", "other", "same"), [
    ("Wider layers", "wide LAYER!", True), ("학습률을 올리기", "학습률 올리기", True), ("🎉", "🎉", True),
    ("increase the learning rate a little", "decrease the learning rate a little", False),
    ("train it with dropout", "train it without dropout", False), ("dropout 0.1", "dropout 0.3", False),
    ("64 heads", "640 heads", False), ("use L1", "use L12", False), ("🎉", "🚀", False),
    ("학습률을 조금 더 올려 보기", "학습률을 조금 더 내려 보기", False),
])  # fmt: skip
def test_almost_the_same_words_are_one_idea_and_opposites_and_other_numbers_are_not(one: str, other: str, same: bool) -> None:
    assert inbox.alike(one, other) is inbox.alike(other, one) is same


def test_two_very_long_ideas_are_told_apart_at_once() -> None:
    words = [str(np.random.default_rng(n).integers(10**9)) for n in range(2000)]
    began = time.perf_counter()
    assert not inbox.alike(" ".join(words * 20), " ".join([*(words * 20)[:-1], "last"]))
    assert time.perf_counter() - began < 2.0  # letter by letter it takes hours


def test_where_nothing_comes_to_a_result_it_says_so_and_not_that_the_effect_is_small() -> None:
    played = night(ask(1, "noop", **{"set.trick": "noop"}), noise=lambda trial, step: math.nan)
    idea, found = played.state.ideas["e1"], played.state.verdicts["e1"]
    assert idea.state == "undecided" and found.neither() and "neither its runs nor the baseline's" in idea.answer


def test_what_held_up_by_another_objective_is_accepted_only_with_a_reason() -> None:
    state = revised(night(ask(1, "a good trick", **{"set.trick": "good"})).state)
    assert state.ideas["e1"].state == "held up"
    plain = facts.RequestReceived(id="r8", verb="accept", who="kim", args={"idea": "e1"}, asked_at=8.0)
    (refused,) = accepting.decide(replace(state, requests={"r8": plain}))
    assert "held up at revision 1 of the study, which is now at 2" in refused.refused
    insisting = replace(plain, args={"idea": "e1", "because": "it is the same data"})
    (taken,) = accepting.decide(replace(state, requests={"r8": insisting}))
    assert not taken.refused and taken.because == "it is the same data" and "revision 1" in taken.reason


def test_an_idea_asked_again_is_one_of_the_present_revision() -> None:
    state = revised(night(ask(1, "a bad trick", **{"set.trick": "bad"})).state)
    asked = replace(ask(9, idea="e1"), args={"idea": "e1", "again": True})
    (decision,) = inbox.decide(replace(state, requests={"r9": asked}))
    assert decision.ideas[0].revision == 2 and decision.ideas[0].state == "open"


def test_an_idea_that_cannot_be_tried_is_refused_with_what_was_expected() -> None:
    played = night(
        ask(1, "x", **{"set.lrr": 0.1}), ask(2, "y", **{"set.width": "wide"}), ask(3, "z", **{"set.trick": "god"}),
    )  # fmt: skip
    one, two, three = played.state.ideas.values()
    assert one.state == two.state == three.state == "refused" and "one of its choices: none, good" in three.answer
    assert "lrr is not a parameter" in one.answer and "not a number" in two.answer


def test_an_idea_that_changes_nothing_of_the_baseline_is_refused() -> None:
    (idea,) = night(ask(1, "as it is", **{"set.trick": "none"})).state.ideas.values()
    assert idea.state == "refused" and "changes nothing" in idea.answer


def test_an_accepted_baseline_begins_pending_comparisons_anew() -> None:
    state = night(ask(1, "noop", **{"set.trick": "noop"})).state
    moved = facts.BaselineMoved(candidate="c2", why="accepted", idea="e9", who="kim")
    event = facts.Event(seq=state.last_seq + 1, at=state.last_at, token=1, kind="baseline.moved", payload=moved)
    after = fold(state, [event])
    idea = after.ideas["e1"]
    assert (idea.state, idea.candidate, idea.first_pair) == ("open", "", state.next_pair)
    assert "e1" not in after.verdicts and "does not count" in idea.answer


def test_a_comparison_that_begins_anew_takes_a_share_of_its_own() -> None:
    first = night(ask(1, "noop", **{"set.trick": "noop"}), ask(2, "words"), ask(3, "wide", **{"set.width": 64}))
    assert [idea.rank for idea in first.state.ideas.values()] == [1, 0, 2]  # words alone spend nothing
    again = night(study=replace(STUDY, revision=2, horizon_steps=9), before=revised(first.state))
    assert [idea.rank for idea in again.state.ideas.values()] == [3, 0, 4]
    assert levels.level(again.state.ideas, "e1") == pytest.approx(levels.ALPHA * levels.share(3))


def revised(state: State) -> State:
    opened = facts.StudyOpened(study=replace(STUDY, revision=2, horizon_steps=9))
    return fold(state, [facts.Event(seq=state.last_seq + 1, at=state.last_at, token=1, kind="study.opened", payload=opened)])


def test_shares_of_the_error_budget_add_up_to_it_and_what_held_up_passes_its_share_on() -> None:
    total = sum(levels.share(n) for n in range(1, 20001))
    assert 0.999 < total <= 1.0
    ideas = {f"e{n}": Idea(id=f"e{n}", text="", author="", rank=n) for n in range(1, 6)}
    before = levels.level(ideas, "e3")
    ideas["e2"] = replace(ideas["e2"], state="held up")
    assert levels.level(ideas, "e3") == pytest.approx(before + levels.ALPHA * levels.share(2))
    ideas["e1"] = replace(ideas["e1"], state="held up")
    passed = before + levels.ALPHA * (levels.share(2) + levels.share(1))
    assert levels.level(ideas, "e3") == pytest.approx(min(levels.MOST, passed))


@given(states=st.lists(st.booleans(), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_held_up_the_levels_of_the_others_never_add_up_to_more_than_the_budget(states: list[bool]) -> None:
    ideas = {
        f"e{n}": Idea(id=f"e{n}", text="", author="", rank=n, state="held up" if up else "open") for n, up in enumerate(states, 1)
    }
    assert sum(levels.level(ideas, name) for name, idea in ideas.items() if idea.state != "held up") <= levels.ALPHA + 1e-12


def test_a_code_candidate_whose_metric_nobody_else_measured_does_not_hold_up() -> None:
    state = night(ask(1, "a good trick", **{"set.trick": "good"})).state
    idea = replace(state.ideas["e1"], state="exploring", change="abc")
    found = verdicts.verdict(state, idea, pairing.pairs_of(state, idea))
    assert (found.decision, found.ending) == ("undecided", "unprotected metric")


def test_the_best_of_a_search_is_nominated_where_the_study_says_so_and_judged_on_fresh_seeds_only() -> None:
    study = replace(STUDY, policy=replace(STUDY.policy, nominate=True), budget=Budget(trials=4))
    played = night(study=study)
    (idea,) = played.state.ideas.values()
    best = next(t for t in played.state.trials.values() if t.candidate == idea.candidate)
    assert idea.author == "search" and best.pair < 0 and best.id in idea.text and played.reason
    assert played.state.verdicts["e1"].pairs > 0 and all(played.state.trials[n].pair >= 0 for n in played.state.pairs.values())
    assert not night(study=replace(study, policy=STUDY.policy)).state.ideas


def test_a_trial_of_the_search_is_asked_about_by_its_name() -> None:
    first = night()
    played = night(ask(1, trial="t2"), before=first.state)
    (idea,) = played.state.ideas.values()
    assert idea.candidate == first.state.trials["t2"].candidate and idea.text == "what t2 ran with"


def test_an_idea_about_a_trial_that_is_not_there_is_not_lost_but_refused_with_the_reason() -> None:
    played = night(ask(1, "was it luck?", trial="p2"), ask(2, trial="t99"))
    assert [idea.state for idea in played.state.ideas.values()] == ["refused", "refused"]
    assert [idea.text for idea in played.state.ideas.values()] == ["was it luck?", "what t99 ran with"]
    assert "no trial p2 of the search" in played.state.ideas["e1"].answer


def test_what_the_budget_cannot_pay_for_is_parked_with_its_price_and_the_shift_ends() -> None:
    study = replace(STUDY, budget=Budget(trials=3, device_s=90.0))
    played = night(ask(1, "no-op", **{"set.trick": "noop"}), study=study)
    assert played.reason and played.state.ideas["e1"].state == "undecided"
    assert played.state.spend.settled_device_s <= 90.0


def test_without_a_baseline_an_idea_says_so_and_keeps_no_shift_open() -> None:
    bare = replace(STUDY, tier="opaque", offered="opaque", space=Space(parameters=(replace(AXES[0], default=None),)))
    played = night(ask(1, "faster", **{"set.lr": 0.5}), study=bare)
    assert played.reason and "nothing to judge it against" in played.state.ideas["e1"].answer


def test_what_time_can_settle_grows_with_the_time_and_with_the_effect_and_says_nothing_without_a_cost() -> None:
    assert foresight.reaches(State(study=STUDY), 3600.0) == ()
    state = night(ask(1, "a good trick", **{"set.trick": "good"})).state
    few, many = foresight.reaches(state, 1000.0), foresight.reaches(state, 10_000.0)
    assert [r.effect for r in few] == [2.0, 1.0, 0.5]
    assert few[0].ideas > few[1].ideas >= few[2].ideas and few[0].pairs < few[1].pairs < few[2].pairs
    assert all(later.ideas >= sooner.ideas for sooner, later in zip(few, many, strict=True)) and many[0].ideas > few[0].ideas


def test_nothing_is_decided_where_there_are_no_ideas() -> None:
    assert not list(inbox.decide(State(study=STUDY))) and not verdicts.decide(State(study=STUDY))

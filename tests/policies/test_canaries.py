"""Canaries fly before any change of an agent is tried; unless all fail to win, no such change is tried or holds up."""

import math
from dataclasses import replace

import pytest

from secondshift.policies.evidence import canaries, racing, verdicts
from secondshift.policies.evidence.pairing import Pairs
from secondshift.records.agent_calls import AgentCall
from secondshift.records.examinations import Examination, Likeness
from secondshift.records.ideas import Canary, Idea, Verdict
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Candidate

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=5,
    evaluate=("python", "eval.py", "{artefact}"), tier="cooperative",
)  # fmt: skip
AGENTS = Idea(id="e1", text="wider", author="kim", change="a" * 32)
CALL = AgentCall(id="call-1", idea="e1", ending="changed", change="a" * 32)
KINDS: tuple[Canary, ...] = ("no-op", "constant", "metric")


def canary(number: int, kind: Canary, **changes: object) -> Idea:
    made = Idea(id=f"e{number}", text=kind, author="canary", canary=kind, change=f"{number}" * 32)
    return replace(made, **changes)


def state(*ideas: Idea, found: dict[str, Verdict] | None = None) -> State:
    known = {idea.id: idea for idea in (AGENTS, *ideas)}
    candidates = {"c1": Candidate(id="c1"), **{i.candidate: Candidate(id=i.candidate) for i in ideas if i.candidate}}
    return State(
        study=STUDY, shift=Shift(id="s1", started_at=0.0, slots=2), ideas=known, calls={"call-1": CALL}, baseline="c1",
        candidates=candidates, verdicts=found or {}, free_devices=("cpu-0", "cpu-1"),
    )  # fmt: skip


FAILED = (
    canary(2, "no-op", state="refuted", candidate="c2"), canary(3, "constant", state="refuted", candidate="c3"),
    canary(4, "metric", state="refused"),
)  # fmt: skip


def test_all_three_are_sent_up_once_an_agent_was_called_and_never_twice() -> None:
    sent = [one.ideas[0].canary for one in canaries.decide(state()) if one.verb == "capture"]
    assert sent == list(KINDS)
    flying = [canary(n, kind) for n, kind in enumerate(KINDS, start=2)]
    assert not canaries.decide(state(*flying))
    people = replace(state(), calls={})
    assert not canaries.decide(people), "people's changes need none"


def test_an_agents_change_waits_for_them_and_a_persons_does_not() -> None:
    flying = [canary(n, kind, state="exploring", candidate=f"c{n}", baseline="c1") for n, kind in enumerate(KINDS, start=2)]
    begun = [d.subject for d in racing.decide(state(*flying[:2], FAILED[2])) if d.verb == "explore"]
    assert begun == []
    theirs = Idea(id="e9", text="mine", author="kim", change="9" * 32)
    begun = [d.subject for d in racing.decide(state(*flying[:2], FAILED[2], theirs)) if d.verb == "explore"]
    assert begun == ["e9"]
    begun = [d.subject for d in racing.decide(state(*FAILED)) if d.verb == "explore"]
    assert begun == ["e1"], "all failed to win"


def test_an_agents_change_cannot_hold_up_before_they_failed_to_win() -> None:
    better = Pairs(candidate=(0.0,) * 40, baseline=tuple(1.0 + n / 100 for n in range(40)))
    idea = replace(AGENTS, state="exploring", candidate="c9", baseline="c1", rank=1)
    flying = state(canary(2, "no-op", state="exploring", candidate="c2"), *FAILED[1:])
    flying = replace(flying, ideas={**flying.ideas, "e1": idea})
    assert verdicts.verdict(flying, idea, better).ending == "unsettled"
    cleared = replace(flying, ideas={**state(*FAILED).ideas, "e1": idea})
    assert verdicts.verdict(cleared, idea, better).ending != "unsettled"


def test_what_a_search_nominates_is_an_agents_if_its_code_is() -> None:
    nominated = Idea(id="e1", text="the best", author="search", candidate="c7")
    known = replace(state(), ideas={"e1": nominated}, candidates={"c7": Candidate(id="c7", code="b" * 32 + "+" + "a" * 32)})
    assert canaries.agent_made(known, nominated)
    assert not canaries.agent_made(replace(known, calls={}), nominated)


@pytest.mark.parametrize(
    ("kind", "pairs", "effect", "over"),
    [
        ("no-op", 2, 0.0, False), ("no-op", 3, 0.0, True), ("no-op", 3, -0.1, True), ("no-op", 3, 0.1, False),
        ("constant", 1, -math.inf, True), ("constant", 1, 0.5, False),
    ],
)  # fmt: skip
def test_one_that_looks_no_better_after_a_few_pairs_failed_and_one_that_does_goes_on(
    kind: Canary, pairs: int, effect: float, over: bool
) -> None:
    idea = canary(8, kind, state="exploring", candidate="c8", baseline="c1")
    found = Verdict(idea="e8", candidate="c8", baseline="c1", decision="undecided", pairs=pairs, effect=effect)
    rest = [one for one in FAILED if one.canary != kind]
    made = canaries.decide(state(idea, *rest, found={"e8": found}))
    assert [d.ideas[0].state for d in made] == (["refuted"] if over else [])


@pytest.mark.parametrize(
    "winner",
    [canary(2, "no-op", state="held up", candidate="c2"), canary(4, "metric", state="open"),
     canary(4, "metric", state="undecided")],
    ids=["it held up", "it was let through", "it was let through before"],
)  # fmt: skip
def test_if_one_wins_every_change_of_an_agent_is_refused_with_the_reason(winner: Idea) -> None:
    rest = [one for one in FAILED if one.canary != winner.canary]
    known = state(winner, *rest)
    if winner.canary == "metric":
        code = Examination(code=winner.change, likeness=Likeness())
        known = replace(known, examinations={winner.change: code})
    made = {d.subject: d.ideas[0] for d in canaries.decide(known)}
    assert made["e1"].state == "refused"
    assert f"the canary {winner.canary} was not turned away" in made["e1"].answer


def test_one_that_was_kept_from_holding_up_failed_and_one_that_came_to_no_end_withholds() -> None:
    kept = Verdict(idea="e3", candidate="c3", baseline="c1", decision="undecided", ending="unprotected metric", pairs=6, effect=1.0)
    constant = canary(3, "constant", state="undecided", candidate="c3")
    assert canaries.cleared(state(FAILED[0], constant, FAILED[2], found={"e3": kept}))
    parked = replace(kept, ending="unsettled")
    known = state(FAILED[0], constant, FAILED[2], found={"e3": parked})
    assert not canaries.cleared(known)
    assert {d.subject: d.ideas[0].state for d in canaries.decide(known)} == {"e1": "undecided"}
    assert not canaries.decide(replace(known, ending="the deadline is reached")), "the next shift goes on with them"


def test_a_no_op_that_crashes_where_the_baseline_does_not_says_that_every_change_would() -> None:
    idea = canary(2, "no-op", state="exploring", candidate="c2", baseline="c1")
    found = Verdict(idea="e2", candidate="c2", baseline="c1", decision="undecided", pairs=1, effect=-math.inf, crashed=1)
    made = canaries.decide(state(idea, *FAILED[1:], found={"e2": found}))
    assert made[0].ideas[0].state == "undecided" and "sandbox" in made[0].ideas[0].answer
    again = replace(idea, answer=canaries.REVIVED)
    made = canaries.decide(state(again, *FAILED[1:], found={"e2": found}))
    assert (made[0].ideas[0].state, made[0].ideas[0].candidate) == ("open", ""), "the next shift flies it anew"


def test_without_anything_that_measures_there_is_nothing_to_edit() -> None:
    bare = replace(state(), study=replace(STUDY, evaluate=()))
    assert set(canaries.flown(bare)) == {"no-op", "constant"}

"""Code ideas count by what the study's evaluator says of both sides, and what looks unlike other runs does not hold up."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from secondshift.ledger.fold import fold
from secondshift.policies.evidence import honesty, pairing, verdicts
from secondshift.records import events as facts
from secondshift.records.evaluations import Evaluation
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Candidate, Exit, Summary, Trial

STUDY = Study(
    name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=5, evaluate=("python", "eval.py"),
)  # fmt: skip
IDEA = Idea(id="e1", text="code", author="kim", state="exploring", change="d" * 32, candidate="c2", baseline="c1")


def trial(candidate: str, pair: int, *, said: float = 0.0, **changes: Any) -> Trial:
    made = Trial(
        id=f"{candidate}p{pair}", candidate=candidate, seed=pair, pair=pair, status="complete", device_s=1.0,
        metrics={"loss": Summary(points=1, last=said)},
    )  # fmt: skip
    return replace(made, **changes)


def evaluation(candidate: str, pair: int, value: float, **changes: Any) -> Evaluation:
    made = Evaluation(trial=f"{candidate}p{pair}", value=value, artefact=f"{candidate}-{pair}", confined=True)
    return replace(made, **changes)


Changes = Mapping[str, Any] | None


def state(
    ours: list[float], theirs: list[float], *, study: Study = STUDY, of_trial: list[Trial] | None = None,
    of_ours: Changes = None, of_theirs: Changes = None,
) -> State:  # fmt: skip
    """Pairs with these judged values; the changes are for one trial, one side's evaluations."""
    trials = {t.id: t for n in range(len(ours)) for t in (trial("c2", n), trial("c1", n, said=9.0))}
    trials.update({t.id: t for t in of_trial or ()})
    found = [evaluation("c2", n, v, **(of_ours or {})) for n, v in enumerate(ours)]
    found += [evaluation("c1", n, v, **(of_theirs or {})) for n, v in enumerate(theirs)]
    return State(
        study=study, ideas={"e1": IDEA}, next_pair=len(ours), baseline="c1", trials=trials,
        candidates={"c1": Candidate(id="c1"), "c2": Candidate(id="c2", idea="e1", code=IDEA.change)},
        pairs={f"{t.candidate}/{t.pair}": t.id for t in trials.values()}, evaluations={e.trial: e for e in found},
    )  # fmt: skip


def test_what_a_process_says_of_itself_counts_nowhere() -> None:
    found = pairing.pairs_of(state([3.0, 4.0], [1.0, 2.0]), IDEA)
    assert (found.candidate, found.baseline) == ((3.0, 4.0), (1.0, 2.0))


def test_a_pair_waits_for_its_evaluations() -> None:
    whole = state([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    left = {k: v for k, v in whole.evaluations.items() if k != "c1p1"}
    waiting = replace(whole, evaluations=left)
    assert len(pairing.pairs_of(waiting, IDEA).candidate) == 1
    assert [t.id for t in waiting.to_evaluate()] == ["c1p1"]
    assert not replace(waiting, study=replace(STUDY, evaluate=())).to_evaluate()


def test_a_candidate_without_a_judged_result_counts_as_worst_and_a_baseline_without_one_voids_the_pair() -> None:
    for broken in (math.nan, math.inf):
        worst = pairing.pairs_of(state([broken], [1.0], of_ours={"problem": "not finite"}), IDEA)
        assert (worst.crashed, worst.void) == (1, 0)
        void = pairing.pairs_of(state([1.0], [broken], of_theirs={"problem": "not finite"}), IDEA)
        assert (void.crashed, void.void, void.candidate) == (0, 1, ())
    failed = pairing.pairs_of(state([1.0], [1.0], of_trial=[trial("c1", 0, status="failed")]), IDEA)
    assert failed.void == 1


def test_nothing_is_concluded_where_the_evaluator_itself_is_in_doubt() -> None:
    found = pairing.pairs_of(state([math.nan], [1.0], of_ours={"problem": "void: evaluator changed"}), IDEA)
    assert (found.void, found.crashed) == (1, 0)


def test_a_candidate_that_overran_counts_as_worst() -> None:
    assert pairing.pairs_of(state([0.0], [1.0], of_trial=[trial("c2", 0, overran=True)]), IDEA).crashed == 1


OURS, THEIRS = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.04], [4.0, 4.1, 3.9, 4.2, 3.8, 4.15, 3.85, 4.3,
                                                                                     3.7, 4.25, 3.75, 4.05]  # fmt: skip


def ending(found: State) -> str:
    return verdicts.verdict(found, IDEA, pairing.pairs_of(found, IDEA)).ending


def test_an_honest_one_that_is_better_holds_up() -> None:
    assert honesty.reservation(state(OURS, THEIRS), IDEA) == ""
    assert ending(state(OURS, THEIRS)) == "better"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (state(OURS, THEIRS, study=replace(STUDY, evaluate=())), "unprotected metric"),
        (state(OURS, THEIRS, of_ours={"confined": False}), "unprotected metric"),
        (state(OURS, THEIRS, of_ours={"artefact": "one"}), "same for every seed"),
        (state([1.0] * 12, THEIRS), "same for every seed"),
        (state(OURS, THEIRS, of_trial=[trial("c2", n, device_s=3.0) for n in range(12)]), "more time"),
    ],
)
def test_one_that_looks_better_for_another_reason_is_undecided(found: State, said: str) -> None:
    assert honesty.reservation(found, IDEA) == said
    if found.study is not None and found.study.evaluate:
        assert ending(found) == said


@pytest.mark.parametrize(
    "found",
    [
        state(OURS, THEIRS, of_theirs={"confined": False}),  # the baseline is not code
        state([1.0] * 12, [4.0, 4.0, *THEIRS[2:]]),  # a coarse metric: the baseline repeats itself too
        state(OURS, THEIRS, of_ours={"artefact": "one"}, of_theirs={"artefact": "two"}),  # nothing depends on the seed
        state(OURS, THEIRS, of_trial=[trial("c2", n, device_s=1.4) for n in range(12)]),
        state(OURS, THEIRS, of_trial=[trial("c2", n, device_s=1.9) for n in range(12)]),  # twice as long, but not a second
    ],
)
def test_their_honest_twins_are_not_held_back(found: State) -> None:
    assert honesty.reservation(found, IDEA) == ""


def test_an_idea_without_code_is_judged_as_before() -> None:
    plain = replace(IDEA, change="", params={"lr": 1.0})
    assert honesty.reservation(state(OURS, THEIRS), plain) == ""
    assert pairing.pairs_of(state([3.0], [1.0]), plain).candidate == (0.0,)


def test_an_attempt_that_went_on_far_past_its_grant_is_remembered_and_a_slow_stop_is_not() -> None:
    for elapsed, overran in ((600.0 + 10.0 + 31.0, True), (600.0 + 10.0 + 29.0, False)):
        attempt = Attempt(id="t1.a1", trial="t1", number=1, grant_s=600.0)
        before = State(study=STUDY, trials={"t1": Trial(id="t1", candidate="c2", seed=1)}, attempts={"t1.a1": attempt})
        ended = facts.AttemptEnded(attempt="t1.a1", exit=Exit(code=0, elapsed_s=elapsed))
        after = fold(before, [facts.Event(seq=1, at=0.0, token=1, kind="attempt.ended", payload=ended)])
        assert after.trials["t1"].overran is overran


def test_the_first_judgement_of_a_trial_is_the_one_that_counts() -> None:
    events = [
        facts.Event(seq=n, at=0.0, token=1, kind="trial.evaluated", payload=facts.TrialEvaluated(evaluation=evaluation("c2", 0, v)))
        for n, v in ((1, 5.0), (2, 0.0))
    ]
    assert fold(State(), events).evaluations["c2p0"].value == 5.0

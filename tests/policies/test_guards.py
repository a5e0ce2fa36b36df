"""Guards on simulated nights: what breaks one is stopped with its reason, is never best, and no idea holds up on it."""

from dataclasses import replace

import pytest

from secondshift import plugins
from secondshift.ledger.fold import fold
from secondshift.policies.evidence import accepting, verdicts
from secondshift.policies.gate import promoting
from secondshift.policies.models.breeding import level
from secondshift.policies.models.guarding import barred, confirmed
from secondshift.policies.models.nominating import nominee
from secondshift.policies.models.spaces import region
from secondshift.policies.models.standings import rungs, standings
from secondshift.policies.schedulers import budgets, fifo, guarding, halving
from secondshift.policies.searchers import uniform
from secondshift.records import events as facts
from secondshift.records.ideas import Idea
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study, Value
from secondshift.records.trials import Attempt, Candidate, Milestone, Summary, Trial, TrialStatus
from secondshift.testing.policy_conformance import SPACES, curve, memory, study
from secondshift.testing.simulated_nights import Night, play

GUARD = "memory <= 60"


def with_guards(asked: Study, *texts: str) -> Study:
    return replace(asked, objective=replace(asked.objective, guards=texts))


def state_of(values: list[float], used: list[float], asked: Study, status: TrialStatus = "paused") -> State:
    """Trials at the first rung (step 10) with these values of the objective and of memory; t1 has the defaults."""
    trials = {
        f"t{n}": Trial(
            id=f"t{n}", candidate=f"c{n}", seed=0, status=status, steps_done=10, logged_step=9, until_step=10,
            milestones=(Milestone(step=10, value=value),),
            metrics={"loss": Summary(points=10, last_step=9, last=value, low=value, high=value),
                     "memory": Summary(points=10, last_step=9, last=mb, low=0.0, high=mb)},
        )
        for n, (value, mb) in enumerate(zip(values, used, strict=True), 1)
    }  # fmt: skip
    first = {"rate": 1e-3, "kind": "adam"}
    return State(
        study=asked, shift=Shift(id="s1", started_at=0.0, slots=4), now_s=1.0, trials=trials,
        candidates={t.candidate: Candidate(id=t.candidate, params=first if not n else {**first, "rate": 7e-4 * n})
                    for n, t in enumerate(trials.values())},
        open=dict.fromkeys(trials, True) if status in ("paused", "running") else {}, statuses={status: len(trials)},
        free_devices=("cpu-0", "cpu-1", "cpu-2", "cpu-3"),
    )  # fmt: skip


ASKED = with_guards(study(SPACES["continuous"]), GUARD)


def test_a_trial_that_breaks_a_guard_is_stopped_with_guard_value_and_by_how_much() -> None:
    state = state_of([0.9, 0.1, 0.2], [10.0, 75.0, 60.0], ASKED)
    (stop,) = guarding.decide(state)
    assert (stop.verb, stop.subject, stop.source) == ("stop", "t2", "captain")
    assert "memory came to 75, which breaks the guard memory <= 60 by 15" in stop.reason


def test_the_baseline_is_not_stopped_though_it_breaks_the_guard() -> None:
    state = state_of([0.9, 0.1], [99.0, 75.0], ASKED)
    assert [d.subject for d in guarding.decide(state)] == ["t2"]
    started = [d for d in halving.decide(state) if d.verb == "start"]
    assert [(d.subject, d.until_step) for d in started] == [("t1", 90)]  # it is run to its end all the same


@pytest.mark.parametrize("changed", [
    {"asked": "stop"}, {"closed": True},
])  # fmt: skip
def test_one_that_leaves_already_is_not_stopped_again(changed: dict) -> None:
    state = state_of([0.9, 0.1], [1.0, 75.0], ASKED, status="running")
    attempts = {"t2.a0": Attempt(id="t2.a0", trial="t2", number=0, status="running")}
    running = replace(state, attempts=attempts)
    assert [d.subject for d in guarding.decide(running)] == ["t2"]
    leaving = {"t2.a0": replace(attempts["t2.a0"], **changed)}
    assert guarding.decide(replace(running, attempts=leaving)) == []
    whole = {**state.trials, "t2": replace(state.trials["t2"], logged_step=89)}
    assert guarding.decide(replace(running, trials=whole)) == []  # it has done its last step


def test_nothing_is_stopped_without_guards_between_shifts_or_while_a_shift_ends() -> None:
    state = state_of([0.9, 0.1], [1.0, 75.0], ASKED)
    assert guarding.decide(state)
    assert guarding.decide(replace(state, study=study(SPACES["continuous"]))) == []
    assert guarding.decide(replace(state, shift=None)) == [] == guarding.decide(replace(state, ending="the end"))
    assert guarding.decide(State()) == []


def test_trials_with_fresh_seeds_and_of_earlier_revisions_are_left_alone() -> None:
    state = state_of([0.9, 0.1, 0.2], [1.0, 75.0, 75.0], ASKED)
    trials = {**state.trials, "t2": replace(state.trials["t2"], pair=0), "t3": replace(state.trials["t3"], revision=0)}
    assert guarding.decide(replace(state, trials=trials)) == []


def test_halving_ranks_what_breaks_a_guard_behind_all_others_and_goes_on_without_it() -> None:
    values, used = [0.9, 0.1, 0.5, 0.6, 0.7, 0.8], [1.0, 75.0, 1.0, 1.0, 1.0, 1.0]
    state = state_of(values, used, ASKED)
    (rung, _) = standings(state, ASKED, rungs(ASKED))
    assert list(rung.best(6)) == ["t3", "t4", "t5", "t6", "t1"]
    started = [d.subject for d in halving.decide(state) if d.verb == "start"]
    assert "t2" not in started and "t3" in started
    assert halving.decide(replace(state, study=study(SPACES["continuous"])))[1].subject == "t2"  # it was the best


def test_fifo_does_not_resume_it() -> None:
    asked = with_guards(study(SPACES["continuous"], scheduler="fifo"), GUARD)
    state = state_of([0.9, 0.1], [1.0, 75.0], asked)
    assert [d.subject for d in fifo.decide(state)] == ["t1"]


def test_what_breaks_a_guard_is_never_nominated() -> None:
    asked = replace(ASKED, policy=replace(ASKED.policy, nominate=True))
    state = state_of([0.9, 0.1, 0.2], [1.0, 75.0, 1.0], asked, status="complete")
    best = nominee(state)
    assert best is not None and best.id == "t3"
    free = nominee(replace(state, study=with_guards(asked)))
    assert free is not None and free.id == "t2"


@pytest.mark.parametrize("status", ["paused", "complete"])
def test_what_breaks_a_guard_has_no_children(status: TrialStatus) -> None:
    values = [0.9, *(0.1 * n for n in range(1, 10))]
    state = state_of(values, [1.0, 75.0, *([1.0] * 8)], ASKED, status=status)
    found = level(state, ASKED, region(ASKED.space))
    assert found is not None and [parent.trial for parent in found.parents][:2] == ["t3", "t4"]


def test_a_full_result_that_breaks_a_guard_is_none_so_the_best_that_keeps_it_is_run_to_the_end() -> None:
    asked = with_guards(study(SPACES["without defaults"], trials=2), GUARD)
    state = state_of([0.1, 0.3], [75.0, 1.0], asked)
    done = replace(state.trials["t1"], status="complete", steps_done=90, logged_step=89)
    state = replace(state, trials={**state.trials, "t1": done}, open={"t2": True}, statuses={"complete": 1, "paused": 1})
    (last,) = halving.decide(state)
    assert (last.verb, last.subject, last.until_step) == ("start", "t2", 90)


@pytest.mark.parametrize("tier", ["opaque", "resumable", "cooperative"])
def test_a_night_with_a_guard_trains_less_and_its_best_keeps_it(tier: str) -> None:
    nights: dict[bool, Night] = {}
    for guarded in (False, True):
        plain = study(SPACES["continuous"], tier=tier, trials=20)  # type: ignore[arg-type]  # a literal
        asked = with_guards(plain, GUARD) if guarded else plain
        deciders = [guarding.decide, halving.decide, uniform.decide, budgets.decide]
        nights[guarded] = play(asked, deciders, curve=curve, beside={"memory": memory}, ticks=900)
    ended = [t for t in nights[True].state.trials.values() if t.status == "complete"]
    assert ended and not any(barred(nights[True].state, trial) for trial in ended)
    state, said = nights[True].state, [d for decisions in nights[True].decided for d in decisions if d.by == "guards"]
    assert said and {state.trials[d.subject].status for d in said} == {"stopped"}
    assert all(memory(state.candidates[state.trials[d.subject].candidate].params, 9) > 60 for d in said)


# ideas

TRICK = Parameter(name="trick", kind="categorical", choices=("none", "good", "fat"), default="none")
STUDY = Study(
    name="night", command="python train.py", folder=".", objective=Objective(metric="loss", guards=("mem <= 22",)),
    horizon_steps=10, space=Space(parameters=(TRICK,)), budget=Budget(trials=1), policy=Policy(searcher="random", scheduler="fifo"),
    launch=Launch(slots=2),
)  # fmt: skip


def loss(params: dict[str, Value], step: int) -> float:
    return 5.0 - 2.0 * (params.get("trick") != "none")


def mem(params: dict[str, Value], step: int) -> float:
    return 25.0 if params.get("trick") == "fat" else 20.0


def night(asked: Study, *tricks: str, before: State | None = None, beside=None, ticks: int = 400) -> Night:
    """A night in which each trick is handed over as an idea."""
    requests = [
        facts.RequestReceived(id=f"r{n}", verb="idea", who="kim", args={"text": trick, "set.trick": trick}, asked_at=1.0)
        for n, trick in enumerate(tricks, 1)
    ]
    stages = [decide for _, decide in (*plugins.observers(asked), *plugins.deciders(asked))]
    return play(
        asked, stages, curve=loss, requests=requests, ticks=ticks, before=before, beside={"mem": mem} if beside is None else beside,
        noise=lambda trial, step: 0.01 * (trial.seed * 7919 + int(trial.candidate.removeprefix("c")) * 104729) % 97 / 97,
    )  # fmt: skip


def test_an_idea_whose_runs_break_a_guard_is_refuted_after_one_pair_and_one_that_keeps_it_holds_up() -> None:
    played = night(STUDY, "fat", "good")
    fat, good = played.state.verdicts["e1"], played.state.verdicts["e2"]
    assert (fat.decision, fat.ending, played.state.ideas["e1"].state) == ("refuted", "breaks a guard", "refuted")
    assert (fat.guard, fat.guard_value, fat.guard_baseline) == ("mem <= 22", 25.0, 0) and 1 <= fat.pairs < good.pairs
    assert "breaks the guard mem <= 22 in" in fat.reason and "the baseline keeps to it" in fat.reason
    assert (good.decision, good.ending, good.guard) == ("supported", "better", "")


def test_it_is_said_that_the_baseline_breaks_the_guard_too() -> None:
    played = night(STUDY, "fat", beside={"mem": lambda params, step: 30.0})
    found = played.state.verdicts["e1"]
    assert found.ending == "breaks a guard" and found.guard_baseline == found.guard_runs
    assert "the baseline does so in" in found.reason


def test_an_idea_does_not_hold_up_on_a_guard_of_which_nothing_was_logged() -> None:
    played = night(STUDY, "good", beside={})
    found = played.state.verdicts["e1"]
    assert (found.decision, found.ending, found.guard) == ("undecided", "guard not checked", "mem <= 22")
    assert played.state.ideas["e1"].state == "undecided"


def amended(state: State, *guards: str) -> State:
    """The study with other guards, as an edit of its file is recorded."""
    assert state.study is not None
    fact = facts.StudyAmended(study=with_guards(state.study, *guards), changed=("objective.guards",))
    return fold(state, [facts.Event(seq=state.last_seq + 1, at=state.last_at, token=1, kind="study.amended", payload=fact)])


def test_when_the_guard_is_loosened_an_idea_that_it_refuted_is_judged_by_the_pairs_it_has_and_can_hold_up() -> None:
    refuted = night(STUDY, "fat").state
    pairs = refuted.verdicts["e1"].pairs
    loose = amended(refuted, "mem <= 30")
    assert loose.ideas["e1"].state == "exploring"
    (judged,) = verdicts.decide(loose)
    assert judged.verdicts[0].ending in ("unsettled", "better") and judged.verdicts[0].pairs >= pairs
    assert loose.study is not None
    assert night(loose.study, before=loose).state.ideas["e1"].state == "held up"


def test_an_edit_that_leaves_the_guard_as_it_is_reopens_nothing_and_a_tighter_one_settles_again_at_once() -> None:
    refuted = night(STUDY, "fat").state
    assert amended(refuted, "mem <= 22").ideas["e1"].state == "refuted"
    tight = amended(refuted, "mem <= 21")
    (judged,) = verdicts.decide(tight) or [None]
    assert judged is None or judged.verdicts[0].ending == "breaks a guard"


def test_what_held_up_before_a_guard_came_is_neither_accepted_nor_promoted_without_a_reason() -> None:
    held = night(with_guards(STUDY), "fat").state
    assert held.ideas["e1"].state == "held up"
    for verb, decide in (("accept", accepting.decide), ("promote", promoting.decide)):
        for because, refused in (("", True), ("the card is bigger now", False)):
            request = facts.RequestReceived(id="r9", verb=verb, who="kim", args={"idea": "e1", "because": because}, asked_at=2.0)
            (answer,) = decide(replace(amended(held, "mem <= 22"), requests={"r9": request}))
            assert bool(answer.refused) == refused, (verb, answer)
            assert "breaks the guard mem <= 22" in (answer.refused or answer.reason)
            (free,) = decide(replace(held, requests={"r9": request}))
            assert not free.refused and not free.because


def test_of_a_code_idea_only_what_we_measure_counts_for_keeping_a_guard() -> None:
    logged = {"mem": mem, "sys/tree_rss_mb": lambda params, step: 1.0}
    state = night(with_guards(STUDY, "mem <= 22", "sys/tree_rss_mb <= 9"), "good", beside=logged).state
    idea: Idea = state.ideas["e1"]
    assert idea.state == "held up" and confirmed(state, idea).unchecked is None
    code = confirmed(state, replace(idea, change="digest")).unchecked
    assert code is not None and code.metric == "mem"
    ours = replace(state, study=with_guards(STUDY, "sys/tree_rss_mb <= 9"))
    assert confirmed(ours, replace(idea, change="digest")).unchecked is None

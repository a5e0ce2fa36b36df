"""The best of a search for programs is put to the test: what won by luck does not hold up, what is better does, and a program
that gives the same number each time is said to do so."""

from dataclasses import replace

import pytest

from policies.program_nights import NOMINATING, Judging
from secondshift.policies.models import nominating
from secondshift.records.evaluations import Evaluation
from secondshift.records.ideas import Idea
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Budget
from secondshift.records.trials import Trial


def winner(state: State) -> Idea:
    return next(idea for idea in state.ideas.values() if idea.author == nominating.AUTHOR)


@pytest.mark.parametrize("draw", [0, 1, 2, 4])  # of 3 the study's own program is the luckiest
def test_the_best_of_a_search_of_noise_does_not_hold_up(draw: int) -> None:
    """Eight programs that are worth nothing, of which the luckiest looks one to two standard deviations better."""
    state = Judging(study=NOMINATING, draw=draw).begin().night(rounds=4000).state
    found = winner(state)
    seen = next(t for t in state.trials.values() if t.candidate == found.candidate and t.pair < 0)
    first = next(t for t in state.trials.values() if not state.candidates[t.candidate].code and t.pair < 0)
    assert (state.result(seen) or 0.0) > (state.result(first) or 0.0), "it looks better, or this proves nothing"
    assert found.state in ("refuted", "undecided") and state.verdicts[found.id].pairs >= 3
    assert not any(idea.state == "held up" for idea in state.ideas.values())


def test_a_gain_that_is_there_holds_up_once_the_canaries_have_failed_to_win() -> None:
    world = Judging(study=NOMINATING, values=(0.0, 0.0, 3.0)).begin().night(rounds=4000)
    found, state = winner(world.state), world.state
    planted = next(c.id for c in state.candidates.values() if c.code.endswith(f"{3:032x}"))
    assert (found.state, state.verdicts[found.id].ending) == ("held up", "better")
    assert found.candidate == planted or planted in state.candidates[found.candidate].parents
    assert all(state.trials[name].seed != state.study.seed for name in state.pairs.values() if state.study)
    assert {idea.canary for idea in state.ideas.values() if idea.state in ("refuted", "refused")} >= {"no-op", "constant", "metric"}


def test_a_program_that_gives_the_same_number_each_time_gets_that_sentence_and_no_verdict() -> None:
    state = Judging(study=NOMINATING, values=(0.0, 0.5, 3.0), noise=0.0).begin().night(rounds=2000).state
    found = winner(state)
    assert (found.state, state.verdicts[found.id].ending) == ("undecided", "same number each time")
    assert state.verdicts[found.id].pairs == 3 and state.verdicts[found.id].effect == 3.0
    assert "the same number each time" in found.answer


def test_the_same_number_from_artefacts_that_differ_is_believed_to_be_one_only_after_as_many_pairs_as_a_verdict_takes() -> None:
    class Stamped(Judging):
        def judged(self, trial: Trial) -> Evaluation:
            return replace(super().judged(trial), artefact=trial.id)

    state = Stamped(study=NOMINATING, values=(3.0,), noise=0.0).begin().night(rounds=2000).state
    found = winner(state)
    assert state.verdicts[found.id].ending == "same number each time" and state.verdicts[found.id].pairs > 3


def test_a_search_that_ends_with_its_budget_has_put_its_best_to_the_test() -> None:
    """No cap on trials and calls without end in sight: only the device time ends it, and a quarter of that is for fresh seeds."""
    endless = replace(NOMINATING, budget=Budget(device_s=200.0), agent=replace(NOMINATING.agent, turns=300),
                      launch=replace(NOMINATING.launch, grant_s=2.0))  # fmt: skip
    state = Judging(study=endless, values=(0.0, 4.0)).begin().night(rounds=6000).state
    assert "device time" in state.ending and state.verdicts[winner(state).id].pairs >= 3
    assert winner(state).state == "held up" and state.spend.confirm_device_s <= 0.5 * state.spend.settled_device_s


def late(**changes: object) -> State:
    """Three programs are judged, and three quarters of the shift are over."""
    world = Judging(study=NOMINATING, values=(3.0,) * 8)
    world.begin()
    while len(world.state.evaluations) < 3:
        world.round()
    shift = replace(world.state.shift or Shift(id="s1", started_at=100.0), started_at=0.0, deadline_at=100.0)
    state = replace(world.state, shift=shift, now_s=75.0, ideas={})
    return replace(state, **changes)  # type: ignore[arg-type]  # fields of a state


def test_what_is_left_for_fresh_seeds_is_used_for_them_before_the_night_is_over() -> None:
    (nominated,) = nominating.early(late())
    assert nominated.verb == "capture" and nominated.ideas[0].candidate != "c1"
    assert not nominating.early(late(now_s=74.0)), "the search has its part first"
    once = {"e1": replace(nominated.ideas[0], id="e1", state="refuted")}
    assert not nominating.early(late(ideas=once)), "once in a shift"
    quiet = replace(NOMINATING, policy=replace(NOMINATING.policy, nominate=False))
    assert not nominating.early(late(study=quiet))


def test_the_part_of_the_device_time_that_is_kept_for_fresh_seeds_is_kept() -> None:
    def at(spent_s: float, confirmed_s: float = 0.0) -> State:
        state = late(now_s=10.0, study=replace(NOMINATING, budget=Budget(device_s=100.0)), attempts={})
        spend = replace(state.spend, settled_device_s=spent_s, confirm_device_s=confirmed_s, reserved_device_s=0.0)
        return replace(state, spend=spend)

    assert nominating.early(at(75.0)) and not nominating.early(at(74.0))
    assert not nominating.early(at(80.0, confirmed_s=10.0)), "fresh seeds had some of it already"

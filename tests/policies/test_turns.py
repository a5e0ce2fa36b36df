"""When the agent is called, what is set aside for it, and what becomes of an idea whose calls came to nothing."""

from dataclasses import replace

import pytest

from secondshift.arbitrate import arbitrate
from secondshift.ledger.fold import fold
from secondshift.policies.evidence import racing
from secondshift.policies.models.handing import thinking
from secondshift.policies.searchers import turns
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall, CallEnding
from secondshift.records.ideas import Idea, IdeaState, Verdict
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Agent, Budget, Objective, Study
from secondshift.records.trials import Candidate

AGENT = Agent(command=("agent", "{brief_file}"), turns=10, price_usd=2.0, money_usd=20.0, timeout_s=60.0)


class Night:
    """A state that is carried on by facts alone."""

    def __init__(self, agent: Agent = AGENT, ideas: int = 3, deadline: float | None = None, budget: Budget | None = None) -> None:
        study = Study(
            name="s", command="t", folder=".", objective=Objective(metric="loss"), horizon_steps=3, agent=agent,
            budget=budget or Budget(),
        )  # fmt: skip
        self.state = State(
            study=study, shift=Shift(id="s1", started_at=0.0, deadline_at=deadline), token=7,
            ideas={f"e{n}": Idea(id=f"e{n}", text=f"idea {n}", author="kim") for n in range(1, ideas + 1)},
        )  # fmt: skip

    def record(self, *payloads: facts.Payload) -> None:
        seq = self.state.last_seq
        events = [facts.Event(seq=seq + n, at=1.0, token=7, kind=facts.KIND_OF[type(p)], payload=p)
                  for n, p in enumerate(payloads, 1)]  # fmt: skip
        self.state = fold(self.state, events)

    def tick(self) -> list[AgentCall]:
        """Decide, arbitrate and record; the calls that were ordered."""
        made = arbitrate(self.state, turns.decide(self.state))
        self.record(*made)
        return [p.call for p in made if isinstance(p, facts.AgentOrdered)]

    def end(self, name: str, ending: CallEnding, **fields: object) -> None:
        usd = self.state.calls[name].reserved_usd
        self.record(facts.AgentEnded(call=replace(self.state.calls[name], ending=ending, **{"usd": usd, **fields})))


def test_ideas_in_words_are_handed_over_oldest_first_and_as_many_at_once_as_the_study_says() -> None:
    night = Night(replace(AGENT, parallel=2))
    assert [c.idea for c in night.tick()] == ["e1", "e2"]
    assert not night.tick(), "both are at work"
    assert set(night.state.charges) == {"call-1", "call-2"} and night.state.spend.reserved_usd == 4.0
    night.end("call-1", "changed", change="0" * 32)
    assert [c.idea for c in night.tick()] == ["e3"]
    assert night.state.ideas["e1"].change == "0" * 32 and night.state.ideas["e1"].state == "open"
    assert night.state.spend.agents_usd == 2.0 and night.state.spend.reserved_usd == 4.0


def test_a_failed_call_is_followed_by_one_that_is_told_its_error_and_then_the_idea_has_its_answer() -> None:
    night = Night(ideas=1)
    night.tick()
    night.end("call-1", "no change", detail="it changed nothing")
    (second,) = night.tick()
    assert (second.repairs, second.number) == ("call-1", 2)
    night.end("call-2", "crashed", detail="exit 3: boom")
    assert not night.tick()
    idea = night.state.ideas["e1"]
    assert idea.state == "undecided" and "call-2: exit 3: boom" in idea.answer and "--patch FILE" in idea.answer
    assert not thinking(night.state)


def crashing(crashed: int = 1, baseline_crashed: int = 0, pairs: int = 1, state: IdeaState = "exploring") -> Night:
    """A night in which the agent's change for e1 was run."""
    night = Night(ideas=1)
    night.tick()
    night.end("call-1", "changed", change="0" * 32)
    night.tick()
    candidates = {"c1": Candidate(id="c1"), "c2": Candidate(id="c2", code="0" * 32, idea="e1")}
    idea = replace(night.state.ideas["e1"], state=state, candidate="c2", baseline="c1", rank=1)
    said = Verdict(idea="e1", candidate="c2", baseline="c1", decision="undecided", pairs=pairs, crashed=crashed,
                   baseline_crashed=baseline_crashed)  # fmt: skip
    ideas, verdicts = {"e1": idea}, {"e1": said}
    night.state = replace(night.state, candidates=candidates, ideas=ideas, verdicts=verdicts, baseline="c1", comparisons=1)
    return night


@pytest.mark.parametrize("state", ["exploring", "refuted"])
def test_a_change_that_crashes_where_the_baseline_runs_is_mended_once_as_another_comparison(state: IdeaState) -> None:
    night = crashing(state=state)
    assert thinking(night.state), "the shift does not end over it"
    (second,) = night.tick()
    assert (second.idea, second.repairs, second.number) == ("e1", "call-1", 2)
    assert not racing.decide(replace(night.state, free_devices=("cpu-0",))), "no more seeds for what is being mended"
    night.end("call-2", "changed", change="1" * 32)
    assert thinking(night.state) and not night.tick()
    idea = night.state.ideas["e1"]
    assert (idea.state, idea.change, idea.candidate) == ("open", "1" * 32, ""), "it begins anew, and takes another rank"
    again = replace(night.state.verdicts["e1"], candidate="c3")
    standing = replace(idea, state="exploring", candidate="c3", baseline="c1", rank=2)
    night.state = replace(night.state, ideas={"e1": standing}, verdicts={"e1": again})
    assert not night.tick() and not thinking(night.state), "two calls are all there are"


@pytest.mark.parametrize(("crashed", "baseline_crashed", "pairs"), [(0, 0, 1), (1, 0, 2), (1, 1, 1), (0, 0, 0)])
def test_what_came_to_a_result_once_or_crashes_with_the_baseline_is_judged_as_it_is(
    crashed: int, baseline_crashed: int, pairs: int
) -> None:
    night = crashing(crashed, baseline_crashed, pairs)
    assert not night.tick() and not thinking(night.state)
    assert racing.decide(replace(night.state, free_devices=("cpu-0",)))


def test_where_no_call_can_be_made_or_none_mended_it_a_crashing_change_gets_more_seeds() -> None:
    night = crashing()
    assert night.state.study is not None
    poor = replace(night.state.study, agent=replace(AGENT, turns=1))
    free = replace(night.state, free_devices=("cpu-0",))
    assert racing.decide(replace(free, study=poor)) and not racing.decide(free)
    night.tick()
    night.end("call-2", "no change")
    assert not night.tick() and night.state.ideas["e1"].state == "exploring"
    assert racing.decide(replace(night.state, free_devices=("cpu-0",)))


def test_a_change_that_a_person_brought_is_not_sent_to_the_agent() -> None:
    night = crashing()
    night.state = replace(night.state, ideas={"e1": replace(night.state.ideas["e1"], change="2" * 32)})
    assert not night.tick()


def test_an_idea_whose_last_change_touched_what_is_protected_is_refused() -> None:
    night = Night(ideas=1)
    for name in ("call-1", "call-2"):
        night.tick()
        night.end(name, "refused", detail="it changes eval.py")
    night.tick()
    assert night.state.ideas["e1"].state == "refused"


def test_a_call_that_we_lost_or_ended_ourselves_says_nothing_of_the_idea_but_costs_a_turn() -> None:
    night = Night(ideas=1)
    for number, ending in enumerate(("lost", "cancelled", "cancelled", "lost"), 1):
        (one,) = night.tick()
        assert one.repairs == "", "there is no error of its own to mend"
        night.end(f"call-{number}", ending, assumed=True)
    assert night.tick() and night.state.calls_left() == 5


def test_an_endpoint_that_does_not_answer_costs_no_idea_its_tries_and_is_left_alone_until_the_next_shift() -> None:
    night = Night(ideas=2)
    for number in range(1, 4):
        assert night.tick(), "it may answer the next time"
        night.end(f"call-{number}", "unreachable", usd=0.0, detail="no key")
    assert not night.tick() and not thinking(night.state)
    waiting = night.state.ideas["e2"]
    assert waiting.state == "open" and "cannot be reached (call-3: no key)" in waiting.answer
    said = night.state
    night.tick()
    assert night.state.ideas == said.ideas, "it is said once"
    night.state = replace(night.state, shift=Shift(id="s2", started_at=5.0))
    assert [call.idea for call in night.tick()] == ["e1"]


def test_an_idea_that_no_endpoint_takes_lets_others_pass_and_waits_for_the_next_shift() -> None:
    night = Night(ideas=2)
    asked: list[str] = []
    while ordered := night.tick():
        asked += [call.idea for call in ordered]
        night.end(ordered[0].id, "unreachable" if ordered[0].idea == "e1" else "changed", change="0" * 32, detail="too long")
    assert asked == ["e1", "e1", "e2"] and "cannot be reached (call-2: too long)" in night.state.ideas["e1"].answer
    judged = {**night.state.ideas, "e2": replace(night.state.ideas["e2"], state="refuted")}
    assert night.state.ideas["e1"].state == "open" and not thinking(replace(night.state, ideas=judged))


def test_an_endpoint_that_answers_now_and_then_is_asked_on() -> None:
    night = Night(ideas=4)
    for number, ending in enumerate(("unreachable", "unreachable", "changed", "unreachable", "unreachable"), 1):
        assert night.tick()
        night.end(f"call-{number}", ending, change="0" * 32 if ending == "changed" else "")
    assert night.tick()


def test_one_that_is_lost_again_and_again_is_not_called_for_ever() -> None:
    night = Night(ideas=1)
    for number in range(1, 4):
        night.tick()
        night.end(f"call-{number}", "lost", assumed=True)
    assert not night.tick() and night.state.ideas["e1"].state == "undecided"


@pytest.mark.parametrize(("agent", "budget", "calls"), [
    (replace(AGENT, turns=2), None, 2),
    (replace(AGENT, money_usd=5.0), None, 2),
    (replace(AGENT, money_usd=None), Budget(money_usd=7.0, usd_per_device_s=1.0), 3),
    (replace(AGENT, price_usd=None, money_usd=None, turns=4), None, 4),
    (replace(AGENT, price_usd=None, money_usd=None, turns=None), None, 0),
])  # fmt: skip
def test_reservations_never_pass_a_cap(agent: Agent, budget: Budget | None, calls: int) -> None:
    night = Night(replace(agent, parallel=9), ideas=9, budget=budget)
    assert len(night.tick()) == calls
    assert not night.tick()


def test_device_time_and_calls_are_paid_from_one_purse() -> None:
    night = Night(replace(AGENT, money_usd=None), budget=Budget(money_usd=7.0, usd_per_device_s=0.5))
    before = night.state.device_s_left()
    night.tick()
    assert before == 14.0 and night.state.device_s_left() == 10.0
    night.end("call-1", "no change")
    assert night.state.device_s_left() == 10.0, "settled at what was set aside"


def test_a_greedy_decider_is_stopped_by_arbitration() -> None:
    night = Night(replace(AGENT, money_usd=3.0), ideas=3)
    assert night.state.study is not None
    generous = replace(night.state, study=replace(night.state.study, agent=replace(AGENT, parallel=3)))
    made = arbitrate(night.state, turns.decide(generous))
    dropped = [p for p in made if isinstance(p, facts.DecisionDropped)]
    assert sum(isinstance(p, facts.AgentOrdered) for p in made) == 1
    assert {d.reason for d in dropped} == {"the budget has no money left to set aside for a call"}


def test_no_call_begins_that_could_not_end_before_the_shift_and_none_while_it_ends() -> None:
    late = Night(deadline=59.0)
    assert not late.tick() and not thinking(late.state)
    night = Night(deadline=61.0)
    assert thinking(night.state)
    night.state = replace(night.state, ending="over")
    assert not night.tick()


@pytest.mark.parametrize("ending", ["changed", "refused"])
def test_no_night_ends_before_what_a_call_left_is_taken_in(ending: CallEnding) -> None:
    night = Night(replace(AGENT, turns=1), ideas=1)
    night.tick()
    night.end("call-1", ending, change="0" * 32)
    assert thinking(night.state) == (ending == "changed"), "a failed one has no call left that could mend it, and stays open"
    night.tick()
    assert not thinking(night.state)


def test_the_second_end_of_a_call_changes_nothing() -> None:
    night = Night(ideas=1)
    night.tick()
    night.end("call-1", "lost")
    spend = night.state.spend
    night.end("call-1", "changed", change="1" * 32)
    assert night.state.spend == spend and night.state.calls["call-1"].ending == "lost"


def test_what_a_person_brings_meanwhile_stands_over_what_the_call_left() -> None:
    night = Night(ideas=1)
    night.tick()
    brought = replace(night.state.ideas["e1"], params={"lr": 0.1})
    night.record(facts.IdeaAmended(idea=brought, why="kim brought it"))
    night.end("call-1", "changed", change="0" * 32)
    night.tick()
    assert night.state.ideas["e1"].params and not night.state.ideas["e1"].change

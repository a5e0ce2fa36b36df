"""What ideas took is told from facts: for each idea, and for each that held up; and that nothing held up is said plainly."""

from dataclasses import replace

import pytest

from interfaces.nights import STUDY, Night
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.ideas import inbox
from secondshift.interfaces.readmodel.overview import budgets
from secondshift.interfaces.readmodel.spending import cost, short
from secondshift.records.agent_calls import AgentCall
from secondshift.records.events import (
    AgentEnded,
    AgentOrdered,
    BaselineMoved,
    CandidateProposed,
    ChargeReserved,
    ChargeSettled,
    IdeaAmended,
    IdeaCaptured,
    ShiftEnded,
    ShiftStarted,
    TrialQueued,
)
from secondshift.records.ideas import Idea, IdeaState
from secondshift.records.nights import Brief, Shift
from secondshift.records.studies import Agent, Budget, Study
from secondshift.records.trials import Candidate, Trial

AGENT = Agent(command=("a", "{brief_file}"), turns=24, price_usd=0.5, money_usd=10.0)
ASKED = replace(STUDY, agent=AGENT, budget=Budget(device_s=36000.0, money_usd=20.0, usd_per_device_s=0.001))


def call(night: Night, number: int, idea: str, *, assumed: bool = False, usd: float = 0.5) -> None:
    name, ending = f"call-{number}", "lost" if assumed else "changed"
    ordered = AgentCall(id=name, idea=idea, reserved_usd=usd)
    night.add(AgentOrdered(call=ordered, decision="d1"))
    night.add(AgentEnded(call=replace(ordered, ending=ending, usd=usd, assumed=assumed, change=f"{number:032x}")))


def fresh(night: Night, trial: str, candidate: str, pair: int, device_s: float) -> None:
    queued = Trial(id=trial, candidate=candidate, seed=100 + pair, pair=pair)
    night.add(TrialQueued(trial=queued, decision="d1"), ChargeReserved(charge=f"{trial}.a1", trial=trial, device_s=device_s))
    night.add(ChargeSettled(charge=f"{trial}.a1", trial=trial, device_s=device_s))


def played(first: IdeaState, study: Study = ASKED, *, usd: float = 0.5) -> Night:
    """Two ideas: e1 took two calls, one of them lost, and two runs; e2 took one call and none; c1 is the baseline."""
    night = Night(study=study).open()
    for name in ("c1", "c2"):
        night.add(CandidateProposed(candidate=Candidate(id=name, idea="e1" if name == "c2" else ""), decision="d1"))
    night.add(BaselineMoved(candidate="c1", why="the defaults"))
    ideas = [Idea(id=f"e{n}", text=f"idea {n}", author="kim") for n in (1, 2)]
    night.add(*(IdeaCaptured(idea=idea, decision="d1") for idea in ideas))
    call(night, 1, "e1", assumed=True, usd=usd)
    call(night, 2, "e1", usd=usd)
    call(night, 3, "e2", usd=usd)
    for number, (candidate, device_s) in enumerate([("c2", 100.0), ("c1", 50.0), ("c2", 100.0), ("c1", 50.0)], 1):
        fresh(night, f"t{number}", candidate, (number - 1) // 2, device_s)
    begun = replace(ideas[0], candidate="c2", baseline="c1", change=f"{2:032x}")
    night.add(IdeaAmended(idea=replace(begun, state=first), why="so it is"))
    night.add(IdeaAmended(idea=replace(ideas[1], state="undecided"), why="so it is"))
    return night.close()


def said(night: Night, section: str, lang: str = "en") -> list[str]:
    brief: Brief = compose(night.state, night.events, night.study.objective, "s1", written_at=0.0)
    assert all(s.facts for part in brief.sections for s in part.statements), "a statement without facts"
    return [tell(s, lang) for part in brief.sections if part.key == f"section.{section}" for s in part.statements]


def test_what_was_spent_on_ideas_is_divided_by_those_that_held_up_and_includes_all_the_others() -> None:
    text = "\n".join(said(played("held up"), "spent"))
    assert "calls of the agent: 3, settled at $1.50, of which $0.50 is assumed" in text
    assert "fresh seeds for ideas: 5 min of device time, 1 min 40 s of it for what they are judged against" in text
    assert "Held up in this shift: e1. That makes $1.80 and 5 min of device time for each" in text
    assert "3 of 24 made, 21 left" in text and "calls of the agent: $1.50 of $10.00 spent" in text
    assert "money: $1.80 of $20.00 spent" in text, "calls and devices are paid from one purse"


def test_where_none_held_up_that_is_said_and_nothing_is_divided() -> None:
    text = "\n".join(said(played("refuted"), "spent"))
    assert "No idea held up in this shift: what was spent on ideas bought none." in text and "for each" not in text
    assert any("통한 아이디어는 없습니다" in line for line in said(played("refuted"), "spent", "ko"))


def test_what_held_up_in_an_earlier_night_is_not_counted_again() -> None:
    before = played("held up")
    brief = compose(before.state, [*before.events], before.study.objective, "s1", written_at=0.0)
    assert any(s.key == "spent.each_held_up_usd" for part in brief.sections for s in part.statements)
    night = Night(study=ASKED, events=list(before.events), at=before.at)
    night.add(ShiftStarted(shift=Shift(id="s2", started_at=night.at)))
    call(night, 4, "e2")
    night.add(ShiftEnded(shift="s2", reason="over"))
    later = compose(night.state, night.events, ASKED.objective, "s2", written_at=0.0)
    assert any(s.key == "spent.none_held_up" for part in later.sections for s in part.statements)


def test_a_subscription_has_calls_for_each_and_no_price() -> None:
    plain = replace(ASKED, agent=replace(AGENT, price_usd=None, money_usd=None), budget=Budget())
    text = "\n".join(said(played("held up", plain, usd=0.0), "spent"))
    assert "calls of the agent: 3, on a subscription; no price is known" in text and "$" not in text
    assert "That makes 3 calls of the agent and 5 min of device time for each" in text


def test_each_idea_is_told_with_its_own_spend() -> None:
    lines = said(played("held up"), "ideas")
    mine = "Spent on e1 over all nights: 2 calls of the agent ($1.00, of which $0.50 is assumed) and 3 min 20 s of device time"
    assert sum(mine in line for line in lines) == 1
    assert any("Spent on e2 over all nights: 1 call of the agent ($0.50) and 0 s" in line for line in lines)
    assert any("어림한 값 $0.50" in line for line in said(played("held up"), "ideas", "ko"))


def test_the_inbox_and_the_budgets_tell_it_too() -> None:
    state = played("held up").state
    first, second = inbox(state)
    assert first["spent"] == {"calls": 2, "usd": 1.0, "assumed_usd": 0.5, "device_s": 200.0}
    assert (short(first["spent"], "en"), short(second["spent"], "en")) == ("2 calls, $1.00*, 3 min 20 s", "1 call, $0.50")
    rows = {row["budget"]: row for row in budgets(state, 0.0)}
    assert rows["calls"]["spent"] == 3 and rows["agents_usd"]["left"] == 8.5
    assert rows["money_usd"]["spent"] == pytest.approx(1.8)


def test_what_an_accepted_idea_runs_as_the_baseline_of_others_is_not_spent_on_it() -> None:
    night = played("held up")
    fresh(night, "t9", "c2", 7, 500.0)
    assert inbox(night.state)[0]["spent"]["device_s"] == 200.0
    night.add(TrialQueued(trial=Trial(id="t10", candidate="c1", seed=107, pair=7), decision="d1"))
    assert inbox(night.state)[0]["spent"]["device_s"] == 700.0, "beside what it was judged against"


def test_the_winner_of_a_search_for_programs_has_the_calls_that_it_is_made_of() -> None:
    night = played("refuted")
    nominated = Idea(id="e3", text="the best", author="search", candidate="c9")
    night.add(CandidateProposed(candidate=Candidate(id="c9", code=f"{1:032x}+{3:032x}"), decision="d1"))
    night.add(IdeaCaptured(idea=nominated, decision="d1"))
    found = cost(night.state, nominated)
    assert found is not None and found.values["calls"] == 2 and found.values["used_usd"] == 1.0
    assert cost(night.state, replace(nominated, id="e4", candidate="")) is None

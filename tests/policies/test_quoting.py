"""What a night may cost is said before it, and never more narrowly than facts and caps allow."""

from dataclasses import replace

import pytest

from secondshift.interfaces.readmodel.quotes import quoted
from secondshift.policies.models.quoting import ENOUGH, Calls, quote
from secondshift.records.agent_calls import AgentCall
from secondshift.records.events import RequestReceived
from secondshift.records.ideas import Idea
from secondshift.records.nights import Shift
from secondshift.records.states import Spend, State
from secondshift.records.studies import Agent, Budget, Objective, Policy, Study

AGENT = Agent(command=("agent", "{brief_file}"), price_usd=0.5, money_usd=15.0, timeout_s=600.0)
STUDY = Study(name="s", command="t", folder=".", objective=Objective(metric="loss"), horizon_steps=3, agent=AGENT,
              budget=Budget(device_s=40 * 3600.0))  # fmt: skip


def evening(study: Study = STUDY, *, ideas: int = 6, hours: float | None = 10.0, slots: int = 2) -> State:
    until = None if hours is None else 1000.0 + hours * 3600.0
    known = {f"e{n}": Idea(id=f"e{n}", text=f"idea {n}", author="kim") for n in range(1, ideas + 1)}
    return State(study=study, shift=Shift(id="s1", started_at=1000.0, deadline_at=until, slots=slots), ideas=known, now_s=1000.0)


def told(costs: list[float], *, assumed: bool = False) -> dict[str, AgentCall]:
    return {
        f"call-{n}": AgentCall(id=f"call-{n}", idea=f"x{n}", ending="changed", reserved_usd=0.5, usd=usd, assumed=assumed)
        for n, usd in enumerate(costs, 1)
    }


def calls_of(state: State) -> Calls:
    found = quote(state).calls
    assert found is not None
    return found


def keys(state: State) -> list[str]:
    return [one.key for one in quoted(quote(state))]


def test_without_earlier_calls_only_what_may_be_set_aside_is_said() -> None:
    found = calls_of(evening())
    assert (found.few, found.many, found.most) == (6, 12, 30)
    assert (found.low_usd, found.high_usd, found.most_usd) == (None, None, 15.0)
    assert keys(evening())[:2] == ["quote.calls_most", "quote.for_ideas"]


def test_what_earlier_calls_cost_gives_a_range_once_there_are_enough_of_them_that_were_seen_to_end() -> None:
    spent = Spend(agents_usd=6.0)
    few = replace(evening(), calls=told([0.5] * (ENOUGH - 1)), spend=spent)
    assert (calls_of(few).low_usd, calls_of(few).known) == (None, ENOUGH - 1)
    many = calls_of(replace(evening(), calls=told([0.5] * 5 + [0.7] * 5), spend=spent))
    assert (many.each_low_usd, many.each_high_usd) == (0.5, 0.7)
    assert (many.low_usd, many.high_usd, many.most_usd) == (3.0, pytest.approx(8.4), 9.0)
    assert calls_of(replace(evening(), calls=told([0.5] * 20, assumed=True))).known == 0


def test_the_range_never_passes_what_is_left_nor_says_more_calls_than_there_may_be() -> None:
    calls, spent = told([0.5] * ENOUGH), Spend(agents_usd=13.0)
    found = calls_of(replace(evening(), calls=calls, spend=spent))
    assert (found.few, found.many, found.most) == (4, 4, 4) and found.high_usd == found.most_usd == 2.0
    one = calls_of(replace(evening(replace(STUDY, agent=replace(AGENT, turns=ENOUGH + 1))), calls=calls))
    assert one.most == 1 and one.most_usd == 0.5


def test_a_short_shift_promises_only_the_calls_that_fit_if_each_takes_its_whole_time() -> None:
    found = calls_of(evening(hours=0.5))
    assert (found.few, found.many) == (3, 12)
    late = evening(hours=0.1)
    assert calls_of(late).most == 0 and keys(late)[0] == "quote.no_time"


def test_a_subscription_has_turns_and_no_price() -> None:
    state = evening(replace(STUDY, agent=Agent(command=("a",), turns=24)))
    found = calls_of(state)
    assert found.most == 24 and (found.price_usd, found.most_usd, found.low_usd) == (None, None, None)
    assert keys(state)[0] == "quote.subscription"
    assert keys(replace(state, calls=told([0.0] * 24)))[0] == "quote.no_calls"


def test_a_search_for_programs_may_use_every_call() -> None:
    found = calls_of(evening(replace(STUDY, policy=Policy(searcher="programs")), ideas=0))
    assert (found.few, found.many, found.search) == (0, 30, True)
    over = replace(STUDY, policy=Policy(searcher="programs"), budget=Budget(trials=0))
    assert not calls_of(evening(over, ideas=0)).search, "but not once all its trials were made"


def test_ideas_that_were_handed_in_and_not_taken_in_yet_count_once_and_changes_do_not() -> None:
    def asked(name: str, **args: str) -> RequestReceived:
        return RequestReceived(id=name, who="kim", verb="idea", args=args)

    requests = [asked("r1", text="Idea 1"), asked("r2", text="new"), asked("r3", text="NEW "), asked("r4", text="x", change="d")]
    state = replace(evening(ideas=1), requests={one.id: one for one in requests})
    assert calls_of(state).waiting == 2


def test_device_time_is_bounded_by_the_budget_or_by_how_long_the_shift_is_and_else_said_to_be_open() -> None:
    assert (quote(evening()).device_s, quote(evening()).bound) == (20 * 3600.0, "shift")
    assert (quote(evening(hours=None)).device_s, quote(evening(hours=None)).bound) == (40 * 3600.0, "budget")
    spent = replace(evening(), spend=Spend(settled_device_s=39 * 3600.0))
    assert (quote(spent).device_s, quote(spent).bound) == (3600.0, "budget")
    open_ended = evening(replace(STUDY, budget=Budget()), hours=None)
    assert quote(open_ended).device_s is None and keys(open_ended)[-1] == "quote.devices_open"


def test_the_purse_for_both_is_said_with_what_was_spent_of_it() -> None:
    money = Budget(money_usd=20.0, usd_per_device_s=0.001)
    state = replace(evening(replace(STUDY, budget=money)), spend=Spend(agents_usd=5.0, settled_device_s=5000.0))
    found = quote(state)
    assert found.money_usd == 10.0 and found.device_usd == pytest.approx(10.0) and keys(state)[-1] == "quote.purse"

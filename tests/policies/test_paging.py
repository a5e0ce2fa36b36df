"""Wake or wait: nobody is woken for less than their sleep is worth, one page for one incident, and every verdict has its reason."""

from dataclasses import replace
from datetime import date, time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.arbitrate import arbitrate
from secondshift.ledger.fold import fold
from secondshift.policies.oncall.paging import behind, decide, judge
from secondshift.policies.oncall.stakes import stakes
from secondshift.policies.oncall.waking import Trouble
from secondshift.records import events as facts
from secondshift.records.incidents import Incident, Question
from secondshift.records.nights import Shift
from secondshift.records.pages import Page
from secondshift.records.states import State
from secondshift.records.studies import Oncall, Person, Quiet, Rota
from secondshift.records.trials import Attempt, Trial
from simulated_nights import study

HOUR = 3600.0
NOON = 1_800_014_400.0  # 15 January 2027, 12:00 UTC
NIGHT = NOON + 12 * HOUR
SLEEPER = Person(name="mina", quiet=Quiet(begins=time(22), ends=time(8)), channels=("file:/a", "file:/b"))
OTHER = replace(SLEEPER, name="jonas")
ROTA = Rota(people={"mina": SLEEPER, "jonas": OTHER}, order=("mina", "jonas"), starts=date(2027, 1, 11), zone="UTC")


def state(
    now: float = NIGHT, *, default: str = "leave", devices: int = 1, waiting: int = 0, asked: bool = True, held: bool = False,
    rota: Rota = ROTA, worth: float = 5.0, deadline_h: float = 0.5, ends_h: float = 24.0, remind_s: float = 0.0,
) -> State:  # fmt: skip
    question = Question(asked_at=now, deadline_at=now + deadline_h * HOUR, suggested="roll_back", default=default)
    question = replace(question, answer="pause", answered_by="default") if held else question
    incident = Incident(id="i1", subject="t1", finding="it diverged", questions=(question,) if asked else (), opened_at=now)
    running = Trial(id="t1", candidate="c1", seed=0, status="paused" if held else "running", device_s=HOUR)
    running = replace(running, held="i1" if held else "")
    others = [Trial(id=f"t{n + 2}", candidate="c1", seed=n, status="queued") for n in range(waiting)]
    attempt = Attempt(
        id="t1.a1", trial="t1", number=1, token=1, devices=tuple(f"cpu-{n}" for n in range(devices)), status="running",
        from_step=0, until_step=9, grant_s=60.0, started_at=now - HOUR, ordered_at=now - HOUR,
    )  # fmt: skip
    return State(
        study=study(oncall=Oncall(rota=rota, sleep_worth=worth, remind_s=remind_s)), now_s=now, incidents={"i1": incident},
        shift=Shift(id="s1", started_at=now - HOUR, deadline_at=now + ends_h * HOUR, slots=8),
        trials={t.id: t for t in (running, *others)}, open={t.id: True for t in (running, *others)},
        attempts={} if held else {"t1.a1": attempt}, free_devices=("cpu-9",) if held else (),
    )  # fmt: skip


def after(one: State, *payloads: facts.Payload) -> State:
    events = [
        facts.Event(seq=one.last_seq + n, at=one.now_s, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for n, p in enumerate(payloads, 1)
    ]
    return fold(one, events)


def ticked(one: State) -> tuple[State, list[Page]]:
    made = arbitrate(one, decide(one))
    return after(one, *made), [fact.page for fact in made if isinstance(fact, facts.PageWeighed)]


def sent(one: State, page: Page, outcome: str = "sent", channel: str = "file:/a") -> State:
    fact = facts.PageSent(page=page.id, incident=page.incident, person=page.person, channel=channel, outcome=outcome)
    return after(one, fact)


def test_a_doubtful_run_that_would_go_on_all_night_wakes_for_eight_hours_and_not_for_less_than_sleep_is_worth() -> None:
    _, (page,) = ticked(state(worth=5.0))
    assert (page.verdict, page.because, page.person, page.biggest) == ("page", "dear", "mina", "idle")
    assert page.waiting == pytest.approx(8.0) and page.waking == 5.0 and page.awake_at == NIGHT + 8 * HOUR
    _, (page,) = ticked(state(worth=9.0))
    assert (page.verdict, page.because) == ("wait", "sleep")


def test_a_default_that_pauses_ends_the_waste_at_its_deadline_if_other_trials_use_the_device() -> None:
    assert ticked(state(default="pause", waiting=3))[1][0].waiting == pytest.approx(0.5)
    assert ticked(state(default="pause", waiting=0))[1][0].waiting == pytest.approx(8.0)  # then it idles


def test_a_default_that_throws_training_away_before_the_morning_counts_half_of_what_was_trained() -> None:
    trouble = stakes(state(default="stop", waiting=3), state(default="stop").incidents["i1"])
    assert trouble.late_cost == pytest.approx(0.5 * 2.0)  # an hour before, and an hour now
    assert ticked(state(default="stop", waiting=3))[1][0].waiting == pytest.approx(0.5 + 1.0)


def test_nothing_is_idle_after_the_shift_has_ended() -> None:
    assert ticked(state(ends_h=2.0))[1][0].waiting == pytest.approx(2.0)


def test_who_is_awake_is_told_at_once_and_it_costs_no_sleep() -> None:
    _, (page,) = ticked(state(NOON))
    assert (page.verdict, page.because, page.waking) == ("page", "awake", 0.0)


def test_a_held_trial_whose_device_others_use_is_left_to_the_brief_and_one_whose_device_idles_is_not() -> None:
    _, (page,) = ticked(state(held=True, waiting=2))
    assert (page.verdict, page.because) == ("leave", "nothing")
    _, (page,) = ticked(state(held=True))
    assert (page.verdict, page.waiting) == ("page", pytest.approx(8.0))


def test_an_incident_that_asks_nothing_is_not_weighed() -> None:
    assert not decide(state(asked=False)) and not decide(replace(state(), ending="over"))


def test_without_a_channel_nobody_is_paged_and_the_reason_says_so() -> None:
    mute = replace(ROTA, people={name: replace(person, channels=()) for name, person in ROTA.people.items()})
    (decision,) = decide(state(rota=mute))
    assert decision.verb == "wait" and decision.pages[0].because == "no channel" and "no channel" in decision.reason


def test_every_verdict_is_explained_in_one_line() -> None:
    for one in (state(), state(worth=50), state(NOON), state(held=True, waiting=2)):
        (decision,) = decide(one)
        assert "\n" not in decision.reason and ("i1" in decision.reason or "device-hours" in decision.reason)


def test_one_incident_is_one_page_until_three_times_as_much_is_at_stake() -> None:
    one, (page,) = ticked(state())
    assert ticked(one)[1] == []  # while it is on its way
    one = sent(one, page)
    assert ticked(one)[1] == [] and ticked(replace(one, now_s=one.now_s + 2 * HOUR))[1] == []
    assert judge(one, "i1", Trouble(idle_devices=2.9), behind(one)) is None
    again = judge(one, "i1", Trouble(idle_devices=3.1), behind(one))
    assert again is not None and again.verb == "page" and again.pages[0].paged == pytest.approx(24.8)


def test_somebody_else_who_comes_on_call_is_weighed_anew_and_paged_if_it_is_still_open() -> None:
    one, (page,) = ticked(state(ends_h=200.0))
    one = replace(sent(one, page), now_s=NIGHT + 3 * 24 * HOUR)  # Monday night: the turn is jonas's
    _, (again,) = ticked(one)
    assert (again.person, again.verdict, again.paged_to) == ("jonas", "page", "jonas")


def test_a_verdict_to_wait_is_written_down_once_and_becomes_a_page_when_the_person_wakes() -> None:
    one, (page,) = ticked(state(worth=50))
    assert page.verdict == "wait" and ticked(one)[1] == []
    assert ticked(replace(one, now_s=NIGHT + 2 * HOUR))[1] == []
    _, (page,) = ticked(replace(one, now_s=NIGHT + 8 * HOUR))
    assert (page.verdict, page.because) == ("page", "awake")


def test_a_page_whose_last_channel_failed_is_not_tried_again_and_the_next_channel_is_due_after_the_first() -> None:
    one, (page,) = ticked(state())
    assert one.pages["i1"].due() == "file:/a"
    one = sent(one, page, "failed")
    assert one.pages["i1"].due() == "file:/b" and ticked(one)[1] == []
    one = sent(one, page, "failed", "file:/b")
    assert one.pages["i1"].outcome == "failed" and not one.pages["i1"].due() and ticked(one)[1] == []


def test_an_outcome_of_another_page_or_a_second_one_changes_nothing() -> None:
    one, (page,) = ticked(state())
    done = sent(one, page)
    assert sent(done, page, "failed").pages == done.pages and sent(one, replace(page, id="g9")).pages == one.pages


MOMENTS = st.floats(0.0, 72.0)


@settings(deadline=None)
@given(st.lists(st.tuples(MOMENTS, st.floats(0.0, 64.0), st.booleans()), max_size=40), st.floats(0.0, 100.0))
def test_pages_of_one_incident_to_one_person_always_mean_three_times_as_much(
    ticks: list[tuple[float, float, bool]], worth: float
) -> None:
    one, pages = state(worth=worth), []
    for hours, devices, works in sorted(ticks):
        one = replace(one, now_s=NIGHT + hours * HOUR)
        decision = judge(one, "i1", Trouble(idle_devices=devices), behind(one))
        if decision is None:
            continue
        made = arbitrate(one, [decision])
        one = after(one, *made)
        (page,) = [fact.page for fact in made if isinstance(fact, facts.PageWeighed)]
        if page.verdict == "page":
            assert page.waiting > page.waking and (page.because == "awake") == (page.awake_at == one.now_s)
            pages.append(page)
            one = sent(one, page, "sent" if works else "failed")
            one = one if works else sent(one, page, "failed", "file:/b")
    for before, later in pairwise(pages):
        assert later.person != before.person or later.waiting >= 3 * before.waiting


@settings(deadline=None)
@given(st.floats(0.0, 48.0), st.floats(0.0, 64.0))
def test_in_quiet_hours_nobody_is_paged_for_less_than_a_broken_night(hours: float, devices: float) -> None:
    one = replace(state(worth=20.0), now_s=NOON + hours * HOUR)
    decision = judge(one, "i1", Trouble(idle_devices=devices), behind(one))
    assert decision is not None
    page, quiet = decision.pages[0], not 8 <= (12 + hours) % 24 < 22
    assert (page.awake_at > one.now_s) == quiet
    if quiet and page.waiting <= 20.0:
        assert page.verdict != "page"


REMIND = 1200.0


def later(one: State, minutes: float) -> State:
    return replace(one, now_s=one.now_s + 60 * minutes)


def test_a_page_that_nobody_answers_is_sent_once_more_and_then_to_the_next_on_call_and_then_no_more() -> None:
    one, (page,) = ticked(state(remind_s=REMIND))
    assert not page.reminder and ticked(later(one, 25))[1] == [], "one that is on its way is not sent again"
    one = sent(one, page)
    assert ticked(later(one, 19))[1] == []
    one, (again,) = ticked(later(one, 21))
    assert (again.person, again.reminder, again.reminders) == ("mina", True, 1) and again.id != page.id
    assert one.pages["i1"].due() == "file:/a"
    one = sent(one, again)
    assert ticked(later(one, 19))[1] == []
    one, (other,) = ticked(later(one, 21))
    assert (other.person, other.reminder, other.reminders, other.paged_to) == ("jonas", True, 2, "mina")
    one = sent(one, other)
    assert [ticked(later(one, minutes))[1] for minutes in (1, 30, 90, 300)] == [[]] * 4


def test_who_comes_on_call_later_is_paged_and_no_more_reminded_once_two_reminders_were_sent() -> None:
    one, (page,) = ticked(state(remind_s=REMIND, ends_h=200.0))
    for _ in range(2):
        one, (page,) = ticked(later(sent(one, page), 21))
    one, (page,) = ticked(replace(sent(one, page), now_s=NIGHT + 3 * 24 * HOUR))  # Monday night: the turn is jonas's
    assert (page.person, page.reminder, page.reminders) == ("jonas", False, 2)
    assert ticked(later(sent(one, page), 21))[1] == []


def test_an_answer_ends_the_reminders() -> None:
    one, (page,) = ticked(state(remind_s=REMIND))
    one = sent(one, page)
    incident = one.incidents["i1"]
    answered = replace(incident.questions[0], answer="leave", answered_by="mina")
    one = replace(one, incidents={"i1": replace(incident, questions=(answered,))})
    assert ticked(later(one, 60))[1] == []


def test_nobody_is_reminded_where_that_is_off_or_no_channel_took_the_page_or_nobody_else_is_there() -> None:
    one, (page,) = ticked(state())
    assert ticked(later(sent(one, page), 60))[1] == []
    one, (page,) = ticked(state(remind_s=REMIND))
    failed = sent(sent(one, page, "failed"), page, "failed", "file:/b")
    assert ticked(later(failed, 60))[1] == []
    one, (page,) = ticked(state(remind_s=REMIND, rota=replace(ROTA, order=("mina",))))
    one, (again,) = ticked(later(sent(one, page), 21))
    assert again.person == "mina" and ticked(later(sent(one, again), 60))[1] == []


def test_the_next_is_woken_only_where_waiting_costs_more_than_that_sleep() -> None:
    one, (page,) = ticked(state(worth=7.5, remind_s=REMIND))  # eight hours of one device are at stake, and less with each
    one, (again,) = ticked(later(sent(one, page), 21))
    assert again.waiting == pytest.approx(7.65) and ticked(later(sent(one, again), 21))[1] == []


@settings(deadline=None)
@given(st.lists(st.tuples(MOMENTS, st.booleans()), max_size=40), st.floats(0.0, 12.0))
def test_of_one_incident_there_are_at_most_two_reminders_each_after_its_time(ticks: list[tuple[float, bool]], worth: float) -> None:
    one, pages = state(worth=worth, remind_s=REMIND, ends_h=400.0), []
    for hours, works in sorted(ticks):
        one, made = ticked(replace(one, now_s=NIGHT + hours * HOUR))
        for page in made:
            if page.verdict == "page":
                pages.append(page)
                one = sent(one, page, "sent" if works else "failed")
                one = one if works else sent(one, page, "failed", "file:/b")
    assert sum(page.reminder for page in pages) <= 2
    for before, after_it in pairwise(pages):
        assert not after_it.reminder or after_it.at >= before.at + REMIND
    by_person = {page.person: sum(one.person == page.person for one in pages) for page in pages}
    assert max(by_person.values(), default=0) <= 2 + 2  # a turn's first page, one for three times as much, and the reminders

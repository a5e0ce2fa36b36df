"""Exactly one person on call at any instant, and nobody woken for less than their sleep is worth."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.oncall.calendars import calendar
from secondshift.policies.oncall.rota import awake_at, by_turns, duties, on_call, rota_day, zone
from secondshift.policies.oncall.waking import Trouble, weigh
from secondshift.records.studies import Cover, Days, Person, Quiet, Rota, Swap

ZONES = [
    "UTC",
    "Asia/Seoul",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
]
HOUR = 3600.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def stretches(names: list[str]) -> st.SearchStrategy[tuple[Days, ...]]:
    first = st.dates(date(2026, 1, 1), date(2026, 12, 31))
    return st.lists(
        st.builds(lambda day, more: Days(first=day, last=day + timedelta(days=more)), first, st.integers(0, 9)),
        max_size=3,
    ).map(tuple)


@st.composite
def rotas(draw: st.DrawFn) -> Rota:
    names = [f"p{n}" for n in range(draw(st.integers(1, 4)))]
    people = {
        name: Person(
            name=name, zone=draw(st.sampled_from(ZONES)), away=draw(stretches(names)), holidays=draw(stretches(names))
        )
        for name in names
    }  # fmt: skip
    swaps = tuple(Swap(days=days, who=draw(st.sampled_from(names))) for days in draw(stretches(names)))
    begins = st.floats(at("2026-01-01T00:00+00:00"), at("2026-12-31T00:00+00:00"))
    covers = draw(st.lists(st.tuples(begins, st.floats(60.0, 9 * 24 * HOUR), st.sampled_from(names)), max_size=3))
    taken = tuple(Cover(begins=b, ends=b + long, who=who, why="hand-over") for b, long, who in covers)
    hour = time(draw(st.integers(0, 23)), draw(st.sampled_from([0, 30])))
    return Rota(
        people=people, order=tuple(names), starts=draw(st.dates(date(2025, 12, 1), date(2026, 6, 1))),
        days=draw(st.integers(1, 10)), handover=hour, zone=draw(st.sampled_from(ZONES)), swaps=swaps, covers=taken,
    )  # fmt: skip


MOMENTS = st.floats(at("2026-01-01T00:00+00:00"), at("2026-12-31T00:00+00:00"))


@settings(deadline=None)  # a busy machine is no fault
@given(rotas(), MOMENTS, st.floats(1.0, 40 * 24 * HOUR), st.lists(st.floats(0, 1), max_size=8))
def test_exactly_one_person_is_on_call_at_any_instant(
    rota: Rota, begins: float, length: float, inside: list[float]
) -> None:
    ends = begins + length
    found = duties(rota, begins, ends)
    assert found[0].begins == begins and found[-1].ends == ends
    assert all(one.ends == two.begins for one, two in pairwise(found))  # no gap, no overlap
    assert all(duty.begins < duty.ends and duty.person in rota.people for duty in found)
    for share in inside:
        moment = min(begins + share * length, ends - 1e-3)
        duty = next(duty for duty in found if duty.begins <= moment < duty.ends)
        assert on_call(rota, moment) == (duty.person, duty.why, duty.instead_of)


@settings(deadline=None)  # a busy machine is no fault
@given(rotas(), MOMENTS, st.floats(0.0, 9 * 24 * HOUR))
def test_a_duty_in_a_calendar_begins_at_the_same_moment_whenever_it_is_exported(
    rota: Rota, begins: float, passed: float
) -> None:
    later, ends = begins + passed, begins + 20 * 24 * HOUR
    first, second = by_turns(rota, begins, ends), by_turns(rota, later, ends)
    assert [duty for duty in first if duty.ends > later] == second
    assert first[0].begins <= begins and first[-1].ends >= ends
    assert all(one.ends == two.begins for one, two in pairwise(first))
    assert all(on_call(rota, duty.begins)[0] == duty.person for duty in first)


@settings(deadline=None)  # a busy machine is no fault
@given(rotas(), MOMENTS)
def test_nobody_is_on_call_on_days_off_unless_everybody_is(rota: Rota, moment: float) -> None:
    person, why, _ = on_call(rota, moment)

    def off(name: str, *, holidays: bool = True) -> bool:
        day = datetime.fromtimestamp(moment, ZoneInfo(rota.people[name].zone)).date()
        stretches = (*rota.people[name].away, *(rota.people[name].holidays if holidays else ()))
        return any(days.holds(day) for days in stretches)

    if why == "nobody is free":
        assert all(map(off, rota.order))
    elif why in ("swap", "hand-over"):
        assert not off(person, holidays=False)  # who took it over knew of the holiday
    elif why == "stands in":
        assert not off(person)
    else:
        assert not off(person, holidays=False)


@settings(deadline=None)  # a busy machine is no fault
@given(rotas(), MOMENTS)
def test_days_of_the_rota_follow_each_other_through_clock_changes(rota: Rota, moment: float) -> None:
    day = rota_day(rota, moment)
    assert rota_day(rota, moment + 22 * HOUR) - day in (timedelta(0), timedelta(days=1))
    assert rota_day(rota, moment + 26 * HOUR) - day in (timedelta(days=1), timedelta(days=2))


SEOUL = Person(name="mina", zone="Asia/Seoul", quiet=Quiet(begins=time(23), ends=time(7)))
BERLIN = Person(name="jonas", zone="Europe/Berlin", quiet=Quiet(begins=time(22), ends=time(8)))
TWO = Rota(
    people={"mina": SEOUL, "jonas": BERLIN}, order=("mina", "jonas"), starts=date(2026, 11, 23), zone="Asia/Seoul"
)


def test_a_turn_begins_at_the_handover_of_its_first_day_and_goes_to_the_next_in_order() -> None:
    assert on_call(TWO, at("2026-11-23T08:59:59+09:00"))[0] == "jonas"
    assert on_call(TWO, at("2026-11-23T09:00:00+09:00"))[0] == "mina"
    assert on_call(TWO, at("2026-11-30T08:59:59+09:00"))[0] == "mina"
    assert on_call(TWO, at("2026-11-30T09:00:00+09:00"))[0] == "jonas"


def test_a_holiday_is_stood_in_for_by_the_persons_own_calendar_and_a_swap_wins_over_the_order() -> None:
    off = replace(SEOUL, away=(Days(first=date(2026, 11, 25), last=date(2026, 11, 25)),))
    rota = replace(TWO, people={**TWO.people, "mina": off})
    assert on_call(rota, at("2026-11-24T23:59:59+09:00")) == ("mina", "turn", "mina")
    assert on_call(rota, at("2026-11-25T00:00:00+09:00")) == ("jonas", "stands in", "mina")
    assert on_call(rota, at("2026-11-26T00:00:00+09:00")) == ("mina", "turn", "mina")
    swapped = replace(TWO, swaps=(Swap(days=Days(first=date(2026, 11, 24), last=date(2026, 11, 24)), who="jonas"),))
    assert on_call(swapped, at("2026-11-24T12:00:00+09:00")) == ("jonas", "swap", "mina")
    assert on_call(swapped, at("2026-11-25T12:00:00+09:00")) == ("mina", "turn", "mina")


CHRISTMAS = Days(first=date(2026, 12, 25), last=date(2026, 12, 25))


def test_a_public_holiday_goes_to_whoever_has_none_and_is_kept_by_who_took_it_over() -> None:
    off = replace(BERLIN, holidays=(CHRISTMAS,))
    rota = replace(TWO, people={"mina": SEOUL, "jonas": off}, starts=date(2026, 11, 30))
    noon = at("2026-12-25T12:00+01:00")
    assert on_call(rota, noon) == ("mina", "stands in", "jonas")
    taken = Cover(begins=noon - HOUR, ends=noon + HOUR, who="jonas", why="hand-over")
    assert on_call(replace(rota, covers=(taken,)), noon) == ("jonas", "turn", "jonas")
    away = replace(off, away=(CHRISTMAS,))
    assert on_call(replace(rota, people={"mina": SEOUL, "jonas": away}, covers=(taken,)), noon)[0] == "mina"


def test_who_is_on_call_on_a_holiday_because_nobody_is_free_is_left_in_peace_as_at_night() -> None:
    off = replace(SEOUL, holidays=(CHRISTMAS,))
    assert on_call(Rota(people={"mina": off}, order=("mina",)), at("2026-12-25T12:00+09:00"))[1] == "nobody is free"
    assert awake_at(off, at("2026-12-25T12:00+09:00")) == at("2026-12-26T07:00+09:00")  # the day, and the night after it
    assert awake_at(off, at("2026-12-24T23:30+09:00")) == at("2026-12-26T07:00+09:00")


def test_the_latest_cover_wins_and_one_by_somebody_unknown_counts_for_nothing() -> None:
    first = Cover(begins=NOON, ends=NOON + 8 * HOUR, who="jonas", why="hand-over")
    later = Cover(begins=NOON + HOUR, ends=NOON + 2 * HOUR, who="mina", why="swap")
    rota = replace(TWO, covers=(first, later, replace(later, who="gone")))
    found = [(duty.person, duty.begins - NOON) for duty in duties(rota, NOON, NOON + 9 * HOUR)]
    assert found == [("jonas", 0.0), ("mina", HOUR), ("jonas", 2 * HOUR), ("mina", 8 * HOUR)]


def test_a_rota_in_utc_needs_no_tz_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> ZoneInfo:
        raise KeyError(name)

    monkeypatch.setattr("secondshift.policies.oncall.rota.ZoneInfo", none)
    zone.cache_clear()
    assert on_call(Rota(people={"you": Person(name="you")}, order=("you",)), NOON)[0] == "you"


def test_an_empty_rota_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        on_call(Rota(), 0.0)


@given(MOMENTS, st.sampled_from(ZONES), st.times(), st.times())
def test_a_sleeper_wakes_within_a_day_and_is_awake_then(moment: float, zone: str, begins: time, ends: time) -> None:
    begins, ends = begins.replace(microsecond=0), ends.replace(microsecond=0)
    person = Person(name="p", zone=zone, quiet=Quiet(begins=begins, ends=ends))
    awake = awake_at(person, moment)
    assert moment <= awake <= moment + 26 * HOUR
    if begins != ends:
        assert awake_at(person, awake) == awake


def test_quiet_hours_that_pass_midnight_are_known_from_both_sides() -> None:
    assert awake_at(SEOUL, at("2026-11-24T23:30+09:00")) == at("2026-11-25T07:00+09:00")
    assert awake_at(SEOUL, at("2026-11-25T03:00+09:00")) == at("2026-11-25T07:00+09:00")
    assert awake_at(SEOUL, at("2026-11-25T12:00+09:00")) == at("2026-11-25T12:00+09:00")


NIGHT, NOON = at("2026-11-25T01:00+09:00"), at("2026-11-25T12:00+09:00")


def test_one_idle_device_of_a_night_that_goes_on_wakes_nobody() -> None:
    found = weigh(Trouble(idle_devices=1, used_otherwise=1.0), SEOUL, now=NIGHT, sleep_worth=20)
    assert (found.page, found.waiting, found.hours) == (False, 0.0, 6.0)


def test_eight_idle_devices_until_morning_cost_more_than_sleep() -> None:
    found = weigh(Trouble(idle_devices=8), SEOUL, now=NIGHT, sleep_worth=20)
    assert (found.page, found.waiting, found.waking, found.biggest) == (True, 48.0, 20, "idle")


def test_who_is_awake_is_told_as_soon_as_anything_is_at_stake() -> None:
    assert weigh(Trouble(idle_devices=0.1), SEOUL, now=NOON, sleep_worth=20).page
    assert not weigh(Trouble(), SEOUL, now=NOON, sleep_worth=20).page


def test_a_deadline_before_the_morning_counts_and_one_after_it_does_not() -> None:
    early = Trouble(deadline_at=at("2026-11-25T05:00+09:00"), late_cost=100)
    late = Trouble(deadline_at=at("2026-11-25T08:00+09:00"), late_cost=100)
    assert weigh(early, SEOUL, now=NIGHT, sleep_worth=20).biggest == "deadline"
    assert not weigh(late, SEOUL, now=NIGHT, sleep_worth=20).page


@given(st.floats(0, 64), st.floats(0, 1), st.floats(0, 1e4), st.floats(0, 1), MOMENTS, st.floats(0, 100))
def test_more_at_stake_never_pages_less(
    devices: float, used: float, risk: float, chance: float, now: float, worth: float
) -> None:
    one = Trouble(idle_devices=devices, used_otherwise=used, at_risk=risk, risk_an_hour=chance)
    two = Trouble(idle_devices=devices + 1, used_otherwise=used, at_risk=risk, risk_an_hour=chance)
    assert weigh(two, SEOUL, now=now, sleep_worth=worth).page >= weigh(one, SEOUL, now=now, sleep_worth=worth).page
    assert weigh(one, SEOUL, now=now, sleep_worth=worth).page >= weigh(one, SEOUL, now=now, sleep_worth=worth + 1).page


@given(st.text(min_size=1, max_size=200))
def test_a_calendar_keeps_to_its_lines_whatever_a_name_holds(name: str) -> None:
    person = Person(name=name)
    rota = Rota(people={name: person}, order=(name,))
    text = calendar(duties(rota, NIGHT, NIGHT + 40 * HOUR), title="lab", now=NOON)
    lines = text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR" and lines[-2:] == ["END:VCALENDAR", ""]
    assert all(len(line.encode()) <= 75 for line in lines)
    assert sum(line == "BEGIN:VEVENT" for line in lines) == 1
    joined = text.replace("\r\n ", "")
    assert datetime.fromtimestamp(NIGHT, UTC).strftime("DTSTART:%Y%m%dT%H%M%SZ") in joined


def test_somebody_who_is_away_is_stood_in_for() -> None:
    off = Days(first=date(2027, 1, 11), last=date(2027, 1, 17))
    people = {"mina": Person(name="mina", away=(off,)), "jonas": Person(name="jonas")}
    rota = Rota(people=people, order=("mina", "jonas"), starts=date(2027, 1, 11), zone="UTC")
    noon = datetime(2027, 1, 13, 12, tzinfo=ZoneInfo("UTC")).timestamp()
    assert on_call(rota, noon) == ("jonas", "stands in", "mina")

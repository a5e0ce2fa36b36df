"""[oncall]: every mistake in who stands behind the captain, and the rota that the table describes."""

# pyright: reportUnnecessaryTypeIgnoreComment=false
# The package holidays is an extra: types are checked with it and without it.

import os
from collections.abc import Iterable
from datetime import date, time
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from secondshift.config.mistakes import Given, Notebook, nearest
from secondshift.config.tables import DaysTable, OncallTable, PersonTable, StudyFile
from secondshift.records.studies import Days, Oncall, Person, Quiet, Rota, Swap

ALONE = "you"  # the one person of a file that names nobody
LONGEST = 60  # letters of a name
_PLACES = "zoneinfo/"


class _NoHolidays(Exception):
    """Public holidays of a country cannot be known; carries what was expected instead, and what to do."""

    def __init__(self, expected: str, advice: str = "") -> None:
        super().__init__(expected)
        self.advice = advice


def check_oncall(table: OncallTable, notes: Notebook) -> None:
    """Note people that are not there, places that are none, days that end before they begin, holidays that nobody knows."""
    _check_place(table, (), notes)
    for name, person in table.people.items():
        if not name.isprintable() or len(name) > LONGEST or name != name.strip():
            expected = f"a name of at most {LONGEST} letters, without line breaks or spaces around it"
            notes.add(("oncall", "people", name), got=name, expected=expected)
        _check_place(person, ("people", name), notes)
        for place, days in enumerate(person.away):
            _check_days(days, ("people", name, "away", place), notes)
    names = tuple(table.people) or (ALONE,)
    for place, name in enumerate(table.order):
        _check_name(name, ("order", place), names, notes)
        if name in table.order[:place]:
            notes.add(("oncall", "order", place), got=name, expected="each person once in the order")
    for place, swap in enumerate(table.swaps):
        _check_name(swap.who, ("swaps", place, "who"), names, notes)
        _check_days(swap, ("swaps", place), notes)


def _check_name(name: str, key: tuple[str | int, ...], names: tuple[str, ...], notes: Notebook) -> None:
    if name not in names:
        advice = nearest(name, names) or f"Add a table [oncall.people.{name}]."
        notes.add(("oncall", *key), got=name, expected="one of the people: " + ", ".join(names), advice=advice)


def _check_days(days: DaysTable, key: tuple[str | int, ...], notes: Notebook) -> None:
    if days.last is not None and days.last < days.first:
        got = Given(f"{days.first} to {days.last}")
        notes.add(("oncall", *key), got=got, expected="a last day that is not before the first")


def _check_place(table: OncallTable | PersonTable, key: tuple[str, ...], notes: Notebook) -> None:
    if table.zone and not _is_zone(table.zone):
        advice = nearest(table.zone, available_timezones())
        notes.add(("oncall", *key, "zone"), got=table.zone, expected='a time zone such as "Asia/Seoul"', advice=advice)
    if table.country:
        try:
            public_holidays(table.country, date.today().year)
        except _NoHolidays as problem:
            path = ("oncall", *key, "country")
            notes.add(path, got=table.country, expected=str(problem), advice=problem.advice)


def _is_zone(name: str) -> bool:
    if name == "UTC":
        return True  # also in an image without a tz database
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, a path that leaves the folder, a folder
        return False
    return True


def public_holidays(country: str, year: int) -> tuple[Days, ...]:
    """The public holidays of a country ("KR") or a part of it ("DE-BY") in a year and the next, in order.

    Raises _NoHolidays where the package holidays is missing or does not know the country.
    """
    try:
        import holidays  # pyright: ignore[reportMissingImports]  # optional: the extra `oncall`
    except ImportError:
        advice = "Install it with: pip install 'secondshift[oncall]', or list the days under `away`."
        raise _NoHolidays("no country while the package holidays is not installed", advice) from None
    known = holidays.list_supported_countries()
    code, _, part = country.partition("-")
    if code not in known:
        raise _NoHolidays('a country by its two letters, such as "KR", or "DE-BY"', nearest(code, known))
    if part and part not in known[code]:
        parts = ", ".join(f"{code}-{one}" for one in known[code]) or "none"
        raise _NoHolidays(f"one of the parts of {code}: {parts}")
    found = holidays.country_holidays(code, subdiv=part or None, years=(year, year + 1))
    return tuple(Days(first=day, last=day) for day in sorted(found))


def oncall_of(file: StudyFile) -> Oncall:
    """Make the rota of a table without mistakes. Places that are not named are this machine's."""
    table = file.oncall
    here = table.zone or local_zone()
    people = {name: _person(name, person, table, here, file.notify.lang) for name, person in table.people.items()}
    if not people:
        people = {ALONE: _person(ALONE, PersonTable(), table, here, file.notify.lang)}
    rota = Rota(
        people=people, order=tuple(table.order) or tuple(people), starts=table.starts, days=table.days,
        handover=time.fromisoformat(table.handover), zone=here,
        swaps=tuple(Swap(days=_days((swap,))[0], who=swap.who) for swap in table.swaps),
    )  # fmt: skip
    return Oncall(
        rota=rota, sleep_worth=table.sleep_worth, remind_s=table.remind_after, dead_man_url=table.dead_man_url,
        dead_man_every_s=table.dead_man_every,
    )  # fmt: skip


def _person(name: str, person: PersonTable, table: OncallTable, here: str, lang: str) -> Person:
    country = person.country or table.country
    return Person(
        name=name, zone=person.zone or here, quiet=_quiet(person.quiet_hours or table.quiet_hours),
        away=_days(person.away), holidays=public_holidays(country, date.today().year) if country else (),
        channels=tuple(person.channels or table.channels), lang=person.lang or ("ko" if lang == "ko" else "en"),
    )  # fmt: skip


def _days(stretches: Iterable[DaysTable]) -> tuple[Days, ...]:
    return tuple(Days(first=days.first, last=days.last or days.first) for days in stretches)


def _quiet(hours: str) -> Quiet | None:
    begins, _, ends = hours.partition("-")
    return Quiet(begins=time.fromisoformat(begins), ends=time.fromisoformat(ends)) if hours else None


def local_zone() -> str:
    """The IANA name of this machine's time zone, by TZ or /etc/localtime; UTC where neither says one."""
    named = os.environ.get("TZ", "").removeprefix(":")
    linked = os.path.realpath(Path("/etc/localtime")).partition(_PLACES)[2]
    return next((name for name in (named, linked) if name and _is_zone(name)), "UTC")

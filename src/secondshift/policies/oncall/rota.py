"""Who is on call: exactly one person at any instant, whatever clocks, holidays and swaps do.

A day of the rota lasts from one handover to the next, in the rota's zone, and may have 23 or 25 hours. A turn is a number of
such days. Who is away, or has a public holiday, in the middle of a turn is stood in for by the next in order who is free. Who
took over by a swap or a hand-over said so, and keeps it on a public holiday; only time off is stronger.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from secondshift.records.rotas import Duty, Why
from secondshift.records.studies import Days, Person, Quiet, Rota

DAY = timedelta(days=1)
MOST_RESTS = 1000  # quiet hours and days off in a row that are followed to their end


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC also where no tz database is. Raises ZoneInfoNotFoundError for what is none."""
    return UTC if name == "UTC" else ZoneInfo(name)


def instant(day: date, hour: time, place: str) -> float:
    """UTC seconds at an hour of a day; an hour that the clocks skip is taken as if they had not been put forward yet."""
    return datetime.combine(day, hour, zone(place)).timestamp()


def local(at: float, place: str) -> datetime:
    """What the clock of a zone shows at `at`, UTC seconds."""
    return datetime.fromtimestamp(at, zone(place))


def rota_day(rota: Rota, at: float) -> date:
    """The day of the rota that `at` (UTC seconds) belongs to."""
    day = local(at, rota.zone).date()
    while at < instant(day, rota.handover, rota.zone):
        day -= DAY
    while at >= instant(day + DAY, rota.handover, rota.zone):
        day += DAY
    return day


def on_call(rota: Rota, at: float) -> tuple[str, Why, str]:
    """Name who is on call at `at` (UTC seconds), why, and whose turn it would have been.

    Raises ValueError for a rota without people.
    """
    if not rota.order:
        raise ValueError("The rota has no one in it; expected at least one name. Give [oncall] an order of people.")
    day = rota_day(rota, at)
    turn = (day - rota.starts).days // rota.days % len(rota.order)
    owner = rota.order[turn]
    taken, why = _taken(rota, day, at)
    if taken:
        return taken, ("turn" if taken == owner else why), owner
    if _free(rota, owner, at):
        return owner, "turn", owner
    later = (rota.order[(turn + step) % len(rota.order)] for step in range(1, len(rota.order)))
    stand_in = next((name for name in later if _free(rota, name, at)), None)
    return (owner, "nobody is free", owner) if stand_in is None else (stand_in, "stands in", owner)


def turn_ends(rota: Rota, at: float) -> float:
    """When the turn that `at` (UTC seconds) belongs to ends, whoever stands in it."""
    turns = (rota_day(rota, at) - rota.starts).days // rota.days + 1
    return instant(rota.starts + turns * rota.days * DAY, rota.handover, rota.zone)


def by_turns(rota: Rota, begins: float, ends: float) -> list[Duty]:
    """The duties of every turn from the one that `begins` (UTC seconds) falls into, each cut where its turn ends.

    So a duty begins at the same moment whenever it is asked for, as an entry of a calendar has to.
    """
    found: list[Duty] = []
    turn = (rota_day(rota, begins) - rota.starts).days // rota.days
    at = instant(rota.starts + turn * rota.days * DAY, rota.handover, rota.zone)
    while at < ends:
        until = turn_ends(rota, at)
        found += duties(rota, at, until)
        at = until
    return [duty for duty in found if duty.ends > begins]


def _taken(rota: Rota, day: date, at: float) -> tuple[str, Why]:
    """Who took this moment over from its owner, if anybody did who is not away."""
    for cover in reversed(rota.covers):
        if cover.begins <= at < cover.ends and cover.who in rota.people and not _away(rota, cover.who, at):
            return cover.who, cover.why
    swap = next((swap for swap in reversed(rota.swaps) if swap.days.holds(day)), None)
    return (swap.who, "swap") if swap is not None and not _away(rota, swap.who, at) else ("", "turn")


def _away(rota: Rota, name: str, at: float) -> bool:
    person = rota.people[name]
    return _holds(person.away, local(at, person.zone).date())


def _free(rota: Rota, name: str, at: float) -> bool:
    person = rota.people[name]
    return not _holds((*person.away, *person.holidays), local(at, person.zone).date())


def _holds(stretches: tuple[Days, ...], day: date) -> bool:
    return any(days.holds(day) for days in stretches)


def duties(rota: Rota, begins: float, ends: float) -> list[Duty]:
    """Cut a stretch of time (UTC seconds) into duties: they follow each other without a gap, and none overlap."""
    if ends <= begins:
        return []
    found: list[Duty] = []
    for start, end in pairwise(_edges(rota, begins, ends)):
        person, why, instead = on_call(rota, start)
        last = found[-1] if found else None
        if last is not None and (last.person, last.why, last.instead_of) == (person, why, instead):
            found[-1] = Duty(begins=last.begins, ends=end, person=person, why=why, instead_of=instead)
        else:
            found.append(Duty(begins=start, ends=end, person=person, why=why, instead_of=instead))
    return found


def _edges(rota: Rota, begins: float, ends: float) -> list[float]:
    """Every instant at which another person may come on call: handovers, and midnights of the people's own calendars."""
    edges = {begins, ends}
    clocks = {(rota.zone, rota.handover), *((rota.people[name].zone, time(0)) for name in rota.order)}
    others = {*(swap.who for swap in rota.swaps), *(cover.who for cover in rota.covers)}
    clocks |= {(rota.people[name].zone, time(0)) for name in others if name in rota.people}
    edges |= {edge for cover in rota.covers for edge in (cover.begins, cover.ends) if begins < edge < ends}
    for place, hour in clocks:
        day = local(begins, place).date() - DAY
        while (edge := instant(day, hour, place)) < ends:
            if edge > begins:
                edges.add(edge)
            day += DAY
    return sorted(edges)


def awake_at(person: Person, at: float) -> float:
    """When the person is next to be disturbed: `at` itself, or the end of the rest it falls into (UTC seconds).

    Quiet hours are rest, and so is each whole day of time off or of a public holiday: somebody who is on call on such a day,
    because nobody else is free, is disturbed for no less than at night.
    """
    for _ in range(MOST_RESTS):
        later = _rests_until(person, at)
        if later <= at:
            break
        at = later
    return at


def _rests_until(person: Person, at: float) -> float:
    today = local(at, person.zone).date()
    if _holds((*person.away, *person.holidays), today):
        return instant(today + DAY, time(0), person.zone)
    quiet = person.quiet
    if quiet is not None and quiet.begins != quiet.ends:
        for day in (today - DAY, today):
            begins, ends = _night(quiet, day, person.zone)
            if begins <= at < ends:
                return ends
    return at


def _night(quiet: Quiet, day: date, place: str) -> tuple[float, float]:
    until = day + DAY if quiet.ends <= quiet.begins else day
    return instant(day, quiet.begins, place), instant(until, quiet.ends, place)

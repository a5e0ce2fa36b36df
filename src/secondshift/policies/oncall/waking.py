"""Wake or wait: a page is sent only where waiting costs more than sleep. Everything is counted in device-hours."""

from dataclasses import dataclass
from typing import Literal

from secondshift.policies.oncall.rota import awake_at
from secondshift.records.studies import Person


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What a person would be asked about, and what is at stake while nobody answers."""

    idle_devices: float = 0.0  # devices that stand still, or work for nothing, until somebody acts
    idle_until: float | None = None  # UTC seconds from which on it is `idle_after` instead, without anybody acting
    idle_after: float = 0.0  # devices that stand still then and that nothing else uses
    over_at: float | None = None  # UTC seconds when the shift ends, and nothing is idle any more
    used_otherwise: float = 0.0  # share of their time that other trials of the night can use, 0 to 1
    at_risk: float = 0.0  # device-hours of work that would be lost, if it comes to that
    risk_an_hour: float = 0.0  # chance in each hour of waiting that it does, 0 to 1
    deadline_at: float | None = None  # UTC seconds after which an answer comes too late
    late_cost: float = 0.0  # device-hours that missing the deadline would cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighing:
    """The two costs and what follows from them."""

    page: bool
    waiting: float  # expected device-hours
    waking: float  # device-hours; 0 for somebody who is awake
    hours: float  # until the person is awake
    biggest: Literal["nothing", "idle", "risk", "deadline"]  # what makes waiting dear


def weigh(trouble: Trouble, person: Person, *, now: float, sleep_worth: float) -> Weighing:
    """Weigh waiting until the person is awake against waking the person now.

    now: UTC seconds; sleep_worth: device-hours that one broken night counts for. Somebody who is awake is told at once, if
    there is anything to lose at all.
    """
    awake = awake_at(person, now)
    hours = (awake - now) / 3600.0
    waking = sleep_worth if hours > 0 else 0.0
    reach = max(hours, 1.0) if hours == 0 else hours  # for somebody awake: what an hour of not asking would cost
    idle = _idle(trouble, now, reach)
    chance = 1.0 - (1.0 - min(1.0, max(0.0, trouble.risk_an_hour))) ** reach
    risk = chance * trouble.at_risk
    late = trouble.late_cost if trouble.deadline_at is not None and now + reach * 3600.0 > trouble.deadline_at else 0.0
    parts: dict[Literal["idle", "risk", "deadline"], float] = {"idle": idle, "risk": risk, "deadline": late}
    biggest = max(parts, key=lambda name: parts[name])
    waiting = idle + risk + late
    return Weighing(
        page=waiting > waking, waiting=waiting, waking=waking, hours=hours, biggest=biggest if waiting else "nothing"
    )


def _idle(trouble: Trouble, now: float, hours: float) -> float:
    """Device-hours that stand idle in so many hours from now."""
    if trouble.over_at is not None:
        hours = min(hours, max(0.0, (trouble.over_at - now) / 3600.0))
    first = hours if trouble.idle_until is None else min(hours, max(0.0, (trouble.idle_until - now) / 3600.0))
    unused = 1.0 - min(1.0, max(0.0, trouble.used_otherwise))
    return first * trouble.idle_devices * unused + (hours - first) * trouble.idle_after

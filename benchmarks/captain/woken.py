"""How many of the captain's questions would wake somebody: each is weighed by the rota's own rules at the worst hour.

The question comes as the person falls asleep, eight hours before anybody looks, with the settings that ship: half an hour until its
default, which pauses the run, and a broken night worth twenty device-hours. A run that is alone loses half of what it had trained
if it is paused for nothing, as `stakes.py` counts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from secondshift.policies.oncall.stakes import OTHERWISE
from secondshift.policies.oncall.waking import Trouble, weigh
from secondshift.records.studies import Objective, Person, Quiet, Study

ASLEEP_S = 23 * 3600.0  # of a day in UTC
SHIPS = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=100)  # what nobody set
PERSON = Person(name="ada", quiet=Quiet(begins=time(23), ends=time(7)))


@dataclass(frozen=True, kw_only=True)
class House:
    """Where a run is trained."""

    name: str
    devices: int
    alone: bool  # no other trial could use its devices


HOUSES = (
    House(name="one device, a search", devices=1, alone=False),
    House(name="one device, one run", devices=1, alone=True),
    House(name="eight devices, a search", devices=8, alone=False),
    House(name="eight devices, one run", devices=8, alone=True),
)


def wakes(house: House, trained_h: float) -> bool:
    """Whether a question about a run that has trained for so many hours wakes somebody there."""
    deadline = ASLEEP_S + SHIPS.answer_within_s
    trouble = Trouble(
        idle_devices=house.devices, idle_until=deadline, idle_after=float(house.devices) if house.alone else 0.0,
        deadline_at=deadline, late_cost=OTHERWISE * trained_h * house.devices if house.alone else 0.0,
    )  # fmt: skip
    return weigh(trouble, PERSON, now=ASLEEP_S, sleep_worth=SHIPS.oncall.sleep_worth).page


def lines(asked_h: Sequence[float], hours: float) -> list[str]:
    """For people: of these questions, each asked after so many hours of training, how many would wake somebody."""
    told = []
    for house in HOUSES:
        woken = sum(wakes(house, trained_h) for trained_h in asked_h)
        told.append(f"  {house.name}: {woken} of {len(asked_h)} wake somebody, {woken / hours * 1000:.2f} per 1,000 hours")
    return told

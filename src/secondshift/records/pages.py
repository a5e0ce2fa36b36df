"""Pages: what was weighed for an incident, whether somebody is told now, and what became of it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["page", "wait", "leave"]  # leave: to the brief; nobody is told
Because = Literal[
    "dear",  # waiting costs more than sleep
    "awake",  # the person is awake, and something is at stake
    "sleep",  # sleep is worth more
    "nothing",  # nothing is lost by waiting
    "no channel",  # nobody can be reached
]
Biggest = Literal["nothing", "idle", "risk", "deadline"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What was weighed for one incident. All costs are device-hours."""

    id: str = ""  # given by arbitrate
    incident: str
    person: str
    verdict: Verdict
    because: Because
    waiting: float  # expected cost of waiting until the person is awake, or of an hour where the person is awake
    waking: float  # what waking the person counts for; 0 for somebody awake
    biggest: Biggest  # what makes waiting dear
    at: float  # UTC seconds when it was weighed
    awake_at: float  # UTC seconds when the person is next awake
    channels: tuple[str, ...] = ()  # where a page goes, the first that works
    paged: float = 0.0  # what was at stake when somebody was last paged about the incident, this page included; 0: nobody was
    paged_to: str = ""  # who that was
    reminder: bool = False  # sent again, or to the next person, because nobody had answered
    reminders: int = 0  # how many there were about the incident, this page included
    failed: tuple[str, ...] = ()  # channels that were tried and failed
    outcome: Literal["", "sent", "failed"] = ""  # of a page; failed: no channel took it

    def due(self) -> str:
        """The channel that the page has to go to next; empty if there is nothing to send."""
        left = [channel for channel in self.channels if channel not in self.failed]
        return left[0] if self.verdict == "page" and not self.outcome and left else ""

"""Facts about what went wrong and what was done about it. In the list of events.py."""

from dataclasses import dataclass

from secondshift.records.incidents import Act, Finding, Incident


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentOpened:
    """Something went wrong and was seen."""

    incident: Incident


@dataclass(frozen=True, kw_only=True, slots=True)
class SymptomSeen:
    """What the captain's detectors found in a run's streams: numbers, before anybody says what they mean."""

    trial: str
    attempt: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentAmended:
    """More is known about an incident, or something was done: the whole of it as it now stands."""

    incident: Incident
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialHelped:
    """The captain, or a person, does something to a trial because of an incident."""

    trial: str
    incident: str
    act: Act
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialReopened:
    """A trial may run again: what failed it was not its own doing, or a person took back that it was stopped."""

    trial: str
    reason: str
    decision: str
    by: str = ""  # the person who took it back; empty: the captain


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentClosed:
    """How an incident ended."""

    incident: str
    outcome: str

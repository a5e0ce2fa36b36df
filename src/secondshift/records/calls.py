"""Facts about the people behind the captain: who took over, what was weighed, which pages arrived. In the list of events.py."""

from dataclasses import dataclass

from secondshift.records.pages import Page
from secondshift.records.studies import Cover


@dataclass(frozen=True, kw_only=True, slots=True)
class DutyCovered:
    """Somebody takes over the watch for a stretch of time, as a person asked."""

    cover: Cover
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PageWeighed:
    """Waiting was weighed against waking for an incident; if the verdict is to page, nothing was sent before this."""

    page: Page
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PageSent:
    """A page was handed to one channel, or could not be; that channel is not tried again for it."""

    page: str
    incident: str
    person: str
    channel: str  # as in the study file; without secrets
    outcome: str  # sent or failed
    detail: str = ""  # what the receiver answered, or what went wrong; secrets masked

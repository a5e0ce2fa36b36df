"""The part of the fold that is about people: who took over, what was weighed, and which pages arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.records import events as facts

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft

KEPT_S = 40 * 86400.0  # a cover that ended so long ago is forgotten; the fact stays


def duty_covered(draft: Draft, fact: facts.DutyCovered, event: facts.Event) -> None:
    """Somebody takes over; the same request counts once."""
    if all(cover.id != fact.cover.id for cover in draft.covers):
        kept = tuple(cover for cover in draft.covers if cover.ends > event.at - KEPT_S)
        draft.put(covers=(*kept, fact.cover))


def page_weighed(draft: Draft, fact: facts.PageWeighed, event: facts.Event) -> None:
    """What was weighed last for an incident is what counts."""
    draft.put(pages_seen=draft.pages_seen + 1)
    draft.write("pages")[fact.page.incident] = fact.page


def page_sent(draft: Draft, fact: facts.PageSent, event: facts.Event) -> None:
    """One channel took a page, or did not; with the last one the page has failed."""
    page = draft.pages.get(fact.incident)
    if page is None or page.id != fact.page or page.outcome:
        return
    if fact.outcome == "sent":
        page = replace(page, outcome="sent")
    else:
        page = replace(page, failed=(*page.failed, fact.channel))
        page = page if page.due() else replace(page, outcome="failed")
    draft.write("pages")[fact.incident] = page


def shift_started(draft: Draft) -> None:
    """A page that an earlier shift could not send is weighed anew; incidents that are over are forgotten."""
    kept = {
        incident: page for incident, page in draft.pages.items() if incident in draft.incidents and not page.due()
    }
    if len(kept) != len(draft.pages):
        draft.put(pages=kept)

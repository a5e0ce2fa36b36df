"""Sleep kept: who was paged and why, who was not and why, and who took over the watch."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Told, Trace
from secondshift.interfaces.readmodel.duties import named, rough
from secondshift.records.events import DutyCovered, PageSent, PageWeighed
from secondshift.records.nights import Statement
from secondshift.records.pages import Page

MOST = 6  # of each kind, one by one


def sleep(night: Trace) -> Iterable[Statement]:
    """The section; one sentence where nobody was to be told of anything."""
    weighed, sent = night.of(PageWeighed), night.of(PageSent)
    pages = [told for told in weighed if told.fact.page.verdict == "page"]
    others = [told for told in weighed if told.fact.page.verdict != "page"]
    yield from _covered(night)
    if not weighed:
        yield Statement(key="sleep.none", facts=tuple(s for s in (night.started, night.ended) if s))
        return
    reached = {told.fact.page for told in sent if told.fact.outcome == "sent"}
    paged = {told.fact.page.incident for told in pages}
    avoided = [told for told in _last_of_each(others) if told.fact.page.incident not in paged]
    counts = {"sent": len(reached), "woken": sum(t.fact.page.because == "dear" for t in pages if t.fact.page.id in reached)}
    facts = tuple(sorted(told.seq for told in (*weighed, *sent)))
    yield Statement(key="sleep.counts", values={**counts, "avoided": len(avoided)}, facts=facts)
    for told in pages[:MOST]:
        yield _page(told, sent)
    for told in avoided[:MOST]:
        yield _kept(told)
    if more := [*pages[MOST:], *avoided[MOST:]]:
        yield Statement(key="sleep.more", values={"n": len(more)}, facts=tuple(sorted(told.seq for told in more)))


def _last_of_each(weighed: Iterable[Told[PageWeighed]]) -> list[Told[PageWeighed]]:
    """The newest verdict on each incident."""
    return list({told.fact.page.incident: told for told in weighed}.values())


def _page(told: Told[PageWeighed], sent: list[Told[PageSent]]) -> Statement:
    page = told.fact.page
    tries = [one for one in sent if one.fact.page == page.id]
    took = next((one for one in tries if one.fact.outcome == "sent"), None)
    facts = (told.seq, *(one.seq for one in tries))
    if took is None:
        key = "sleep.unreached" if tries else "sleep.unsent"
        return Statement(key=key, values={**_values(page), "detail": tries[-1].fact.detail if tries else "—"}, facts=facts)
    key = "sleep.reminded" if page.reminder else "sleep.paged" if page.because == "dear" else "sleep.told"
    return Statement(key=key, values={**_values(page), "channel": took.fact.channel}, facts=facts)


def _kept(told: Told[PageWeighed]) -> Statement:
    page = told.fact.page
    key = {"sleep": "waited", "no channel": "no_channel"}.get(page.because, "nothing_lost")
    return Statement(key=f"sleep.{key}", values=_values(page), facts=(told.seq,))


def _values(page: Page) -> dict[str, str | int | float]:
    return {
        "incident": page.incident, "person_word": named(page.person), "when_at": page.at, "waiting": rough(page.waiting),
        "waking": rough(page.waking), "awake_at": page.awake_at, "biggest_word": f"biggest_{page.biggest}",
    }  # fmt: skip


def _covered(night: Trace) -> Iterable[Statement]:
    for seq, _, fact in night.of(DutyCovered):
        cover = fact.cover
        values = {"person_word": named(cover.who), "from_at": cover.begins, "until_at": cover.ends, "who": cover.asked_by}
        key = "sleep.covered_note" if cover.note else "sleep.covered"
        yield Statement(key=key, values={**values, "note": cover.note}, facts=(seq,))

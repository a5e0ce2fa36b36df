"""Sending pages: what the state says is due, beside the ticks, with one recorded outcome for each channel that was tried."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.pages import Page
from secondshift.records.states import State
from secondshift.runtime.notify.channels import Outcome, send
from secondshift.runtime.notify.letters import Letter

Compose = Callable[[State, Page], Letter]  # what the person reads


@dataclass(slots=True)
class _Sending:
    """One page on its way to one channel."""

    page: Page
    channel: str
    thread: threading.Thread | None = None
    outcome: list[Outcome] = field(default_factory=list)


class Pager:
    """Sends each due page in a thread of its own: a slow receiver never holds up a tick.

    The page was recorded before, and its outcome is recorded as soon as there is one; an engine that dies between the two leaves
    a page that the next engine sends again, under the same id.
    """

    def __init__(self, *, pauses_s: tuple[float, ...] = (1.0, 4.0)) -> None:
        self.compose: Compose | None = None  # without one, nothing is sent
        self.pauses_s = pauses_s
        self._sending: dict[str, _Sending] = {}

    def busy(self) -> bool:
        """Say whether a page is on its way whose outcome is not recorded yet."""
        return bool(self._sending)

    def check(self, state: State, *, now_s: float) -> Sequence[facts.Payload]:
        """Start sending what is due; return the outcomes that came in. `now_s`: UTC seconds of the study clock."""
        out = self._outcomes(state, now_s)
        if out:
            return out  # recorded before the next channel is tried
        for page in state.pages.values():
            if self.compose is not None and page.due() and page.id not in self._sending and page.incident in state.incidents:
                self._start(state, page, self.compose)
        return ()

    def _start(self, state: State, page: Page, compose: Compose) -> None:
        sending = self._sending[page.id] = _Sending(page=page, channel=page.due())
        try:
            letter = compose(state, page)
        except Exception as error:  # a page that cannot be written must not end a night
            said = f"the page could not be written ({type(error).__name__}: {error})"
            sending.outcome.append(Outcome(sent=False, detail=said[:300]))
            return

        def hand_over() -> None:
            sending.outcome.append(send(sending.channel, letter, pauses_s=self.pauses_s))

        sending.thread = threading.Thread(target=hand_over, name=f"page {page.id}", daemon=True)
        sending.thread.start()

    def _outcomes(self, state: State, now_s: float) -> list[facts.Payload]:
        done = [sending for sending in self._sending.values() if sending.outcome]
        out: list[facts.Payload] = []
        for sending in done:
            page, outcome = sending.page, sending.outcome[0]
            del self._sending[page.id]
            out.append(
                facts.PageSent(
                    page=page.id, incident=page.incident, person=page.person, channel=sending.channel,
                    outcome="sent" if outcome.sent else "failed", detail=outcome.detail,
                )
            )  # fmt: skip
            left = [c for c in page.channels if c not in (*page.failed, sending.channel)]
            if not outcome.sent and not left:
                number = state.incidents_seen + 1 + sum(isinstance(one, facts.IncidentOpened) for one in out)
                out.append(facts.IncidentOpened(incident=_unreached(page, outcome, number, now_s)))
        return out


def _unreached(page: Page, outcome: Outcome, number: int, now_s: float) -> Incident:
    return Incident(
        id=f"i{number}", subject="shift", opened_at=now_s,
        finding=f"{page.person} could not be paged about {page.incident} by any channel; the last one: {outcome.detail}",
        action="left to the brief; not tried again", closed="the default of the question applies at its deadline",
    )  # fmt: skip

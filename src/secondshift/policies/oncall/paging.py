"""Wake or wait: for each incident that waits for a person, page now, let it wait, or leave it to the brief.

One page for one incident. Another one only if three times as much is at stake, or if somebody else came on call meanwhile.
A page that nobody answers is sent once more to the same person, then to the next on call, if waiting is still dearer than sleep.
"""

from dataclasses import replace

from secondshift.policies.oncall.rota import awake_at, on_call, turn_ends
from secondshift.policies.oncall.stakes import asks, stakes
from secondshift.policies.oncall.waking import Trouble, Weighing, weigh
from secondshift.records.decisions import Decision, weighed
from secondshift.records.pages import Because, Page, Verdict
from secondshift.records.states import State
from secondshift.records.studies import Person

NAME = "paging"
AGAIN = 3.0  # times as much at stake as when somebody was paged
LEAST_MORE = 1.0  # device-hours that it must be more
REMINDERS = 2  # of one incident at most: to the same person, and to the next
ANEW_S = 3600.0  # a verdict not to page is not written down anew before that, unless somebody else is on call
_DEAR = {"idle": "devices stand idle", "risk": "work may be lost", "deadline": "the default comes first", "nothing": ""}


def decide(state: State) -> list[Decision]:
    """Weigh every incident that waits for a person against that person's sleep."""
    if state.study is None or state.ending or not state.study.oncall.rota.order:
        return []
    waiting = [incident for incident in state.incidents.values() if asks(state, incident)]
    if not waiting:
        return []
    person = behind(state)
    decisions: list[Decision] = []
    for incident in waiting:
        trouble = stakes(state, incident)
        decision = judge(state, incident.id, trouble, person) or remind(state, incident.id, trouble)
        decisions += [decision] if decision is not None else []
    return decisions


def behind(state: State) -> Person:
    """The person on call now. Raises ValueError for a rota without people."""
    rota = state.rota()
    return rota.people[on_call(rota, state.now_s)[0]]


def judge(state: State, incident: str, trouble: Trouble, person: Person) -> Decision | None:
    """Weigh one incident; None where nothing is new since it was weighed last."""
    if state.study is None:
        return None
    weighing = weigh(trouble, person, now=state.now_s, sleep_worth=state.study.oncall.sleep_worth)
    verdict, because = _verdict(weighing, person)
    last = state.pages.get(incident)
    if last is not None and not _news(last, verdict, because, person.name, weighing.waiting, state.now_s):
        return None
    page = Page(
        incident=incident, person=person.name, verdict=verdict, because=because, waiting=weighing.waiting,
        waking=weighing.waking, biggest=weighing.biggest, at=state.now_s, awake_at=awake_at(person, state.now_s),
        channels=person.channels,
        paged=weighing.waiting if verdict == "page" else last.paged if last else 0.0,
        paged_to=person.name if verdict == "page" else last.paged_to if last else "",
        reminders=last.reminders if last else 0,
    )  # fmt: skip
    return weighed(page, reason=explained(page, weighing), by=NAME)


def remind(state: State, incident: str, trouble: Trouble) -> Decision | None:
    """Send a page again that nobody answered: an answer ends the incident's waiting, so whoever waits was not answered."""
    last = state.pages.get(incident)
    if state.study is None or last is None or last.outcome != "sent" or last.reminders >= REMINDERS:
        return None
    after_s = state.study.oncall.remind_s
    person = _reminded(state, last)
    if after_s <= 0.0 or state.now_s < last.at + after_s or person is None:
        return None
    weighing = weigh(trouble, person, now=state.now_s, sleep_worth=state.study.oncall.sleep_worth)
    if _verdict(weighing, person)[0] != "page":
        return None
    page = replace(
        last, id="", person=person.name, because=_verdict(weighing, person)[1], waiting=weighing.waiting, waking=weighing.waking,
        biggest=weighing.biggest, at=state.now_s, awake_at=awake_at(person, state.now_s), channels=person.channels,
        reminder=True, reminders=last.reminders + 1, failed=(), outcome="",
    )  # fmt: skip
    quiet = f"nobody answered about {incident} for {(state.now_s - last.at) / 60:.0f} min"
    return weighed(page, reason=f"{quiet}; {explained(page, weighing)}", by=NAME)


def _reminded(state: State, last: Page) -> Person | None:
    """The same person the first time, then whoever is on call next; None where nobody else is."""
    rota = state.rota()
    if not last.reminder:
        return rota.people.get(last.person)
    after = on_call(rota, turn_ends(rota, state.now_s))[0]
    return rota.people[after] if after != last.person else None


def _verdict(weighing: Weighing, person: Person) -> tuple[Verdict, Because]:
    if weighing.waiting <= 0:
        return "leave", "nothing"
    if not weighing.page:
        return "wait", "sleep"
    if not person.channels:
        return "leave", "no channel"
    return "page", "dear" if weighing.hours > 0 else "awake"


def _news(last: Page, verdict: Verdict, because: Because, person: str, waiting: float, now: float) -> bool:
    if last.due():
        return False  # a page is on its way; what comes of it is awaited
    if verdict == "page":
        more = waiting >= max(AGAIN * last.paged, last.paged + LEAST_MORE)
        return not last.paged_to or person != last.paged_to or more
    if last.paged_to == person:
        return False  # the person knows of it
    if last.person != person:
        return True
    return (last.verdict, last.because) != (verdict, because) and now >= last.at + ANEW_S


def explained(page: Page, weighing: Weighing) -> str:
    """Say in one line what was weighed, for the record."""
    cost = f"about {page.waiting:.1f} device-hours"
    dear = f" ({_DEAR[page.biggest]})" if _DEAR[page.biggest] else ""
    if page.because == "nothing":
        return f"nothing is lost while {page.incident} waits for {page.person}; it is left to the brief"
    if page.because == "no channel":
        return f"{page.incident} would be worth a page ({cost}), and {page.person} has no channel"
    if page.because == "awake":
        return f"{page.person} is awake, and an hour of waiting with {page.incident} would cost {cost}{dear}"
    until = f"waiting {weighing.hours:.1f} h until {page.person} is awake would cost {cost}{dear}"
    return f"{until}; waking counts for {page.waking:.1f}"

"""Pages go out beside the ticks: once for each recorded outcome, to the next channel where one fails, and never in a tick's way."""

import json
import threading
import time
from dataclasses import replace
from datetime import time as hour
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from secondshift.records import events as facts
from secondshift.records.incidents import Incident, Question
from secondshift.records.pages import Page
from secondshift.records.states import State
from secondshift.records.studies import Oncall, Person, Quiet, Rota
from secondshift.runtime.notify.letters import Letter
from secondshift.runtime.notify.paging import Pager
from simulated_nights import EVENING, Night, study

ASLEEP = Quiet(begins=hour(0, 0), ends=hour(23, 59))


def letter(state: State, page: Page) -> Letter:
    return Letter(id=page.id, name=page.id, subject="short", text=f"about {page.incident}", html="", document="{}")


def opened(folder: Path, *channels: str, quiet: Quiet | None = ASLEEP, **changes) -> Night:
    """A shift of half a day with one incident that asks something, and a person asleep."""
    for name in ("spool/tmp", "attempts", "trials"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    mina = Person(name="mina", quiet=quiet, channels=channels)
    night = Night(folder, study(oncall=Oncall(rota=Rota(people={"mina": mina}, order=("mina",)), sleep_worth=1.0), **changes))
    night.engine.bells.pager = pager()
    night.engine.begin(EVENING + 12 * 3600)
    question = Question(asked_at=EVENING, deadline_at=EVENING + 1800, suggested="stop", default="leave")
    incident = Incident(id="i1", subject="shift", finding="something is off", questions=(question,), opened_at=EVENING)
    night.engine.record([facts.IncidentOpened(incident=incident)])
    return night


def pager() -> Pager:
    made = Pager(pauses_s=())
    made.compose = letter
    return made


def rung(night: Night, count: int) -> list[facts.PageSent]:
    """Check until so many outcomes are recorded."""
    deadline = time.monotonic() + 20
    while len(found := night.payloads(facts.PageSent)) < count and time.monotonic() < deadline:
        night.engine.record(night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING))
        time.sleep(0.01)
    return found


def weighed(night: Night) -> None:
    """Record that mina is to be paged about i1."""
    page = Page(
        id="g1", incident="i1", person="mina", verdict="page", because="dear", waiting=9.0, waking=1.0, biggest="idle",
        at=EVENING, awake_at=EVENING + 9 * 3600, paged=9.0, paged_to="mina",
        channels=night.engine.state.rota().people["mina"].channels,
    )  # fmt: skip
    night.engine.record([facts.PageWeighed(page=page, decision="d1")])


def test_a_page_is_sent_once_and_its_outcome_recorded(tmp_path: Path) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt", f"file:{tmp_path}/b.txt")
    weighed(night)
    (told,) = rung(night, 1)
    assert (told.page, told.incident, told.person, told.outcome) == ("g1", "i1", "mina", "sent")
    assert (tmp_path / "a.txt").read_text() == "about i1" and not (tmp_path / "b.txt").exists()
    (tmp_path / "a.txt").unlink()
    night.take_over(night.engine.state).bells.pager = pager()
    for _ in range(20):
        night.engine.record(night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING))
        time.sleep(0.01)
    assert not night.engine.bells.ringing() and len(night.payloads(facts.PageSent)) == 1
    assert not (tmp_path / "a.txt").exists(), "it was sent again"


def test_an_engine_that_died_before_it_recorded_the_outcome_leaves_the_page_to_the_next(tmp_path: Path) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt")
    weighed(night)
    night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING)  # sent, and nothing of it recorded
    night.take_over(night.engine.state).bells.pager = pager()
    assert len(rung(night, 1)) == 1 and (tmp_path / "a.txt").exists()


def test_the_next_channel_is_tried_where_one_fails_and_each_failure_is_a_fact(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    night = opened(tmp_path, f"file:{tmp_path}/file/below", "env:NOT_SET_HERE", f"file:{tmp_path}/c.txt")
    weighed(night)
    assert [told.outcome for told in rung(night, 3)] == ["failed", "failed", "sent"]
    assert "NOT_SET_HERE" in night.payloads(facts.PageSent)[1].detail and (tmp_path / "c.txt").exists()
    assert night.engine.state.pages["i1"].outcome == "sent"


def test_a_page_that_no_channel_takes_is_an_incident_and_not_tried_again(tmp_path: Path) -> None:
    night = opened(tmp_path, "env:NOT_SET_HERE")
    weighed(night)
    assert [told.outcome for told in rung(night, 1)] == ["failed"]
    incident = night.payloads(facts.IncidentOpened)[-1].incident
    assert "mina could not be paged about i1" in incident.finding and incident.closed
    night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING)
    assert not night.engine.bells.ringing()


def test_a_page_that_cannot_be_written_is_a_failure_and_not_a_fault(tmp_path: Path) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt")
    night.engine.bells.pager.compose = lambda state, page: (_ for _ in ()).throw(KeyError("no sentence"))
    weighed(night)
    (told,) = rung(night, 1)
    assert told.outcome == "failed" and "could not be written" in told.detail


def test_an_incident_that_is_over_is_not_paged_about(tmp_path: Path) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt")
    weighed(night)
    night.engine.record([facts.IncidentClosed(incident="i1", outcome="it passed")])
    night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING)
    assert not night.engine.bells.ringing() and not (tmp_path / "a.txt").exists()


def test_a_slow_receiver_holds_up_no_tick_and_the_shift_waits_for_the_outcome(tmp_path: Path) -> None:
    release = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            release.wait(20)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        night = opened(tmp_path, f"http://127.0.0.1:{server.server_address[1]}/page")
        weighed(night)
        began = time.monotonic()
        night.engine.bells.check(night.engine.state, boot_s=0.0, now_s=EVENING)
        assert time.monotonic() - began < 2 and night.engine.bells.ringing()
        night.engine.state = replace(night.engine.state, ending="over")
        night.engine.end_if_over(night.engine.state.ending)
        assert night.engine.state.shift is not None
        release.set()
        assert rung(night, 1)[0].outcome == "sent"
        night.engine.end_if_over(night.engine.state.ending)
        assert night.engine.state.shift is None
    finally:
        release.set()
        server.shutdown()
        thread.join(5)
        server.server_close()


def test_a_whole_night_weighs_records_then_sends(tmp_path: Path) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt")
    night.engine.tick()
    (page,) = (fact.page for fact in night.payloads(facts.PageWeighed))
    assert (page.person, page.verdict, page.because, page.biggest) == ("mina", "page", "dear", "idle")
    assert page.waiting == pytest.approx(36.0, abs=0.1)  # three slots with nothing to do, until the shift ends
    assert not (tmp_path / "a.txt").exists(), "it was sent before it was recorded"
    (told,) = rung(night, 1)
    assert told.outcome == "sent"
    kinds = [event.kind for event in night.ledger.read(kinds=("page.weighed", "page.sent"))]
    assert kinds == ["page.weighed", "page.sent"]
    for _ in range(20):
        night.engine.tick()
    assert len(night.payloads(facts.PageWeighed)) == 1 and len(night.payloads(facts.PageSent)) == 1


@pytest.mark.parametrize("outcome", ["sent", "failed"])
def test_a_page_left_over_from_an_earlier_shift_is_weighed_anew(tmp_path: Path, outcome: str) -> None:
    night = opened(tmp_path, f"file:{tmp_path}/a.txt")
    weighed(night)
    if outcome == "sent":
        rung(night, 1)
    night.engine.record([facts.ShiftEnded(shift="s1", reason="over")])
    night.engine.begin(EVENING + 24 * 3600)
    assert ("i1" in night.engine.state.pages) == (outcome == "sent")
    assert json.dumps(night.engine.state.pages_seen) == "1"

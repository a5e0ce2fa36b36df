"""The address outside is told that the captain lives, at its pace, and a failure is an incident that ends by itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Oncall
from secondshift.runtime.notify.deadman import SUBJECT, DeadMan
from simulated_nights import study

SHIFT = Shift(id="s1", started_at=0.0)


@contextmanager
def receiver(*answers: int) -> Iterator[tuple[str, list[str]]]:
    got: list[str] = []

    class Alive(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(self.path)
            self.send_response(answers[min(len(got), len(answers)) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Alive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alive", got
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def watched(url: str, **more) -> State:
    return State(study=study(oncall=Oncall(dead_man_url=url, dead_man_every_s=60.0)), shift=SHIFT, **more)


def called(dead_man: DeadMan, state: State, boot_s: float) -> list[facts.Payload]:
    """One call, waited for, and what is recorded of it."""
    dead_man.check(state, boot_s=boot_s, now_s=boot_s)
    deadline = time.monotonic() + 20
    while dead_man._thread is not None and dead_man._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    return list(dead_man.check(state, boot_s=boot_s, now_s=boot_s))


def test_it_is_told_at_once_and_then_at_its_pace_and_successes_are_not_recorded() -> None:
    with receiver(200) as (url, got):
        dead_man = DeadMan()
        assert called(dead_man, watched(url), 0.0) == [] and got == ["/alive"]
        called(dead_man, watched(url), 59.0)
        assert len(got) == 1
        assert called(dead_man, watched(url), 61.0) == [] and len(got) == 2


@pytest.mark.parametrize("state", [State(), watched(""), State(study=watched("http://127.0.0.1:1/").study)])
def test_without_an_address_or_a_shift_nothing_is_told(state: State) -> None:
    dead_man = DeadMan()
    assert called(dead_man, state, 0.0) == [] and dead_man._thread is None


def test_two_failures_in_a_row_are_one_incident_and_a_success_ends_it() -> None:
    with receiver(500, 500, 500, 200) as (url, got):
        dead_man = DeadMan()
        assert called(dead_man, watched(url), 0.0) == []
        (opened,) = called(dead_man, watched(url), 60.0)
        assert isinstance(opened, facts.IncidentOpened) and "it answered 500" in opened.incident.finding
        state = watched(url, incidents={"i1": opened.incident})
        assert called(dead_man, state, 120.0) == []
        (closed,) = called(dead_man, state, 180.0)
        assert closed == facts.IncidentClosed(incident="i1", outcome="the address answers again") and len(got) == 4


def test_a_secret_address_is_read_from_the_environment_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a1b2c3d4e5f6a7b8c9d0e1f2"
    monkeypatch.setenv("ALIVE", f"http://127.0.0.1:1/ping/{secret}?k={secret}")
    dead_man = DeadMan()
    called(dead_man, watched("env:ALIVE"), 0.0)
    (opened,) = called(dead_man, watched("env:ALIVE"), 60.0)
    assert isinstance(opened, facts.IncidentOpened) and secret not in opened.incident.finding
    dead_man = DeadMan()
    called(dead_man, watched("env:NOT_SET_HERE"), 0.0)
    (opened,) = called(dead_man, watched("env:NOT_SET_HERE"), 60.0)
    assert isinstance(opened, facts.IncidentOpened) and "NOT_SET_HERE" in opened.incident.finding


def test_an_address_that_is_taken_out_of_the_study_ends_its_incident() -> None:
    incident = Incident(id="i1", subject=SUBJECT, finding="x")
    (closed,) = DeadMan().check(watched("", incidents={"i1": incident}), boot_s=0.0, now_s=0.0)
    assert isinstance(closed, facts.IncidentClosed)


def test_a_receiver_that_hangs_holds_up_no_tick_and_is_called_once_at_a_time() -> None:
    with receiver(200) as (url, _):
        dead_man = DeadMan()
        release = threading.Event()
        dead_man._call = lambda url: release.wait(20) and None  # type: ignore[method-assign]  # a receiver that hangs
        began = time.monotonic()
        for boot_s in (0.0, 60.0, 120.0):
            dead_man.check(watched(url), boot_s=boot_s, now_s=boot_s)
        assert time.monotonic() - began < 2 and dead_man._called_at == 0.0
        release.set()

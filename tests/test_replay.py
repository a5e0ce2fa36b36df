"""Replay: the same facts give the same decisions, and a changed fact is seen."""

import json
from dataclasses import replace

import pytest

from secondshift.ledger import codec
from secondshift.ledger.fold import fold
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.opening import open_ledger
from secondshift.records import events as facts
from secondshift.records.events import Event
from secondshift.records.states import State
from secondshift.records.studies import Budget
from secondshift.replay import replay
from secondshift.runtime.spool import put_request
from simulated_nights import Night, study


@pytest.fixture
def night(tmp_path):
    (tmp_path / "spool/tmp").mkdir(parents=True)
    night = Night(tmp_path, study())
    night.run()
    return night


def copy(night, change=lambda event: event) -> MemoryLedger:
    """A copy of the night's ledger, event by event."""
    twin = MemoryLedger()
    twin._events = [change(event) for event in night.ledger.read()]
    twin._subjects = list(night.ledger._subjects)
    twin._rows = {key: list(rows) for key, rows in night.ledger._rows.items()}
    twin._order = list(getattr(night.ledger, "_order", []))
    return twin


def test_a_recorded_night_replays_to_identical_decisions(night):
    report = replay(night.ledger)
    assert report.holds, report
    assert report.ticks > 10 and report.decisions > 40


def changed(kind, **changes):
    done = []

    def change(event: Event) -> Event:
        if isinstance(event.payload, kind) and not done:
            done.append(event.seq)
            return replace(event, payload=replace(event.payload, **changes))
        return event

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed(facts.ChargeSettled, device_s=0.001),
        changed(facts.ParamsResolved, params={"lr": 0.5}),
        changed(facts.LeaseTaken, holder="somebody else"),
        changed(facts.MetricsLogged, points=1),
    ],
)
def test_any_changed_fact_is_flagged(night, change):
    assert replay(copy(night)).holds
    assert not replay(copy(night, change)).holds


def test_a_changed_result_changes_the_decisions(night):
    def flatter(event: Event) -> Event:
        if isinstance(event.payload, facts.MetricsLogged):
            worse = {k: replace(v, last=9.0, low=9.0, high=9.0) for k, v in event.payload.metrics.items()}
            return replace(event, payload=replace(event.payload, metrics=worse))
        return event

    report = replay(copy(night, flatter))
    assert not report.identical and report.tampering


def test_changed_points_are_flagged_though_no_fact_was_touched(night):
    twin = copy(night)
    _, rows = next((k, r) for k, r in twin._rows.items() if k[1] == "loss")
    other = next(r for k, r in twin._rows.items() if k[1] == "acc")
    place = twin._order.index(rows[0])
    twin._order[place] = replace(other[0], metric="loss")
    report = replay(twin)
    assert report.identical and report.tampering


def test_a_night_recorded_before_a_field_was_added_is_not_called_changed(tmp_path, monkeypatch):
    written = codec._json

    def by_an_older_release(payload):
        if not isinstance(payload, facts.StudyOpened):
            return written(payload)
        known = json.loads(written(payload))
        assert known["study"].pop("schedule") == "free"  # its default, which a reader fills in
        return json.dumps(known).encode()

    ledger = open_ledger(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(codec, "_json", by_an_older_release)
        Night(tmp_path, study(budget=Budget(trials=3)), ledger=ledger).run()
    assert replay(ledger).holds
    ledger.close()
    assert replay(open_ledger(tmp_path, readonly=True)).holds


def test_a_fact_changed_after_the_last_tick_is_flagged_by_the_end_of_the_shift(night):
    last_tick = max(e.seq for e in night.ledger.read() if isinstance(e.payload, facts.TickDecided))

    def change(event: Event) -> Event:
        if event.seq > last_tick and isinstance(event.payload, facts.DecisionMade):
            told = replace(event.payload.decision, reason="because")
            return replace(event, payload=replace(event.payload, decision=told))
        return event

    assert any("when it was recorded" in found for found in replay(copy(night, change)).tampering)


def test_a_changed_fact_is_flagged_while_the_night_still_goes_on(tmp_path):
    (tmp_path / "spool/tmp").mkdir(parents=True)
    night = Night(tmp_path, study())
    night.run(ticks=40)
    assert night.engine.state.shift is not None
    assert replay(copy(night)).holds
    assert not replay(copy(night, changed(facts.LeaseTaken, holder="somebody else"))).holds


@pytest.mark.parametrize("crashes", [False, True], ids=["in one go", "with engines that die"])
def test_a_night_of_ideas_replays_and_each_is_taken_in_once_whatever_dies(tmp_path, crashes):
    (tmp_path / "spool/tmp").mkdir(parents=True)
    night = Night(tmp_path, study(budget=Budget(trials=4)))
    put_request(tmp_path, "idea", {"text": "faster", "set.lr": 0.03}, "kim")
    put_request(tmp_path, "idea", {"text": "far too fast", "set.lr": 0.9}, "lee")
    while night.engine.state.shift is not None or not night.engine.state.shifts:
        state = night.run(ticks=7 if crashes else 20_000)
        if crashes:
            night.take_over(fold(State(), night.ledger.read()))
    assert [(idea.author, idea.state) for idea in state.ideas.values()] == [("kim", "held up"), ("lee", "refuted")]
    assert len(state.trials) == len({trial.id for trial in state.trials.values()})
    assert len({(t.candidate, t.pair) for t in state.trials.values() if t.pair >= 0}) == len(state.pairs)
    report = replay(night.ledger)
    assert report.holds, report

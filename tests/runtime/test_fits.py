"""Fits beside the loop: nobody waits, what arrives is what its facts give, and whatever happens to the process is mended."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.memory import Memory
from secondshift.policies.forecasters import fitting
from secondshift.policies.models import outlook
from secondshift.policies.models.outlook import MEMO, fitted, job
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.studies import Budget, Policy
from secondshift.replay import replay
from secondshift.runtime import fits
from simulated_nights import Night
from simulated_nights import study as night_study
from thawing_states import state, study

LONG_S = 60.0
CURVES = [[0.1 * n + 1.0 / (step + 1) for step in range(4)] for n in range(5)]


@pytest.fixture(autouse=True)
def no_fit_is_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small ones, which a test can wait for, are made beside the loop, too."""
    if "quick" not in request.node.name:
        monkeypatch.setattr(outlook, "QUICK", 0)


def ordered() -> State:
    """A state whose fit was ordered by d7."""
    return replace(state(study(), CURVES), fitting={MEMO: "d7"})


def same(seen: State) -> State:
    """It has its curves already."""
    return seen


def heard(beside: fits.Beside, asked: State) -> list[facts.Payload]:
    """What comes of it, sooner or later."""
    until = time.monotonic() + LONG_S
    while time.monotonic() < until:
        if out := beside.work(asked, same):
            return out
        time.sleep(0.02)
    raise TimeoutError("nothing came of it")


def process_of(beside: fits.Beside) -> int:
    """The process that fits."""
    return beside._workers[MEMO].process.pid


def test_nobody_waits_for_a_fit_and_what_arrives_is_what_a_fit_at_once_gives() -> None:
    beside = fits.Beside()
    assert beside.work(state(study(), CURVES), same) == []  # nothing was ordered
    began = time.monotonic()
    assert beside.work(ordered(), same) == []
    assert beside.work(ordered(), same) == [] and time.monotonic() - began < 0.15  # an interpreter takes longer to start
    [made] = heard(beside, ordered())
    assert [made] == fits.AtOnce().work(ordered(), same)
    assert isinstance(made, facts.MemoRemembered) and (made.policy, made.fit) == (MEMO, "d7")
    assert made.memo == fitted(job(ordered()))


def test_a_quick_fit_is_made_at_once_and_starts_no_process() -> None:
    beside = fits.Beside()
    assert beside.work(ordered(), same) == fits.AtOnce().work(ordered(), same)
    assert not beside._workers
    assert not outlook.quick(json.dumps({"value": [0.0] * 151})) and outlook.quick(json.dumps({"value": [0.0] * 150}))


@pytest.mark.parametrize("harm", ["killed", "slow"])
def test_a_fit_that_does_not_come_to_its_end_is_an_incident_and_the_settings_of_before_hold(
    harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replace(ordered(), memos={MEMO: json.dumps({"revision": 1, "points": 5, "settings": [0.25] * 9})})
    beside = fits.Beside()
    assert beside.work(before, same) == []
    if harm == "killed":
        os.kill(process_of(beside), signal.SIGKILL)
    else:
        os.kill(process_of(beside), signal.SIGSTOP)
        monkeypatch.setattr(fits, "LONGEST_S", 0.0)
    pid = process_of(beside)
    kept, incident = heard(beside, before)
    assert isinstance(kept, facts.MemoRemembered) and isinstance(incident, facts.IncidentOpened)
    assert json.loads(kept.memo) == {"revision": 1, "points": 20, "settings": [0.25] * 9}
    assert ("exit code -9" if harm == "killed" else "longer than") in incident.incident.evidence[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    after = replace(before, memos={MEMO: kept.memo}, fitting={})
    assert fitting.decide(after) == []  # it is not ordered again and again


def test_where_no_process_can_be_started_the_fit_is_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(fits.tempfile, "TemporaryFile", full)
    assert fits.Beside().work(ordered(), same) == fits.AtOnce().work(ordered(), same)


def test_a_fit_that_raises_ends_no_night() -> None:
    odd = replace(ordered(), memos={MEMO: json.dumps({"revision": 1, "points": 5, "settings": ["x"] * 9})})
    with pytest.raises(ValueError):
        job(odd)
    broken = fits.AtOnce()._made(ordered(), MEMO, json.dumps({**json.loads(job(ordered())), "step": ["x"]}))
    kept, incident = broken
    assert isinstance(kept, facts.MemoRemembered) and isinstance(incident, facts.IncidentOpened)
    assert "ValueError" in incident.incident.evidence[0]


def test_closing_ends_the_process_that_nobody_will_hear() -> None:
    beside = fits.Beside()
    beside.work(ordered(), same)
    pid = process_of(beside)
    beside.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_night_with_fits_beside_it_replays_although_engines_die_and_each_fit_is_made_from_the_facts_before_its_order(
    tmp_path: Path,
) -> None:
    (tmp_path / "spool/tmp").mkdir(parents=True)
    asked = night_study(budget=Budget(trials=6), policy=Policy(searcher="model", scheduler="freezethaw"))
    night = Night(tmp_path, asked, ledger=open_ledger(tmp_path))
    beside = night.engine.fits = fits.Beside()
    while not night.engine.state.fitting:
        night.run(ticks=1)
    beside.close()  # the engine dies with a fit on its way
    night.take_over(fold(State(), night.ledger.read()))
    beside = night.engine.fits = fits.Beside()
    while not night.engine.state.fitting:
        night.run(ticks=1)
    night.run(ticks=3)  # it goes on meanwhile
    beside._workers[MEMO].process.wait(LONG_S)
    night.run(ticks=1)
    assert MEMO in night.engine.state.memos
    night.engine.fits = fits.AtOnce()
    night.run()
    assert night.engine.state.shift is None
    report = replay(night.ledger)
    assert report.holds, report
    made = [one for one in night.payloads(facts.MemoRemembered) if one.fit]
    orders = [one.decision.id for one in night.payloads(facts.DecisionMade) if one.decision.verb == "fit"]
    assert len(made) > 1 and [one.fit for one in made] == orders[1:]  # the first was lost
    for one in (made[0], made[-1]):
        assert one.memo == _anew(night, one.fit)
    night.ledger.close()


def _anew(night: Night, decision: str) -> str:
    """The memo of what was recorded before a decision."""
    events = list(night.ledger.read())
    cut = next(n for n, e in enumerate(events) if isinstance(e.payload, facts.DecisionMade) and e.payload.decision.id == decision)
    before, memory, points = fold(State(), events[:cut]), Memory(), night.ledger.batches()
    for event in events[:cut]:
        if isinstance(event.payload, facts.MetricsLogged):
            found = []
            while sum(len(one.steps) for one in found) < event.payload.points:
                found.append(next(points))
            memory.take(before.study, [event], found)
    return fitted(job(memory.filled_in(before)))

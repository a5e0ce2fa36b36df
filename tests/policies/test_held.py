"""A trial that is held until a person decides keeps the shift open where somebody can be told, no longer than it was to last."""

from datetime import date

import pytest

import simulated_nights
from secondshift.records import events as facts
from secondshift.records.studies import Budget, Launch, Oncall, Person, Policy, Rota
from secondshift.replay import replay
from secondshift.runtime.spool import put_request
from simulated_nights import EVENING, Night, raised, study, until

STEPS, ONSET, HOUR = 1200, 500, 3600.0


def rota(*channels: str) -> Rota:
    people = {name: Person(name=name, channels=channels) for name in ("mina", "jonas")}
    return Rota(people=people, order=("mina", "jonas"), starts=date(2027, 1, 11), zone="UTC")


def troubled(order):
    """The first attempt rises for good, and those after it do not."""
    return raised(order, steps=STEPS, onset=ONSET, trials=("t1",) if order.attempt.endswith(".a1") else (), skipped=False)


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Make a night of one trial, which is asked about, and paused because nobody answers."""

    def make(*channels: str, hours: float | None = 1.0, trials: int = 1) -> Night:
        monkeypatch.setattr(simulated_nights, "curve", troubled)
        (tmp_path / "spool/tmp").mkdir(parents=True)
        question = study(
            horizon_steps=STEPS, budget=Budget(trials=trials),
            policy=Policy(searcher="random", scheduler="fifo", nominate=trials > 1),
            may=("pause",), launch=Launch(slots=1, checkpoint_every_s=60), answer_within_s=1.0,
            oncall=Oncall(rota=rota(*channels), sleep_worth=0.01),
        )  # fmt: skip
        night = Night(tmp_path, question, slots=1)
        night.engine.begin(EVENING + hours * HOUR if hours else None)
        return until(night, lambda: bool(night.engine.state.trials) and bool(night.engine.state.trials["t1"].held))

    return make


def test_an_answer_long_after_the_default_lets_the_trial_go_on_in_the_same_shift(held) -> None:
    night = held("file:/nowhere")
    later = night.host.wall() + HOUR / 4
    until(night, lambda: night.host.wall() > later)
    assert night.engine.state.shift is not None
    put_request(night.folder, "answer", {"incident": "i1", "answer": "leave", "trial": "t1"}, "mina")
    until(night, lambda: night.engine.state.shift is None)
    assert night.engine.state.trials["t1"].status == "complete" and replay(night.ledger).holds


def test_while_it_waits_the_best_of_the_others_is_put_to_the_test_on_fresh_seeds(held) -> None:
    night = held("file:/nowhere", hours=4.0, trials=2)
    until(night, lambda: bool(night.payloads(facts.IdeaCaptured)))
    state = night.engine.state
    assert state.trials["t1"].held == "i1" and state.shift is not None
    assert night.payloads(facts.IdeaCaptured)[0].idea.candidate == state.trials["t2"].candidate
    assert night.host.wall() < EVENING + HOUR, "at once, not only when the rest of the night is for fresh seeds"


def test_without_an_answer_the_shift_ends_when_it_was_to(held) -> None:
    night = held("file:/nowhere", hours=0.75)
    until(night, lambda: night.engine.state.shift is None)
    (ended,) = night.payloads(facts.ShiftEnded)
    assert ended.reason == "The deadline of the shift has come."
    assert night.engine.state.trials["t1"].held == "i1"


@pytest.mark.parametrize(("channels", "hours"), [((), 1.0), (("file:/nowhere",), None)])
def test_where_nobody_can_be_told_or_the_shift_has_no_end_of_its_own_it_is_over(held, channels, hours) -> None:
    night = held(*channels, hours=hours)
    until(night, lambda: night.engine.state.shift is None, ticks=400)
    assert "deadline" not in night.payloads(facts.ShiftEnded)[0].reason

"""A person's answer becomes an act of theirs, exactly once; what cannot be answered so is dropped with a reason that helps."""

import numpy as np
import pytest

import simulated_nights
from secondshift.policies.captain import answers
from secondshift.records import events as facts
from secondshift.records.studies import Budget, Launch, Policy
from secondshift.replay import replay
from secondshift.runtime.spool import put_request
from simulated_nights import Night, study, until

STEPS, ONSET = 1200, 500
ASKING = ("retry_infrastructure", "stop_non_finite")


def wrong_for_good(order) -> dict[str, np.ndarray]:
    """A loss that falls with noise, and in t1 rises for good at ONSET unless its steps are skipped."""
    steps = np.arange(STEPS)
    loss = 0.5 + 2.0 * np.exp(-steps / 300) + 0.03 * np.random.default_rng(int(order.trial[1:])).normal(size=STEPS)
    if order.trial == "t1" and not order.directives.skip:
        loss[ONSET:] += 0.8
    return {"loss": loss}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Make a night in which the captain has just asked about t1; give it with a way to answer."""

    def make(answer_within_s: float = 1e9, may=ASKING, tier: str = "cooperative"):
        monkeypatch.setattr(simulated_nights, "curve", wrong_for_good)
        (tmp_path / "spool/tmp").mkdir(parents=True)
        question = study(
            horizon_steps=STEPS, budget=Budget(trials=2), policy=Policy(searcher="random", scheduler="fifo"), may=may,
            launch=Launch(slots=2, checkpoint_every_s=60), answer_within_s=answer_within_s, tier=tier,
        )  # fmt: skip
        night = Night(tmp_path, question, slots=2)
        night.engine.begin(simulated_nights.EVENING + 8 * 3600)
        until(night, lambda: any(one.question() for one in night.engine.state.incidents.values()))
        return night

    return make


def answer(night: Night, option: str, incident: str = "i1", who: str = "kim") -> str:
    return put_request(night.folder, "answer", {"incident": incident, "answer": option, "trial": "t1"}, who)


def dropped(night: Night, request: str) -> str:
    return next(fact.reason for fact in night.payloads(facts.DecisionDropped) if request in fact.decision.based_on)


def test_an_answer_is_an_act_of_the_person_and_takes_no_authority_of_the_captain(asked):
    night = asked()
    request = answer(night, "roll_back_skip")
    until(night, lambda: bool(night.payloads(facts.TrialHelped)))
    (helped,) = night.payloads(facts.TrialHelped)
    assert helped.act.remedy == "roll_back_skip" and helped.act.by == "kim" and not helped.act.needs
    (made,) = [fact.decision for fact in night.payloads(facts.DecisionMade) if request in fact.decision.based_on]
    assert made.source == "person" and made.by == "kim" and "kim answered i1 with roll_back_skip" in made.reason
    written = night.payloads(facts.IncidentAmended)[-1].incident
    assert written.questions[-1].answer == "roll_back_skip" and written.questions[-1].answered_by == "kim"
    night.run()
    assert night.engine.state.trials["t1"].assisted
    assert replay(night.ledger).holds


def test_leave_ends_the_incident_and_nothing_is_done_to_the_trial(asked):
    night = asked()
    answer(night, "leave")
    until(night, lambda: bool(night.payloads(facts.IncidentClosed)))
    assert "as kim decided" in night.payloads(facts.IncidentClosed)[0].outcome
    assert not [fact for fact in night.payloads(facts.AttemptAsked) if fact.attempt.startswith("t1.")]
    assert not night.engine.state.trials["t1"].assisted and replay(night.ledger).holds


def test_a_trial_that_was_paused_for_want_of_an_answer_is_released_by_a_late_one(asked):
    night = asked(answer_within_s=1.0, may=("retry_infrastructure", "pause"))
    until(night, lambda: night.engine.state.trials["t1"].held == "i1")
    until(night, lambda: not night.engine.state.attempt_of("t1"))
    answer(night, "leave")
    until(night, lambda: night.engine.state.attempt_of("t1") is not None)
    assert not night.engine.state.trials["t1"].held
    given = [fact.incident.questions for fact in night.payloads(facts.IncidentAmended)][-1]
    assert [(one.answer, one.answered_by) for one in given] == [("pause", "default"), ("leave", "kim")]
    night.run()
    assert replay(night.ledger).holds


def test_stop_stops_the_trial_and_the_incident_ends_with_it(asked):
    night = asked()
    answer(night, "stop")
    until(night, lambda: bool(night.payloads(facts.IncidentClosed)))
    assert night.engine.state.trials["t1"].status == "stopped" and replay(night.ledger).holds


@pytest.mark.parametrize(
    ("incident", "option", "says"),
    [
        ("i9", "leave", "there is no incident i9. Those that wait for an answer: i1"),
        ("i1", "leeve", "no answer to i1. Expected one of roll_back_skip, leave, pause, stop. Is leave meant?"),
        ("i1", "", "nothing is no answer to i1. Expected one of"),
    ],
)
def test_what_is_no_answer_is_dropped_and_says_what_would_be_one(asked, incident, option, says):
    night = asked()
    request = answer(night, option, incident)
    night.engine.tick()
    assert says in dropped(night, request)
    assert not night.payloads(facts.TrialHelped) and not night.engine.state.requests
    assert night.engine.state.incidents["i1"].question() is not None, "the question still waits"


def test_two_answers_at_once_are_one_act_and_the_later_is_told_that_it_was_late(asked):
    night = asked()
    first, second = answer(night, "leave"), answer(night, "stop", who="lee")
    night.engine.tick()
    assert [fact.act.remedy for fact in night.payloads(facts.TrialHelped)] == ["leave"]
    assert dropped(night, second) == "i1 was answered already: leave, by kim"
    assert any(first in fact.decision.based_on for fact in night.payloads(facts.DecisionMade))
    until(night, lambda: bool(night.payloads(facts.IncidentClosed)))
    third = answer(night, "stop")
    night.engine.tick()
    assert "i1 is over" in dropped(night, third) and "`secondshift show i1`" in dropped(night, third) and replay(night.ledger).holds


def test_an_answer_whose_file_comes_back_after_a_crash_does_not_count_twice(asked):
    night = asked()
    request = answer(night, "leave")
    kept = (night.folder / f"spool/{request}.json").read_text()
    night.engine.tick()
    (night.folder / f"spool/{request}.json").write_text(kept)
    night.take_over(night.engine.state)
    night.run()
    assert len(night.payloads(facts.TrialHelped)) == 1
    assert len([fact for fact in night.payloads(facts.RequestReceived) if fact.id == request]) == 1


def test_an_answer_given_while_the_shift_ends_waits_for_the_next_one(asked):
    night = asked()
    put_request(night.folder, "stop", {}, "kim")
    until(night, lambda: bool(night.engine.state.ending))
    assert night.engine.state.shift is not None
    request = answer(night, "leave")
    night.run()
    assert night.engine.state.shift is None and request in night.engine.state.requests
    night.engine.begin(simulated_nights.EVENING + 16 * 3600)
    until(night, lambda: bool(night.payloads(facts.TrialHelped)))
    assert replay(night.ledger).holds


def test_the_decider_leaves_other_requests_alone(asked):
    night = asked()
    request = put_request(night.folder, "stop", {"trial": "t2"}, "kim")
    night.engine.take_requests()
    assert request in night.engine.state.requests and answers.decide(night.engine.state) == []

"""A queued trial is not left waiting for ever where no first look is due and nothing that waits is worth going on with."""

from dataclasses import replace

import pytest

from secondshift.ledger.fold import fold
from secondshift.policies.forecasters import fitting
from secondshift.policies.models import thawing
from secondshift.policies.schedulers import freezethaw
from secondshift.policies.searchers import model
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.trials import Candidate, Trial
from secondshift.testing.policy_conformance import SPACES, curve, study
from secondshift.testing.simulated_nights import play


def with_one_queued(state: State) -> State:
    """The state as it would be with one more trial, whose start was refused because another study held the device."""
    payloads = [
        facts.CandidateProposed(candidate=Candidate(id="c99", params={"x": 0.123}, by="model"), decision="d1"),
        facts.TrialQueued(trial=Trial(id="t99", candidate="c99", seed=0), decision="d1"),
    ]
    events = [
        facts.Event(seq=state.last_seq + n, at=state.now_s, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for n, p in enumerate(payloads, 1)
    ]
    return replace(fold(state, events), now_s=state.now_s, free_devices=state.free_devices, curves=state.curves)


def test_a_queued_trial_is_looked_at_when_all_others_are_hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = study(SPACES["without defaults"], searcher="model", scheduler="freezethaw", trials=12)
    played = play(asked, [fitting.decide, freezethaw.decide, model.decide], curve=curve, slots=1, stride=3, tick_s=3.0)
    over = played.seen[-1]
    assert "exhausted" in played.reason and any(trial.status == "paused" for trial in over.trials.values())
    monkeypatch.setattr(thawing.Bench, "share", lambda bench, done: 0.0)  # first looks have had more than their share
    (decision,) = freezethaw.decide(with_one_queued(over))
    assert (decision.verb, decision.subject) == ("start", "t99")

"""A stop can be taken back: by a person, of a trial that was stopped, and of nothing that a verdict rests on."""

from dataclasses import replace

import numpy as np
import pytest

from secondshift.arbitrate import arbitrate
from secondshift.policies.captain.remedies import REMEDIES, act_of
from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Trial
from secondshift.replay import replay
from secondshift.runtime.spool import put_request
from secondshift.standing import requested
from simulated_nights import on_curve, raised, study, until

STEPS = 1200


def test_a_trial_that_was_stopped_goes_on_to_its_end_when_a_person_takes_it_back(tmp_path, monkeypatch) -> None:
    def curve(order):
        return raised(order, steps=STEPS, onset=STEPS, skipped=True)

    night = on_curve(tmp_path, monkeypatch, curve, steps=STEPS, may=("pause",))
    night.engine.begin(None)

    def trial() -> Trial:
        return night.engine.state.trials["t1"]

    until(night, lambda: "t1" in night.engine.state.trials and trial().steps_done > 0)
    put_request(tmp_path, "stop", {"trial": "t1"}, "kim")
    until(night, lambda: trial().status == "stopped")
    done = trial().steps_done
    put_request(tmp_path, "stop", {"trial": "t1", "undo": True}, "lee")
    until(night, lambda: trial().status == "complete")
    (reopened,) = night.payloads(facts.TrialReopened)
    again = [fact for fact in night.payloads(facts.AttemptOrdered) if fact.trial == "t1"][-1]
    assert reopened.by == "lee" and again.from_step == done > 0 and replay(night.ledger).holds


def test_a_stop_that_is_taken_back_between_shifts_is_the_work_of_the_next_one(tmp_path, monkeypatch) -> None:
    def curve(order):
        overfits = 1.0 + np.abs(np.arange(STEPS) - 300) / 400.0
        return {**raised(order, steps=STEPS, onset=STEPS, skipped=True), "val_loss": overfits}

    night = on_curve(tmp_path, monkeypatch, curve, steps=STEPS, may=("pause",))
    night.engine.begin(None)

    until(night, lambda: "t2" in night.engine.state.trials and night.engine.state.trials["t1"].logged_step > STEPS / 2)
    for trial in ("t1", "t2"):
        put_request(tmp_path, "stop", {"trial": trial}, "kim")
    until(night, lambda: night.engine.state.shift is None)
    put_request(tmp_path, "stop", {"trial": "t1", "undo": True}, "kim")
    night.run()
    assert {name: trial.status for name, trial in night.engine.state.trials.items()} == {"t1": "complete", "t2": "stopped"}
    assert len(night.payloads(facts.SymptomSeen)) > 20, "it is followed before and after"
    assert replay(night.ledger).holds, "what was learned of it before it was stopped counts in a replay, too"


def answered(who: str = "kim", **changes) -> list[facts.Payload]:
    """What comes of taking back that t1 was stopped."""
    trial = Trial(**{"id": "t1", "candidate": "c1", "seed": 0, "status": "stopped", **changes})
    request = facts.RequestReceived(id="r1", verb="stop", who=who, asked_at=0.0, args={"trial": "t1", "undo": True})
    state = State(
        study=study(), shift=Shift(id="s1", started_at=0.0, slots=1), trials={"t1": trial}, requests={"r1": request},
    )  # fmt: skip
    return arbitrate(state, requested(state))


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"status": "complete"}, "t1 was not stopped: it is complete"), ({"status": "failed"}, "t1 was not stopped: it is failed"),
     ({"pair": 0}, "would have a say in the verdict"), ({"revision": 0}, "belongs to revision 0"),
     ({"who": "mcp:claude"}, "only a person may ask for that")],
)  # fmt: skip
def test_what_was_not_stopped_or_may_not_be_taken_back_says_so(changes: dict, why: str) -> None:
    (dropped,) = answered(**changes)
    assert isinstance(dropped, facts.DecisionDropped) and why in dropped.reason


def test_only_a_person_opens_again_what_was_stopped() -> None:
    made = answered()
    assert isinstance(made[-1], facts.TrialReopened)
    decision = replace(next(one.decision for one in made if isinstance(one, facts.DecisionMade)), source="captain", by="captain")
    trial = Trial(id="t1", candidate="c1", seed=0, status="stopped")
    state = State(study=study(), shift=Shift(id="s1", started_at=0.0, slots=1), trials={"t1": trial})
    assert not any(isinstance(fact, facts.TrialReopened) for fact in arbitrate(state, [decision]))


def test_every_act_that_does_something_says_how_it_is_undone() -> None:
    trial = Trial(id="t1", candidate="c1", seed=0, status="running")
    state = State(study=study(), trials={"t1": trial}, open={"t1": True})
    incident = Incident(id="i1", subject="t1", finding="f", cause="bad_data", since=5, step=9)
    acts = {name: act_of(state, incident, name, by="captain") for name in REMEDIES}
    assert [name for name, act in acts.items() if not act.undo] == ["leave"]
    assert all(act.reason and act.by for act in acts.values())

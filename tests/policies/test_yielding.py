"""Trials leave a device that somebody else needs, and no other."""

from dataclasses import replace

from secondshift.arbitrate import arbitrate
from secondshift.policies.captain import yielding
from secondshift.records.events import AttemptAsked
from secondshift.records.incidents import Incident
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial
from secondshift.testing.policy_conformance import SPACES, study

ASKED = study(SPACES["continuous"])


def night(*subjects: str) -> State:
    trials = {f"t{n}": Trial(id=f"t{n}", candidate="c1", seed=0, status="running", attempts=1) for n in (1, 2, 3)}
    devices = {"t1": "GPU-1.1", "t2": "GPU-1.2", "t3": "GPU-2"}
    return State(
        study=ASKED, shift=Shift(id="s1", started_at=0.0, slots=3), trials=trials, open=dict.fromkeys(trials, True),
        attempts={f"{t}.a1": Attempt(id=f"{t}.a1", trial=t, number=1, status="running", devices=(d,)) for t, d in devices.items()},
        incidents={f"i{n}": Incident(id=f"i{n}", subject=s, finding="needed") for n, s in enumerate(subjects)},
    )  # fmt: skip


def left(state: State) -> list[str]:
    return [decision.subject for decision in yielding.decide(state)]


def test_all_trials_on_a_device_that_is_needed_leave_it() -> None:
    assert left(night("yield:GPU-1")) == ["t1", "t2"]
    assert left(night("yield:GPU-2", "memory:GPU-1")) == ["t3"]
    assert left(night("yield:GPU-22", "yield:GPU", "memory:GPU-1", "shift")) == []


def test_a_persons_own_wish_needs_no_authority_but_a_rule_does() -> None:
    tied = replace(ASKED, may=())
    assert left(replace(night("yield:host"), study=tied)) == ["t1", "t2", "t3"]
    assert left(replace(night("yield:GPU-1"), study=tied)) == []


def test_nobody_is_asked_twice_and_pausing_is_what_is_asked() -> None:
    state = night("yield:host", "yield:GPU-1")
    asked = [fact for fact in arbitrate(state, yielding.decide(state)) if isinstance(fact, AttemptAsked)]
    assert [(fact.attempt, fact.mode, fact.now) for fact in asked] == [(f"t{n}.a1", "pause", False) for n in (1, 2, 3)]
    again = replace(state, attempts={k: replace(a, asked="pause") for k, a in state.attempts.items()})
    assert left(again) == []

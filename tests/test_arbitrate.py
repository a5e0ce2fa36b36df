"""Arbitration: ranks, budgets and ids."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.arbitrate import arbitrate
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.decisions import Decision, advance, bear, end, fail, pause, propose, start, stop
from secondshift.records.inheritances import Inheritance
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Budget, Objective, Study
from secondshift.records.trials import Checkpoint, Exit
from secondshift.standing import closing, requested


def study(**changes):
    base = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=9)
    return replace(base, **changes)


def after(state, *payloads, at=100.0):
    events = [
        facts.Event(seq=state.last_seq + i + 1, at=at, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for i, p in enumerate(payloads)
    ]
    return fold(state, events)


def fresh(slots=4, **changes):
    state = after(
        State(),
        facts.StudyOpened(study=study(**changes)),
        facts.ShiftStarted(shift=Shift(id="s1", started_at=100.0, slots=slots)),
    )
    return replace(state, now_s=100.0, free_devices=tuple(f"cpu-{i}" for i in range(slots)))


def applied(state, *decisions):
    return replace(after(state, *arbitrate(state, decisions)), now_s=state.now_s, free_devices=state.free_devices)


def proposed(state, count=1):
    return applied(state, *(propose(params={"lr": i}, reason="try", by="random") for i in range(count)))


def kinds(payloads):
    return [facts.KIND_OF[type(p)] for p in payloads]


def test_a_proposal_becomes_a_candidate_and_a_queued_trial_with_the_next_ids():
    state = proposed(fresh(), 2)
    assert list(state.candidates) == ["c1", "c2"]
    assert [t.status for t in state.trials.values()] == ["queued", "queued"]
    assert list(proposed(state).trials) == ["t1", "t2", "t3"]


def test_a_start_reserves_its_charge_before_the_attempt_is_ordered():
    out = arbitrate(proposed(fresh()), [start("t1", until_step=9, reason="free slot", by="fifo")])
    assert kinds(out) == ["decision.made", "charge.reserved", "attempt.ordered"]


def test_a_person_beats_the_scheduler_and_the_loser_is_recorded_with_the_reason():
    state = proposed(fresh())
    out = arbitrate(
        state,
        [start("t1", until_step=9, reason="free slot", by="fifo"), stop("t1", reason="no", by="ann", source="person")],
    )
    assert kinds(out) == ["decision.made", "trial.closed", "decision.dropped"]
    assert "ann decided to stop it" in out[-1].reason


def test_no_more_starts_than_slots_and_devices():
    state = proposed(fresh(slots=2), 4)
    out = arbitrate(state, [start(f"t{i}", until_step=9, reason="go", by="fifo") for i in range(1, 5)])
    assert kinds(out).count("attempt.ordered") == 2
    devices = [p.devices for p in out if isinstance(p, facts.AttemptOrdered)]
    assert len(set(devices)) == 2


def test_a_dropped_decision_is_recorded_once_per_reason():
    state = proposed(fresh(slots=1, budget=Budget(device_s=0.5)))
    wish = start("t1", until_step=9, reason="go", by="fifo")
    state = applied(state, wish)
    assert "budget" in state.held["t1"]
    assert arbitrate(state, [wish]) == []


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    cap=st.floats(1.0, 50.0), slots=st.integers(1, 6),
    spends=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
)  # fmt: skip
def test_reservations_never_pass_the_cap(cap, slots, spends):
    state = proposed(fresh(slots=slots, budget=Budget(device_s=cap)), 12)
    for spend in spends:
        wishes = [start(t.id, until_step=9, reason="go", by="fifo") for t in state.waiting("queued")]
        state = applied(state, *wishes)
        assert state.spend.reserved_device_s + state.spend.settled_device_s <= cap + 1e-6
        for attempt in list(state.attempts.values())[:1]:
            used = spend * attempt.grant_s
            state = after(
                state, facts.AttemptEnded(attempt=attempt.id, exit=Exit(code=1)),
                facts.ChargeSettled(charge=attempt.id, trial=attempt.trial, device_s=used),
            )  # fmt: skip
            state = replace(state, free_devices=tuple(f"cpu-{i}" for i in range(slots)), now_s=100.0)


def test_a_running_attempt_is_granted_more_when_its_slice_runs_out():
    state = applied(proposed(fresh()), start("t1", until_step=9, reason="go", by="fifo"))
    state = after(state, facts.AttemptStarted(attempt="t1.a1", supervisor=1, pid=2))
    assert arbitrate(replace(state, now_s=200.0), []) == []
    out = arbitrate(replace(state, now_s=100.0 + 595.0), [])
    assert kinds(out) == ["charge.reserved"]
    assert after(state, *out).attempts["t1.a1"].grant_s == 1200.0


def test_ending_pauses_what_runs_and_starts_nothing():
    state = applied(proposed(fresh(), 2), start("t1", until_step=9, reason="go", by="fifo"))
    state = applied(state, end(reason="deadline", by="budgets"))
    assert state.ending == "deadline"
    asked = arbitrate(state, closing(state))
    assert [p.mode for p in asked if isinstance(p, facts.AttemptAsked)] == ["pause"]
    assert kinds(arbitrate(state, [start("t2", until_step=9, reason="go", by="fifo")])) == ["decision.dropped"]
    assert arbitrate(after(state, *asked), closing(after(state, *asked))) == []


def test_asking_twice_to_stop_now_escalates_a_pause_once():
    state = applied(proposed(fresh()), start("t1", until_step=9, reason="go", by="fifo"))
    for now in (False, True):
        request = facts.RequestReceived(id=f"r{now}", verb="stop", who="ann", args={"now": now})
        state = after(state, request)
        state = applied(state, *requested(state))
        state = applied(state, *closing(state))
    attempt = state.attempts["t1.a1"]
    assert (attempt.asked, attempt.asked_now) == ("pause", True)
    assert state.requests == {}
    assert applied(state, *closing(state)) == state


def test_an_unknown_request_is_answered_and_changes_nothing():
    state = after(fresh(), facts.RequestReceived(id="r1", verb="dance", who="ann"))
    out = arbitrate(state, requested(state))
    assert kinds(out) == ["decision.dropped"]
    assert after(state, *out).requests == {}


def test_only_running_trials_advance_and_only_idle_ones_fail():
    state = proposed(fresh())
    assert kinds(arbitrate(state, [advance("t1", step=1, value=0.5, until_step=9, reason="good", by="halving")])) == [
        "decision.dropped"
    ]
    state = applied(state, start("t1", until_step=1, reason="go", by="fifo"))
    assert kinds(arbitrate(state, [fail("t1", reason="hopeless", by="captain")])) == ["decision.dropped"]
    out = arbitrate(state, [advance("t1", step=1, value=0.5, until_step=9, reason="good", by="halving")])
    assert after(state, *out).attempts["t1.a1"].until_step == 9


def test_a_stop_is_not_weakened_to_a_pause():
    state = applied(proposed(fresh()), start("t1", until_step=9, reason="go", by="fifo"))
    state = applied(state, stop("t1", reason="bad", by="halving"))
    state = applied(state, pause("t1", reason="slot", by="halving"))
    assert state.attempts["t1.a1"].asked == "stop"


def test_a_decision_without_a_reason_cannot_be_made():
    with pytest.raises(ValueError, match="no reason"):
        Decision(verb="stop", reason=" ", by="x", source="person")


def test_money_caps_device_time():
    state = fresh(budget=Budget(money_usd=1.0, usd_per_device_s=0.1))
    assert state.device_s_left() == pytest.approx(10.0)


def test_an_opaque_script_that_has_logged_its_last_step_may_put_its_things_away() -> None:
    from secondshift.records.studies import Objective, Study
    from secondshift.records.trials import Attempt, Trial
    from secondshift.standing import LEAVING_S, closing

    study = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=10)
    attempt = Attempt(id="t1.a1", trial="t1", number=1, status="running", alone=True, last_log_at=100.0)
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", attempts=1, logged_step=9)
    state = State(study=study, trials={"t1": trial}, attempts={"t1.a1": attempt}, ending="it is late", now_s=101.0)
    assert not closing(state), "asked to leave it would have to begin again"
    assert closing(replace(state, hurry=True)) and closing(replace(state, now_s=101.0 + LEAVING_S))
    assert closing(replace(state, attempts={"t1.a1": replace(attempt, alone=False)})), "one that resumes loses nothing"
    assert closing(replace(state, trials={"t1": replace(trial, logged_step=5)}))


def test_a_trial_that_inherits_starts_once_its_copy_is_recorded_and_from_that_step():
    inherits = Inheritance(trial="t1", step=4, digest="x")
    wish = bear(params={"lr": 9}, parent="c1", inherits=inherits, reason="t1 is good", by="population")
    state = applied(proposed(fresh()), wish)
    assert state.candidates["c2"].parents == ("c1",) and state.trials["t2"].inherits == inherits
    begin = start("t2", until_step=9, reason="its turn", by="population")
    (dropped,) = arbitrate(state, [begin])
    assert dropped.reason == "the checkpoint of t1 that it begins from is not in its place yet"
    copy = Checkpoint(trial="t2", step=4, folder="x", digest="x")
    state = replace(after(state, facts.CheckpointInherited(checkpoint=copy, source="t1")), now_s=100.0)
    ordered = next(p for p in arbitrate(state, [begin]) if isinstance(p, facts.AttemptOrdered))
    assert (ordered.from_step, ordered.until_step) == (4, 9)


def test_a_trial_that_inherits_counts_to_the_trials_of_the_budget():
    state = proposed(fresh(budget=Budget(trials=1)))
    wish = bear(params={}, parent="c1", inherits=Inheritance(trial="t1", step=4), reason="r", by="population")
    assert kinds(arbitrate(state, [wish])) == ["decision.dropped"]

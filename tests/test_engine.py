"""The engine: whole simulated nights, crashes between any two writes, and engines that come back from the dead."""

from dataclasses import replace

import pytest

from secondshift.errors import LeaseLost
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Policy
from secondshift.replay import replay
from secondshift.runtime import spool
from secondshift.runtime.executors.simulated import Mishap
from simulated_nights import EVENING, Night, study


@pytest.fixture(autouse=True)
def private(tmp_path):
    for name in ("spool/tmp", "attempts", "trials"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def accounted(night):
    """Every attempt ended, every charge settled, nothing reserved, money spent equals what the trials were charged."""
    state = night.engine.state
    ordered = [p.attempt for p in night.payloads(facts.AttemptOrdered)]
    ended = [p.attempt for p in night.payloads(facts.AttemptEnded)]
    settled = [p.charge for p in night.payloads(facts.ChargeSettled)]
    assert sorted(ordered) == sorted(ended) == sorted(settled)
    assert len(set(ordered)) == len(ordered)
    assert state.charges == {} and state.spend.reserved_device_s == 0.0
    assert sum(t.device_s for t in state.trials.values()) == pytest.approx(state.spend.settled_device_s)


def test_a_night_of_halving_runs_all_trials_and_ends_by_itself(tmp_path):
    night = Night(tmp_path, study())
    state = night.run()
    assert state.shift is None
    assert len(state.trials) == 12
    assert state.statuses["complete"] >= 1
    best = min(t.metrics["loss"].last for t in state.trials.values() if t.status == "complete")
    assert best < 0.3
    spent = state.spend.settled_device_s
    assert spent < 12 * 27 * 0.6, "halving should not train losers out"
    accounted(night)


def test_every_decision_in_the_ledger_says_why(tmp_path):
    night = Night(tmp_path, study())
    night.run()
    decisions = [p.decision for p in night.payloads(facts.DecisionMade)]
    assert decisions and all(d.reason.strip() and d.by for d in decisions)
    assert [d.id for d in decisions] == [f"d{n + 1}" for n in range(len(decisions))]


def test_the_decision_is_recorded_before_the_executor_hears_of_it(tmp_path):
    night = Night(tmp_path, study())
    submitted = night.executor.submit
    seen = []

    def submit(order):
        recorded = {p.attempt for p in night.payloads(facts.AttemptOrdered)}
        charged = {p.charge for p in night.payloads(facts.ChargeReserved)}
        assert order.attempt in recorded & charged
        seen.append(order.attempt)
        submitted(order)

    night.executor.submit = submit
    night.run()
    assert len(seen) > 12


@pytest.mark.parametrize("after", range(1, 60, 3))
def test_an_engine_that_dies_after_any_write_is_followed_by_one_that_loses_nothing(tmp_path, after):
    night = Night(tmp_path, study(budget=Budget(trials=6)))

    class Killed(BaseException):
        pass

    real, count = night.ledger.append, 0

    def append(*args, **kwargs):
        nonlocal count
        count += 1
        events = real(*args, **kwargs)
        if count == after:
            raise Killed
        return events

    night.ledger.append = append
    with pytest.raises(Killed):
        night.run()
        raise Killed
    night.ledger.append = real
    night.take_over(fold(State(), night.ledger.read()))
    state = night.run()
    assert state.shift is None and len(state.trials) == 6
    accounted(night)
    assert replay(night.ledger).holds


def test_a_returned_engine_whose_lease_was_taken_can_do_nothing(tmp_path):
    night = Night(tmp_path, study())
    night.run(ticks=10)
    stale = night.engine
    before = night.ledger.last_seq()
    night.take_over(fold(State(), night.ledger.read()))
    with pytest.raises(LeaseLost):
        for _ in range(50):
            stale.tick()
            night.host.sleep(5.0)
    facts_since = [e for e in night.ledger.read(before) if e.token == stale.state.token]
    assert facts_since == []


def test_a_killed_trial_is_resumed_and_one_killed_again_and_again_is_given_up(tmp_path):
    mishaps = {"t1": [Mishap(kind="crash", at_step=2)], "t2": [Mishap(kind="crash", at_step=0, attempt=0)]}
    night = Night(tmp_path, study(policy=Policy(scheduler="fifo"), budget=Budget(trials=3)), mishaps=mishaps)
    state = night.run()
    assert state.trials["t1"].status == "complete" and state.trials["t1"].attempts == 2
    assert state.trials["t2"].status == "failed"
    assert state.trials["t2"].attempts == 2, "a segmentation fault at the same step again is the script's own"
    accounted(night)


def test_a_failing_trial_never_ends_a_study_but_a_failure_rate_does(tmp_path):
    one = Night(tmp_path, study(policy=Policy(scheduler="fifo")), mishaps={"t2": [Mishap(kind="fail", at_step=1)]})
    assert one.run().statuses["complete"] == 11
    all_fail = {f"t{n}": [Mishap(kind="fail", at_step=1)] for n in range(1, 100)}
    many = Night(tmp_path, study(budget=Budget(trials=90)), mishaps=all_fail)
    state = many.run()
    assert len(state.trials) < 30
    assert "fail" in many.payloads(facts.ShiftEnded)[0].reason


def test_device_time_is_never_reserved_past_the_cap_and_the_night_ends_when_it_is_used_up(tmp_path):
    cap = 60.0
    night = Night(tmp_path, study(budget=Budget(device_s=cap)))
    night.engine.begin(None)
    while night.engine.state.shift is not None:
        if not night.engine.tick():
            night.host.sleep(0.5)
        spend = night.engine.state.spend
        assert spend.reserved_device_s + spend.settled_device_s <= cap + 1e-6
    assert night.engine.state.spend.settled_device_s > 0.8 * cap
    accounted(night)


def test_the_deadline_pauses_what_runs_and_the_next_shift_goes_on_with_it(tmp_path):
    night = Night(tmp_path, study(policy=Policy(scheduler="fifo"), budget=Budget(trials=6)))
    state = night.run(hours=20 / 3600)
    assert state.shift is None
    assert state.statuses["paused"] == 3
    assert all(night.engine.state.trials[f"t{n}"].steps_done > 10 for n in (1, 2, 3))
    night.host.sleep(3600)
    night.engine.begin(None)
    while night.engine.state.shift is not None:
        if not night.engine.tick():
            night.host.sleep(0.5)
    assert night.engine.state.statuses["complete"] == 6
    assert night.engine.state.trials["t1"].attempts == 2
    accounted(night)


def test_a_request_to_stop_is_recorded_once_and_obeyed(tmp_path):
    night = Night(tmp_path, study())
    night.run(ticks=8)
    request = spool.put_request(tmp_path, "stop", {}, "ann")
    state = night.run()
    assert state.shift is None
    received = night.payloads(facts.RequestReceived)
    assert [r.id for r in received] == [request]
    assert "ann" in night.payloads(facts.ShiftEnded)[0].reason
    accounted(night)


def test_a_request_recorded_just_before_a_crash_is_not_recorded_again(tmp_path, monkeypatch):
    night = Night(tmp_path, study())
    night.run(ticks=8)
    spool.put_request(tmp_path, "stop", {"trial": "t1"}, "ann")

    class Killed(BaseException):
        pass

    def killed(folder, request):
        raise Killed

    with monkeypatch.context() as crash, pytest.raises(Killed):
        crash.setattr(spool, "discard", killed)
        night.engine.tick()
    night.take_over(fold(State(), night.ledger.read()))
    state = night.run()
    assert len(night.payloads(facts.RequestReceived)) == 1
    assert state.trials["t1"].status == "stopped"
    assert spool.pending(tmp_path) == []


def test_a_stop_asked_before_the_shift_began_does_not_end_it(tmp_path):
    night = Night(tmp_path, study())
    asked_before = spool.put_request(tmp_path, "stop", {}, "ann")
    state = night.run()
    assert state.statuses["complete"] >= 1
    dropped = [p for p in night.payloads(facts.DecisionDropped) if asked_before in p.decision.based_on]
    assert len(dropped) == 1 and spool.pending(tmp_path) == []


def test_nothing_is_started_in_the_tick_that_ends_the_shift(tmp_path):
    night = Night(tmp_path, study())
    night.engine.begin(None)
    spool.put_request(tmp_path, "stop", {}, "ann")
    state = night.run()
    assert state.shift is None and night.payloads(facts.AttemptOrdered) == []


def test_an_idea_is_answered_when_the_shift_ends_with_nothing_running(tmp_path):
    night = Night(tmp_path, study())
    night.executor.devices = lambda: ()  # there are none
    spool.put_request(tmp_path, "idea", {"text": "faster", "set.lr": 0.03}, "ann")
    state = night.run(hours=0.01)
    assert state.shift is None and night.payloads(facts.AttemptOrdered) == []
    assert state.ideas["e1"].state == "undecided" and "no pair of fresh seeds" in state.ideas["e1"].answer


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_wall_clock_that_jumps_is_recorded_and_not_followed(tmp_path, jump):
    night = Night(tmp_path, study())
    night.run(ticks=20)
    before = night.engine.clock.now(night.engine.state)
    night.host.jump(jump)
    night.run(ticks=2)
    assert abs(night.engine.clock.now(night.engine.state) - before) < 60
    jumps = night.payloads(facts.ShiftAnchored)
    assert [round(j.jump_s) for j in jumps] == [round(jump)]
    state = night.run()
    assert state.shift is None and state.spend.wall_s >= 0
    times = [e.at for e in night.ledger.read()]
    assert times == sorted(times)


def test_a_policy_that_raises_is_passed_over_and_told_once(tmp_path, monkeypatch):
    night = Night(tmp_path, study())
    import secondshift.policies.captain.silence as silence

    def broken(state):
        raise RuntimeError("kaputt")

    monkeypatch.setattr(silence, "decide", broken)
    state = night.run()
    assert state.statuses["complete"] >= 1
    incidents = [p.incident for p in night.payloads(facts.IncidentOpened)]
    assert [("kaputt" in i.finding) for i in incidents] == [True]


def test_a_new_revision_never_mixes_with_the_old(tmp_path):
    night = Night(tmp_path, study())
    night.run(ticks=30)
    old = set(night.engine.state.trials)
    changed = replace(study(), horizon_steps=18, revision=2)
    night.engine.record([facts.StudyOpened(study=changed)])
    state = night.run()
    assert all(not state.trials[t].open() for t in old)
    fresh = [t for t in state.trials.values() if t.revision == 2]
    assert fresh and state.statuses["complete"] == sum(t.status == "complete" for t in fresh)


def test_the_fold_is_kept_now_and_then_so_that_a_long_night_reopens_fast(tmp_path):
    night = Night(tmp_path, study())
    kept = []
    night.engine.keep = kept.append
    night.host.sleep = lambda seconds, real=night.host.sleep: real(max(seconds, 31.0))  # a snapshot is due each 60 s
    night.engine.begin(None)
    night.engine.run()
    assert len(kept) >= 2 and kept[0].last_seq < kept[-1].last_seq


def test_times_of_facts_are_utc_of_the_study_clock(tmp_path):
    night = Night(tmp_path, study())
    night.run()
    assert all(EVENING <= e.at < EVENING + 8 * 3600 for e in night.ledger.read())


def test_devices_that_others_hold_when_a_shift_begins_count_as_its_slots(tmp_path):
    night = Night(tmp_path, study(launch=Launch(slots=0)), slots=3)
    free = night.executor.devices()
    night.executor.devices, night.executor.held = (lambda: free[:1]), (lambda: dict.fromkeys(free[1:], "others"))
    night.engine.begin(None)
    assert night.engine.state.shift.slots == 3  # what others hold now comes free later in the night


def test_a_night_whose_devices_others_hold_says_for_whom_it_waits(tmp_path):
    night = Night(tmp_path, study())
    devices = night.executor.devices
    night.executor.devices, night.executor.held = (lambda: ()), (lambda: {"sim-0": "t1.a1 of the study in /theirs"})
    night.run(ticks=100)
    [fact] = night.payloads(facts.IncidentOpened)
    assert "/theirs" in fact.incident.finding and not night.payloads(facts.AttemptOrdered)
    night.executor.devices, night.executor.held = devices, dict
    assert night.run().shift is None
    assert len(night.payloads(facts.IncidentClosed)) == 1
    accounted(night)


def test_a_trial_whose_stop_was_asked_between_shifts_is_stopped_when_the_next_begins(tmp_path):
    night = Night(tmp_path, study())
    paused = next(night.run().waiting("paused")).id
    spool.put_request(tmp_path, "stop", {"trial": paused}, "minji")
    spool.put_request(tmp_path, "stop", {}, "minji")  # of a shift that was over: it does not end the next one
    state = night.run()
    assert state.trials[paused].status == "stopped" and "minji" in state.trials[paused].reason
    ends = [p.decision for p in night.payloads(facts.DecisionMade) if p.decision.verb == "end"]
    assert all(decision.by != "minji" for decision in ends)

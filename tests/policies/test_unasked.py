"""What only saves time: a slow trial is moved, one past its best is ended, where that is granted; nobody is ever asked."""

from dataclasses import replace

import numpy as np
import pytest

import simulated_nights
from secondshift.arbitrate import arbitrate
from secondshift.interfaces.readmodel.incidents import all_of, told
from secondshift.ledger.fold import fold
from secondshift.policies.captain.incidents import decide
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.unasked import PAST, SEEN, SLOW, START_S, SURE, WORSE, saves
from secondshift.records import events as facts
from secondshift.records.decisions import start
from secondshift.records.devicenames import chosen, elsewhere
from secondshift.records.incidents import Act, Care, Incident
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Policy
from secondshift.records.trials import Attempt, Checkpoint, Exit, Summary, Trial
from secondshift.replay import replay
from secondshift.runtime.spool import put_request
from simulated_nights import Night, falling, study, until

STEPS, ONSET = 1200, 400
MAY = ("requeue", "stop_early", "pause", "stop_non_finite")
FAST, SLOWED = 1.0, 2.5  # seconds a step


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Make a night of one trial on two devices, on a curve, with an authority."""

    def make(curve, *, may=MAY, slots=2, at="final", metric="loss", trials=1):
        monkeypatch.setattr(simulated_nights, "curve", curve)
        (tmp_path / "spool/tmp").mkdir(parents=True)
        question = study(
            horizon_steps=STEPS, budget=Budget(trials=trials), policy=Policy(searcher="random", scheduler="fifo"), may=may,
            objective=Objective(metric=metric, at=at), launch=Launch(slots=slots, checkpoint_every_s=20),
        )  # fmt: skip
        return Night(tmp_path, question, slots=slots)

    return make


def times(order, *, slow: bool, onset: int = ONSET) -> np.ndarray:
    """The time of each step, with noise; slower from `onset` on."""
    noise = np.exp(0.03 * np.random.default_rng(7).normal(size=STEPS))
    return np.where(np.arange(STEPS) >= onset, SLOWED if slow else FAST, FAST) * noise


def on_first_device(order) -> dict[str, np.ndarray]:
    """The first device becomes slow."""
    return {"loss": falling(1, STEPS), "step_time": times(order, slow=order.devices == ("sim-0",))}


def everywhere(order) -> dict[str, np.ndarray]:
    """Steps become slow wherever they are trained."""
    return {"loss": falling(1, STEPS), "step_time": times(order, slow=True, onset=ONSET if order.number == 1 else 0)}


def devices(played: Night) -> list[str]:
    return [fact.devices[0] for fact in played.payloads(facts.AttemptOrdered) if fact.trial == "t1"]


def incidents(played: Night) -> list:
    return [fact.incident for fact in played.payloads(facts.IncidentAmended)]


def nobody_was_asked(played: Night) -> bool:
    told = [*played.payloads(facts.IncidentOpened), *played.payloads(facts.IncidentAmended)]
    return not any(fact.incident.questions for fact in told)


def test_a_trial_on_a_slow_device_goes_on_on_another_and_is_judged_by_its_pace(night):
    played = night(on_first_device)
    state = played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.cause == "slow_device" and opened.incident.acts[0].avoid == ("sim-0",)
    assert devices(played) == ["sim-0", "sim-1"] and nobody_was_asked(played)
    (act,) = incidents(played)[-1].acts
    assert act.outcome == "worked" and act.seen.startswith("a step takes 0.99")
    said = [line.values.get("outcome") for line in told(next(iter(all_of(played.ledger).values())), state)]
    assert act.seen in said, "what it was judged by is shown, and not the level of the loss"
    assert state.trials["t1"].status == "complete" and not state.trials["t1"].assisted and not state.incidents
    again = played.payloads(facts.AttemptOrdered)[1]
    assert again.from_step > ONSET, "it saved before it left: nothing is trained twice"
    assert replay(played.ledger).holds


def test_where_it_is_as_slow_elsewhere_it_is_left_there_and_nobody_is_asked(night):
    played = night(everywhere)
    state = played.run()
    assert devices(played) == ["sim-0", "sim-1"] and nobody_was_asked(played)
    (closed,) = played.payloads(facts.IncidentClosed)
    assert "it is not the device" in closed.outcome and state.trials["t1"].status == "complete"


@pytest.mark.parametrize("given", [{"may": ("pause",)}, {"slots": 1}])
def test_without_a_grant_or_another_device_slow_steps_are_only_noted(night, given):
    played = night(on_first_device, **given)
    played.run()
    assert not played.payloads(facts.IncidentOpened) and devices(played) == ["sim-0"]
    seen = [one for fact in played.payloads(facts.SymptomSeen) for one in fact.findings]
    assert any(one.symptom == "slow_steps" and one.lasted >= SLOW for one in seen)
    assert all(rung(one) == "note" for one in seen)


def broken(order) -> dict[str, np.ndarray]:
    """Slow steps on the first device; on the second the loss is soon no number."""
    found = on_first_device(order)
    if order.number > 1:
        found["loss"][order.from_step + 4 :] = np.nan
    return found


def test_another_trouble_while_it_is_judged_is_seen_to_as_what_it_is(night):
    played = night(broken)
    state = played.run()
    causes = [fact.incident.cause for fact in played.payloads(facts.IncidentOpened)]
    assert causes == ["slow_device", "bad_numbers"] and state.trials["t1"].status == "stopped"


def turned(order) -> dict[str, np.ndarray]:
    """An evaluation at every step that is best at step 300, while training goes on improving."""
    noise = 0.002 * np.random.default_rng(3).normal(size=STEPS)
    return {"loss": falling(1, STEPS), "val_loss": 1.0 + np.abs(np.arange(STEPS) - 300) / 400.0 + noise}


def test_a_run_past_its_best_is_ended_and_its_best_is_its_result(night):
    played = night(turned, at="best", metric="val_loss")
    state = played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.cause == "overfitting" and opened.incident.acts[0].remedy == "stop_early"
    trial = state.trials["t1"]
    assert trial.status == "complete" and trial.logged_step < STEPS - 300 and not trial.assisted
    assert trial.objective(state.study.objective) == pytest.approx(1.0, abs=0.02)
    assert nobody_was_asked(played) and replay(played.ledger).holds


def test_a_person_takes_it_back_and_it_goes_on_from_what_it_saved_to_its_end(night, tmp_path):
    played = night(turned, at="best", metric="val_loss")
    ended = played.run().trials["t1"]
    assert ended.stopped() and ended.early == "stopped"
    put_request(tmp_path, "stop", {"trial": "t1", "undo": True}, "kim")
    state = played.run()
    again = played.payloads(facts.AttemptOrdered)[-1]
    assert 0 < again.from_step <= ended.logged_step + 1
    assert state.trials["t1"].logged_step == STEPS - 1 and not state.trials["t1"].stopped()
    assert len(played.payloads(facts.TrialHelped)) == 1 and replay(played.ledger).holds


def test_where_no_other_device_was_free_in_the_end_that_is_said(night):
    played = night(on_first_device)
    played.engine.begin(simulated_nights.EVENING + 8 * 3600)
    until(played, lambda: played.payloads(facts.TrialHelped))
    played.executor._held.pop("sim-1")  # somebody else's program took it meanwhile
    state = played.run()
    assert devices(played) == ["sim-0", "sim-0"] and nobody_was_asked(played)
    (closed,) = played.payloads(facts.IncidentClosed)
    assert "no other device was free" in closed.outcome and state.trials["t1"].status == "complete"


def test_a_device_that_comes_free_is_kept_for_the_trial_that_leaves_for_it_though_others_wait(night, tmp_path):
    played = night(on_first_device, trials=4)
    played.engine.begin(simulated_nights.EVENING + 8 * 3600)
    until(played, lambda: played.engine.state.trials and played.engine.state.trials["t1"].logged_step >= ONSET + 200)
    put_request(tmp_path, "stop", {"trial": "t2"}, "kim")
    state = played.run()
    assert devices(played) == ["sim-0", "sim-1"] and state.statuses["complete"] == 3
    closed = [fact.outcome for fact in played.payloads(facts.IncidentClosed)]
    assert closed and all("where it was slow" in outcome for outcome in closed) and replay(played.ledger).holds


def test_a_device_that_was_left_is_taken_last_for_the_rest_of_the_shift(night):
    played = night(on_first_device)
    known = played.run()
    assert known.slow == {"sim-0": True} and not known.care, "though the trial is over"
    queued = Trial(id="t9", candidate="c1", seed=0, revision=1)
    shift = Shift(id="s9", started_at=0.0, slots=2)
    free = replace(known, trials={"t9": queued}, open={"t9": True}, shift=shift, free_devices=("sim-0", "sim-1"))
    made = arbitrate(free, [start("t9", until_step=STEPS, reason="r", by="fifo")])
    assert [fact.devices for fact in made if isinstance(fact, facts.AttemptOrdered)] == [("sim-1",)]


FOUND = Finding(
    symptom="overfitting", stream="val_loss", step=660, since=300, lasted=PAST, confidence=SURE,
    evidence={"evaluation": 1.2, "best": 1.0, "best_step": 300.0, "training": 0.1, "training_at_best": 0.3},
)  # fmt: skip
SLOWER = Finding(
    symptom="slow_steps", stream="step_time", step=600, since=450, lasted=SLOW, confidence=SEEN,
    evidence={"step_time_s": 2.0, "before_s": 1.0, "times": 2.0},
)  # fmt: skip


PROGRAMS = study(
    horizon_steps=STEPS, objective=Objective(metric="val_loss", at="best"), policy=Policy(searcher="programs"), evaluate="judge",
)  # fmt: skip
ON_ONE = Attempt(id="t1.a1", trial="t1", number=1, status="running", devices=("GPU-1.2",))
BESIDE = Attempt(id="t2.a1", trial="t2", number=1, status="running", devices=("GPU-2.2",))
LEFT = Act(remedy="requeue", reason="r", by="captain", cause="slow_device", avoid=("GPU-2.2",), outcome="worked")


def seen(**changes) -> State:
    """A trial at step 660 of 1200 that was at its best at step 300, with another device free."""
    trial = Trial(
        id="t1", candidate="c1", seed=0, status="running", attempts=1, logged_step=660, until_step=STEPS,
        metrics={"val_loss": Summary(points=25, last=1.2, low=1.0, low_step=300, high=2.0, high_step=0)},
    )  # fmt: skip
    question = study(horizon_steps=STEPS, objective=Objective(metric="val_loss", at="best"))
    kept = Checkpoint(trial="t1", step=310, folder="x", objective=1.01)
    trial = replace(trial, **changes.pop("trial", {}))
    whole = {"study": question, "checkpoints": {"t1": (kept,)}, "trials": {"t1": trial}, "attempts": {"t1.a1": ON_ONE},
             "free_devices": ("GPU-2.1",)}  # fmt: skip
    return State(**(whole | changes))


def worth(finding: Finding, **changes) -> bool:
    state = seen(**changes)
    return saves(state, state.trials["t1"], finding)


def test_what_is_long_past_its_best_is_worth_ending():
    assert worth(FOUND)


@pytest.mark.parametrize(
    ("finding", "changes", "why"),
    [
        (replace(FOUND, lasted=PAST - 1), {}, "it may come back"),
        (replace(FOUND, confidence=SURE - 0.01), {}, "it is not sure"),
        (replace(FOUND, evidence={**FOUND.evidence, "evaluation": 1.0 + 0.9 * WORSE}), {}, "it drifts"),
        (replace(FOUND, evidence={"training_gained": 1.0}), {}, "evaluation has not turned"),
        (FOUND, {"trial": {"logged_step": 1150}}, "it is over soon anyway"),
        (FOUND, {"trial": {"logged_step": STEPS // 2 - 1}}, "the rate is still to fall"),
        (FOUND, {"trial": {"pair": 3}}, "it is compared at its end"),
        (FOUND, {"trial": {"early": "undone"}}, "a person wants it to go on"),
        (FOUND, {"audits": {"t1": object()}}, "it was drawn to see how it ends"),
        (FOUND, {"study": study(horizon_steps=STEPS, objective=Objective(metric="val_loss"))}, "what counts is its end"),
        (FOUND, {"trial": {"metrics": {"val_loss": Summary(points=25, low=0.9, low_step=500)}}}, "the objective got better since"),
        (FOUND, {"trial": {"metrics": {}}}, "the objective is not known"),
        (FOUND, {"checkpoints": {}}, "no checkpoint of its best is kept"),
        (FOUND, {"study": PROGRAMS}, "an evaluator tells the result"),
    ],
)
def test_what_is_not_worth_ending(finding, changes, why):
    assert not worth(finding, **changes), why


def test_where_more_is_better_the_highest_is_the_best():
    question = study(horizon_steps=STEPS, objective=Objective(metric="acc", goal="max", at="best"))
    for high_step, ended in ((300, True), (600, False)):
        trial = {"metrics": {"acc": Summary(points=25, low=0.1, low_step=650, high=0.9, high_step=high_step)}}
        assert worth(FOUND, study=question, trial=trial) is ended


def test_slow_steps_are_worth_moving_away_from():
    assert worth(SLOWER)


@pytest.mark.parametrize(
    ("finding", "changes", "why"),
    [
        (replace(SLOWER, lasted=SLOW - 1), {}, "it may pass"),
        (replace(SLOWER, confidence=SEEN - 0.01), {}, "it is not sure"),
        (SLOWER, {"free_devices": ()}, "no other device is free"),
        (SLOWER, {"free_devices": ("GPU-1.1",)}, "that is the same GPU"),
        (SLOWER, {"trial": {"until_step": 800}}, "it is slow for less long than it was"),
        (replace(SLOWER, evidence={"step_time_s": 1.0 + 0.9 * START_S / 539, "before_s": 1.0}), {}, "a start costs as much"),
        (SLOWER, {"attempts": {}}, "it does not run"),
        (SLOWER, {"attempts": {"t1.a1": ON_ONE, "t2.a1": BESIDE}}, "another trial runs on that GPU"),
        (SLOWER, {"care": {"t1": Care(acts=(LEFT,))}}, "it was slow there before"),
    ],
)
def test_what_is_not_worth_moving(finding, changes, why):
    assert not worth(finding, **changes), why


def test_cpus_are_shares_of_one_machine_and_slots_of_one_gpu():
    assert elsewhere(("cpu-0", "cpu-7"), ("cpu-3",)) == []
    assert elsewhere(("GPU-1.1", "GPU-2.2"), ("GPU-1.2",)) == ["GPU-2.2"]


@pytest.mark.parametrize(
    ("own", "others", "device"),
    [((), (), "a"), (("a",), (), "b"), ((), ("a", "b"), "c"), (("c",), ("a", "b"), "a"), (("a", "b", "c"), ("a",), "b")],
)
def test_a_device_is_chosen_that_this_trial_then_that_others_were_not_slow_on(own, others, device):
    assert chosen(("a", "b", "c"), own, others) == device


SHIFT = Shift(id="s1", started_at=0.0, slots=2, may=MAY)


def cared(*findings: Finding, may: tuple[str, ...] = MAY, acts: tuple[Act, ...] = (), **changes) -> State:
    state = seen(care={"t1": Care(seen=findings, count=len(findings), acts=acts)}, open={"t1": True}, **changes)
    return replace(state, shift=replace(SHIFT, may=may), study=replace(state.study, may=may, tier="cooperative"))


@pytest.mark.parametrize("may", [("stop_early",), MAY])
def test_what_ends_a_run_is_done_though_its_steps_are_slow_as_well(may):
    (decision,) = decide(cared(SLOWER, FOUND, may=may))
    assert decision.incidents[0].acts[-1].remedy == "stop_early"


def test_a_move_that_did_not_help_does_not_keep_a_run_from_being_ended():
    failed = replace(LEFT, avoid=("GPU-3.1",), outcome="failed")
    (decision,) = decide(cared(SLOWER, FOUND, acts=(failed,)))
    assert decision.incidents[0].acts[-1].remedy == "stop_early"


def test_what_nobody_would_do_anything_about_does_not_end_a_pending_move():
    act = replace(LEFT, outcome="", attempt="t1.a1")
    incident = Incident(id="i1", subject="t1", finding="f", cause="slow_device", since=450, acts=(act,), findings=(SLOWER,))
    leak = Finding(symptom="memory_leak", stream="rss_mb", step=640, since=500, lasted=96, confidence=0.95, evidence={})
    assert decide(cared(leak, acts=(act,), incidents={"i1": incident})) == []


@pytest.mark.parametrize(("asked", "remedy", "ends", "slots"), [
    ("pause", "requeue", "t1.a1", 0), ("", "requeue", "t1.a1", 1), ("pause", "requeue", "t1.a0", 1), ("pause", "pause", "t1.a1", 1),
])  # fmt: skip
def test_a_slot_is_kept_as_long_as_a_trial_leaves_its_device_for_another(asked, remedy, ends, slots):
    act = replace(LEFT, remedy=remedy, attempt=ends, outcome="")
    state = seen(attempts={"t1.a1": replace(ON_ONE, asked=asked)}, shift=SHIFT, care={"t1": Care(acts=(act,))})
    assert state.free_slots() == slots


@pytest.mark.parametrize(("exit", "stopping", "logged", "early", "status"), [
    (Exit(code=0, cause="stop"), True, 700, "stopped", "complete"),
    (Exit(signal=9, cause="stop"), True, 700, "stopped", "complete"),
    (Exit(code=0), True, STEPS - 1, "", "complete"), (Exit(code=0), False, 700, "", "complete"),
])  # fmt: skip
def test_a_trial_that_came_to_its_own_end_before_it_could_be_ended_is_none_that_was(exit, stopping, logged, early, status):
    attempt = replace(ON_ONE, asked="stop", stopping=stopping)
    state = seen(trial={"early": "asked", "logged_step": logged}, attempts={"t1.a1": attempt}, open={"t1": True})
    ended = facts.AttemptEnded(attempt="t1.a1", exit=exit)
    trial = fold(state, [facts.Event(seq=1, at=0.0, token=1, kind="attempt.ended", payload=ended)]).trials["t1"]
    assert (trial.early, trial.status) == (early, status) and trial.stopped() == (early == "stopped")

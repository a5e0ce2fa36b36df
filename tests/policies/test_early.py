"""What is believed before it has lasted: a rate that leapt, much of what was learned gone at once, and what was there before."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.ledger.fold import fold
from secondshift.policies.captain.diagnosis import diagnose, together
from secondshift.policies.captain.early import early
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.observing import decide as observe
from secondshift.policies.captain.remedies import EXACT, MARGIN, act_of, next_act
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Following, follow, start
from secondshift.policies.captain.symptoms.updates import LEAP, SETTLED_RATES, Updates
from secondshift.policies.captain.verifying import EXTENT, outcome_of
from secondshift.records import events as facts
from secondshift.records.incidents import Act, Care, Incident, Level, Look
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial
from simulated_nights import falling, on_curve, study

STEPS, ONSET = 1200, 500
RATE = 1e-3
MAY = ("retry_infrastructure", "pause", "stop_non_finite", "roll_back", "roll_back_skip", "roll_back_lower_rate")


def leaps(rates: list[float], *, announced: int = -1) -> list[int]:
    """Steps at which a fresh leap is known."""
    updates, known = Updates(), []
    for step, rate in enumerate(rates):
        if step == announced:
            updates.announce()
        updates.push_rate(step, rate)
        if updates.leap_since() >= 0.0:
            known.append(step)
    return known


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    warm=st.integers(0, 300), every=st.integers(1, 50), shape=st.sampled_from(["constant", "cosine", "linear", "steps"]),
    cycles=st.integers(1, 4), top=st.floats(1e-5, 10.0),
)  # fmt: skip
def test_no_warm_up_no_schedule_and_no_restart_of_one_is_a_leap(warm, every, shape, cycles, top):
    def rate(step: int) -> float:
        ramp, share = min(1.0, (step + 1) / warm) if warm else 1.0, step * cycles / 600 % 1.0
        shapes = {
            "constant": 1.0, "cosine": 0.501 + 0.499 * math.cos(math.pi * share), "linear": 1.001 - share,
            "steps": 0.01 if share > 0.5 else 1.0,
        }  # fmt: skip
        return top * ramp * shapes[shape]

    assert leaps([rate(step) for step in range(0, 600, every)]) == []


@settings(deadline=None, max_examples=60, derandomize=True)
@given(onset=st.integers(SETTLED_RATES + 1, 300), times=st.floats(1.0, 1e4), before=st.floats(1e-6, 1.0))
def test_a_leap_is_known_at_its_step_and_only_where_it_passes_all_before_by_far(onset, times, before):
    known = leaps([before] * onset + [before * times] * 5)
    assert known == (list(range(onset, onset + 5)) if times > LEAP * (1 + 1e-9) else [])


def test_what_was_announced_is_no_leap_and_neither_is_what_came_back_or_is_long_past():
    flat, high = [RATE] * 100, [100 * RATE] * 100
    assert leaps(flat + high) and not leaps(flat + high, announced=100)
    back = leaps([*flat, *high[:3], *flat])
    assert back == [100, 101, 102]
    assert leaps([*flat, *high, *high])[-1] < 200, "a rate that did no harm for so long explains nothing any more"
    assert not leaps([RATE] * (SETTLED_RATES - 1) + high), "what is highest was not known for long"


def test_a_run_that_went_back_to_before_a_leap_sees_the_same_leap_again():
    updates = Updates()
    for step in [*range(120), *range(90, 120)]:
        updates.push_rate(step, RATE if step < 100 else 100 * RATE)
        assert (updates.leap_since() == 100.0) == (step >= 100), step
        assert step >= 100 or updates.rate_change() == 1.0
    assert updates.rate_change() == pytest.approx(100.0)


def rows(*, onset: int = ONSET, rate: float = 1.0, level: float = 0.0, shown: float = 0.0, norm: float = 1.0, steps: int = 700):
    """A run that learned, and from `onset` on another rate (times), loss (added), evaluation (added) and gradient (times)."""
    loss = falling(3, steps) - 0.4
    for step in range(steps):
        after = step >= onset
        yield {
            "step": float(step), "loss": float(loss[step]) + (level if step > onset - (rate == 1.0) else 0.0),
            "lr": RATE * (rate if after else 1.0), "grad_norm": (1.0 + 0.05 * math.sin(step)) * (norm if after else 1.0),
            "val_loss": 0.15 + (shown if after else 0.0) + 0.01 * math.sin(step) if step % 10 == 9 else None,
        }  # fmt: skip


def believed(**kind: float) -> list[Finding]:
    _, found = follow(start(), rows(**kind))
    return [one for one in found if early(one)]


def test_a_leap_of_the_rate_and_a_loss_that_got_worse_are_believed_within_a_few_points():
    first = believed(rate=100.0, level=1.0)[0]
    assert first.step <= ONSET + 4 and rung(first) == "note", "nobody is asked any sooner"
    diagnosis = diagnose([first])
    assert diagnosis.cause == "learning_rate_too_high" and diagnosis.since == ONSET
    assert not believed(rate=100.0), "a rate that does no harm"
    assert not believed(level=1.0), "a loss alone, of which nothing says why"
    assert not believed(rate=5.0, level=1.0), "no more than a schedule may do"


def test_half_of_what_was_learned_gone_in_loss_evaluation_and_gradients_is_believed_after_two_blocks():
    first = believed(level=1.5, shown=1.5, norm=6.0)[0]
    assert ONSET + 8 < first.step < ONSET + 24 and first.lasted == 16 and first.symptom == "step_up"
    assert diagnose([first]).cause == "damaged_weights"
    assert not believed(level=1.5, norm=6.0), "it may be the data: evaluation does not show it"
    assert not believed(level=1.5, shown=1.5), "the gradients are as ever"
    assert not believed(level=0.6, shown=0.6, norm=6.0), "most of what was learned is still there"


def test_a_rise_that_was_over_before_the_rate_leapt_is_not_laid_at_its_door():
    seen = {"rate_since": 600.0, "rate_change": 100.0}
    old = Finding(symptom="step_up", stream="loss", step=607, since=544, lasted=64, confidence=0.9, evidence=seen)
    assert not early(old) and early(replace(old, since=596, lasted=12))


def leaping(order) -> dict[str, np.ndarray]:
    """A rate that leaps in t1's first attempt, and a loss that follows it."""
    loss, rate = falling(int(order.trial[1:]), STEPS), np.full(STEPS, RATE)
    if order.trial == "t1" and order.attempt.endswith(".a1"):
        rate[ONSET:] *= 100.0
        loss[ONSET + 1 :] += 2.0
    return {"loss": loss, "lr": rate}


def ever_leaping(order) -> dict[str, np.ndarray]:
    """The same in every attempt, until the rate is scaled."""
    loss, rate = falling(int(order.trial[1:]), STEPS), np.full(STEPS, RATE)
    if order.trial == "t1":
        rate[ONSET:] *= 100.0
        if order.directives.lr_scale == 1.0:
            loss[ONSET + 1 :] += 2.0
    return {"loss": loss, "lr": rate * order.directives.lr_scale}


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Make a night of two trials on a curve, with an authority."""
    return lambda curve, may=MAY: on_curve(tmp_path, monkeypatch, curve, steps=STEPS, may=may)


def test_where_going_back_is_granted_it_is_done_at_once_and_to_the_checkpoint_just_before(night):
    played = night(leaping)
    state = played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.rung == "repair" and opened.incident.since == ONSET and not opened.incident.questions
    assert opened.incident.findings[-1].lasted < 16
    (helped,) = played.payloads(facts.TrialHelped)
    assert helped.act.remedy == "roll_back" and helped.act.back_to == ONSET - EXACT
    (closed,) = played.payloads(facts.IncidentClosed)
    assert "was" in closed.outcome and state.trials["t1"].status == "complete" and not state.trials["t1"].assisted


def test_where_it_is_not_granted_nobody_is_asked_before_it_has_lasted(night):
    played = night(leaping, may=("retry_infrastructure", "pause", "stop_non_finite"))
    played.run()
    (opened,) = played.payloads(facts.IncidentOpened)
    assert opened.incident.rung == "ask" and opened.incident.step >= ONSET + 60


def test_a_schedule_that_leaps_again_is_believed_at_once_and_then_the_rate_is_scaled(night):
    played = night(ever_leaping)
    state = played.run()
    acts = [fact.act for fact in played.payloads(facts.TrialHelped)]
    assert [act.remedy for act in acts] == ["roll_back", "roll_back_lower_rate"]
    assert acts[1].step < ONSET + 30 and acts[1].lr_scale == pytest.approx(0.01, rel=0.01)
    last = played.payloads(facts.IncidentAmended)[-1].incident
    assert [act.outcome for act in last.acts] == ["failed", "worked"] and "again" in last.acts[0].seen
    assert state.trials["t1"].status == "complete"


LEAPT = Finding(symptom="spike", stream="loss", step=503, since=501, lasted=3, confidence=0.9,
                evidence={"rate_since": 500.0, "rate_change": 100.0})  # fmt: skip
BACK = Act(remedy="roll_back", reason="r", by="captain", cause="learning_rate_too_high", attempt="t1.a1", back_to=499,
           step=530)  # fmt: skip
INCIDENT = Incident(
    id="i1", subject="t1", finding="f", cause="learning_rate_too_high", since=500, step=503, rate=0.1, findings=(LEAPT,),
    before=Level(metric="loss", step=500, value=1.0, noise=0.02, rate=RATE), acts=(BACK,),
)  # fmt: skip


def helped(*, at: int, look: int, rate: float = RATE, notes: tuple[Finding, ...] = (), may: tuple[str, ...] = MAY) -> State:
    """t1 in its second attempt at step `at`, and what the detectors said at step `look`."""
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", attempts=2, logged_step=at)
    level = Level(metric="loss", step=look, value=1.0, noise=0.02, rate=rate)
    return State(
        study=study(horizon_steps=1200), shift=Shift(id="s1", started_at=0.0, may=may), trials={"t1": trial}, open={"t1": True},
        attempts={"t1.a2": Attempt(id="t1.a2", trial="t1", number=2, status="running")}, looks={"t1": Look(level=level)},
        care={"t1": Care(seen=notes, count=len(notes), acts=(BACK,))}, incidents={"i1": INCIDENT},
    )  # fmt: skip


def test_the_same_leap_and_the_same_harm_say_that_going_back_did_not_help():
    assert outcome_of(helped(at=505, look=505, rate=0.1, notes=(LEAPT,)), INCIDENT, BACK, ())[0] == "failed"
    assert outcome_of(helped(at=505, look=505, rate=0.1), INCIDENT, BACK, ()) is None, "this time it does no harm"
    tamed = replace(LEAPT, evidence={"rate_change": 1.0})
    assert outcome_of(helped(at=505, look=505, notes=(tamed,)), INCIDENT, BACK, ()) is None, "the rate did not leap"
    first = replace(LEAPT, lasted=1)
    assert outcome_of(helped(at=505, look=505, rate=0.1, notes=(first,)), INCIDENT, BACK, ()) is None, "one point alone"


def test_a_rise_at_the_same_place_is_believed_at_once_where_it_is_known_how_far_it_reaches():
    again = Finding(symptom="spike", stream="loss", step=506, since=504, lasted=3, confidence=0.8, evidence={})
    seen = replace(again, step=500 + EXTENT, since=500, lasted=EXTENT)
    incident = replace(INCIDENT, cause="damaged_weights", findings=(seen,), step=seen.step)
    state = helped(at=510, look=510, notes=(again,))
    assert outcome_of(state, incident, BACK, ())[0] == "failed"
    short = replace(incident, step=516)
    assert outcome_of(state, short, BACK, ()) is None, "what would be skipped next is not known yet"
    elsewhere = helped(at=560, look=510, notes=(replace(again, step=560, since=550),))
    assert outcome_of(elsewhere, replace(incident, step=600), BACK, ()) is None


def test_going_back_to_the_same_place_is_not_tried_again_whatever_the_cause_is_called():
    state = helped(at=550, look=550)
    care = replace(state.care["t1"], acts=(replace(BACK, outcome="failed"),))
    for cause, other in (("learning_rate_too_high", "roll_back_lower_rate"), ("damaged_weights", "roll_back_skip")):
        incident = replace(INCIDENT, cause=cause, acts=())
        assert next_act(replace(state, care={"t1": care}), incident).remedy == other
        assert next_act(replace(state, care={}), incident).remedy == "roll_back"
    elsewhere = replace(care, acts=(replace(BACK, outcome="failed", back_to=100),))
    assert next_act(replace(state, care={"t1": elsewhere}), replace(INCIDENT, cause="damaged_weights")).remedy == "roll_back"


def test_only_a_step_that_a_column_of_its_own_says_needs_no_margin():
    state = helped(at=600, look=600)
    assert act_of(state, INCIDENT, "roll_back", by="captain").back_to == 500 - EXACT
    assert act_of(state, replace(INCIDENT, findings=()), "roll_back", by="captain").back_to == 500 - MARGIN


def test_where_few_steps_are_logged_the_trouble_may_have_begun_right_after_the_last_good_one():
    thin = [row for row in rows(onset=2446, level=3.0, steps=2600) if row["step"] % 20 == 0]  # among them 2440 and 2460
    _, found = follow(start(), thin)
    diagnosis = diagnose(found)
    assert 2300 < diagnosis.since <= 2460
    incident = replace(INCIDENT, cause="bad_data", since=diagnosis.since, step=2540, findings=diagnosis.findings)
    act = act_of(helped(at=2600, look=2600), incident, "roll_back_skip", by="captain")
    assert act.back_to == diagnosis.since - 20 <= 2440 and act.skip == ((diagnosis.since - 19, 2541),)
    _, found = follow(start(), [row for row in rows(level=3.0, steps=520) if row["step"] not in range(400, 460)])
    assert all("logged_every" not in one.evidence for one in found), "a gap that came once is no habit"


def test_what_went_away_long_ago_is_no_part_of_a_trouble_and_what_led_to_it_is():
    old = Finding(symptom="spike", stream="loss", step=203, since=200, lasted=3, confidence=0.9, evidence={})
    first, second = replace(old, step=480, since=478), replace(old, step=492, since=490)
    step_up = replace(old, symptom="step_up", step=567, since=504, lasted=64)
    assert together([old, first, second, step_up], [step_up]) == [first, second, step_up]
    assert diagnose(together([old, first, second, step_up], [step_up])).since == 478
    assert together([old, step_up], [step_up]) == [step_up]
    thin = [replace(one, evidence={"logged_every": 10.0}) for one in (old, first)]
    assert together([*thin, step_up], [step_up]) == [thin[1], step_up]


def test_what_an_attempt_shows_at_the_step_where_the_one_before_did_is_told_again():
    order = facts.AttemptOrdered(
        attempt="t1.a2", trial="t1", number=2, token=1, devices=("cpu-0",), from_step=490, until_step=1200, grant_s=60.0,
        decision="d1",
    )  # fmt: skip
    seen = facts.SymptomSeen(trial="t1", attempt="t1.a1", findings=(LEAPT,))
    trial = Trial(id="t1", candidate="c1", seed=0, status="running", attempts=1)
    base = State(study=study(), shift=Shift(id="s1", started_at=0.0), trials={"t1": trial}, open={"t1": True},
                 looks={"t1": Look(findings=(LEAPT,))})  # fmt: skip
    events = [facts.Event(seq=n, at=0.0, token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate((seen, order), 1)]
    first = after(base, events[:1])
    assert observe(first) == [], "an engine that was started again finds it once more"
    assert len(observe(after(first, events[1:]))) == 1


def after(state: State, events: list[facts.Event]) -> State:
    """The state after these facts, with the looks that no fact brings."""
    return replace(fold(state, events), looks=state.looks)


@pytest.mark.parametrize("back_to, left_behind", [(480, True), (510, False)])
def test_a_rise_that_was_left_behind_by_going_back_did_not_go_away_by_itself(back_to, left_behind):
    run: Following = start()
    run, _ = follow(run, rows(level=2.0, steps=560))
    assert run.numbers.level.raised
    run.step = -1
    run.resumed(back_to)
    again = [row for row in rows(level=0.0 if left_behind else 2.0, steps=700) if row["step"] >= back_to]
    run, _ = follow(run, again[:60])
    assert run.numbers.healed == 0
    assert (run.numbers.level.raised > 0) != left_behind


@pytest.mark.parametrize("beside", ["slow_steps", "slow_loader", "memory_leak"])
def test_a_machine_that_is_slow_beside_a_trouble_is_not_what_the_trouble_is(beside):
    step_up = Finding(symptom="step_up", stream="loss", step=628, since=500, lasted=128, confidence=0.95, evidence={})
    slow = Finding(symptom=beside, stream="step_time", step=600, since=510, lasted=64, confidence=0.9, evidence={})
    assert diagnose(together([slow, step_up], [step_up])).cause == "bad_data"
    assert diagnose(together([slow, step_up], [slow, step_up])).cause != "bad_data", "it may be a trouble of its own"

"""Why a trial is where it is: any fate is explained, with the facts that record it."""

from dataclasses import replace

import pytest

from interfaces.nights import Night, complete, eventful
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.overview import Holder, budgets, engine_line, eta, overview, upcoming
from secondshift.interfaces.readmodel.reasons import story, trial_events
from secondshift.interfaces.readmodel.waiting import outlook
from secondshift.records.decisions import end, pause, start
from secondshift.records.events import CheckpointPruned, DecisionDropped, TrialClosed
from secondshift.records.incidents import Act, Care
from secondshift.records.nights import Shift
from secondshift.records.trials import Exit


def told(night: Night, trial: str, lang: str = "en") -> list[str]:
    return [tell(s, lang) for s in story(trial_events(night.record(), trial))]


def waits(night: Night, trial: str, *, engine_alive: bool = True) -> list[str]:
    state = night.state
    return [s.key.removeprefix("why.") for s in outlook(state, state.trials[trial], engine_alive=engine_alive)]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_trial_of_an_eventful_night_has_a_story_that_begins_with_its_proposal(lang: str) -> None:
    night = eventful()
    for trial in night.state.trials:
        lines = told(night, trial, lang)
        assert any("sobol" in line and "Sobol point" in line for line in lines[:2]), lines
        assert len(lines) >= 3


def test_a_killed_and_resumed_trial_is_told_in_order() -> None:
    lines = told(eventful(), "t5")
    order = ["sobol proposed it", "queued as t5", "halving decided to run it", "t5.a1 was ordered", "logged 3 points, up to step 2",
             "saved at step 3", "signal 9, which was not ours", "i1: ended by signal 9", "t5.a2 was ordered on cpu-0, from step 3",
             "logged 6 points, up to step 8", "exit code 0", "i1 ended"]  # fmt: skip
    places = [next(i for i, line in enumerate(lines) if part in line) for part in order]
    assert places == sorted(places)


def test_every_sentence_names_events_about_that_trial() -> None:
    night = eventful()
    events = {e.seq: e for e in night.events}
    for trial in night.state.trials:
        for statement in story(trial_events(night.record(), trial)):
            assert statement.facts and all(seq in events for seq in statement.facts)


def test_a_failure_is_told_with_its_last_words_and_a_stop_with_who_wanted_it() -> None:
    assert any("exit code 1" in line and "ValueError" in line for line in told(eventful(), "t3"))
    assert any(line.startswith("kim decided to stop it: kim asked for it") for line in told(eventful(), "t6"))


def test_refusals_of_one_kind_are_one_sentence() -> None:
    night = Night().open()
    trial = night.queue({})
    for _ in range(4):
        decision = start(trial, until_step=3, reason="its turn", by="halving")
        night.add(DecisionDropped(decision=decision, reason="no device is free"))
    lines = told(night, trial)
    assert lines[-1] == "halving wanted to start it 4 times, which was not done: no device is free."


def test_points_and_checkpoints_are_summed_up() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}))
    for step in range(3):
        night.log(attempt, [1.0], first=step)
        night.save(attempt, step + 1)
    night.add(
        CheckpointPruned(trial="t1", step=1, reason="the disk cap"),
        CheckpointPruned(trial="t1", step=2, reason="the disk cap"),
    )
    lines = told(night, "t1")
    assert "t1.a1 logged 3 points, up to step 2." in lines
    assert "3 checkpoints were saved, the last at step 3." in lines
    assert "2 checkpoints were deleted: the disk cap." in lines


def test_a_rung_that_was_passed_is_told_with_its_value() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}), until=3)
    night.log(attempt, [2.0, 1.5, 1.25])
    night.advance(attempt, 3, 1.25, 9)
    assert (
        "At step 3 its objective was 1.25; halving let it pass on to step 9: among the best third at this rung."
        in told(night, "t1")
    )


def test_a_queued_trial_is_told_why_not_yet() -> None:
    night = Night().open(slots=1)
    night.start(night.queue({}))
    night.queue({"lr": 0.01})
    night.queue({"lr": 0.02})
    assert waits(night, "t3") == ["wait_slots", "wait_turn"]
    assert waits(night, "t2") == ["wait_slots"]
    assert waits(night, "t3", engine_alive=False) == ["wait_no_engine"]
    night.add(
        DecisionDropped(decision=start("t2", until_step=9, reason="its turn", by="halving"), reason="no device is free")
    )
    assert waits(night, "t2") == ["wait_held", "wait_slots"]
    night.decide(end(reason="kim asked", by="kim"))
    assert waits(night, "t2") == ["wait_ending"]
    assert waits(night.close(), "t2") == ["wait_no_shift"]


def test_a_trial_that_nothing_hinders_is_told_so_and_one_that_runs_or_is_over_does_not_wait() -> None:
    night = Night().open()
    complete(night, {}, [1.0] * 9)
    night.start(night.queue({"lr": 0.01}), until=3)
    night.queue({"lr": 0.02})
    assert waits(night, "t1") == []
    assert waits(night, "t2") == ["runs_on"]
    assert waits(night, "t3") == ["wait_chosen"]


def test_a_trial_closed_without_running_is_explained() -> None:
    night = Night().open()
    trial = night.queue({})
    d = night.decide(pause(trial, reason="x", by="y"))
    night.add(TrialClosed(trial=trial, status="stopped", reason="superseded", decision=d))
    assert told(night, trial)[-1] == "It was closed as stopped: superseded."


def test_the_overview_has_open_trials_running_first_and_every_budget() -> None:
    night = Night().open()
    complete(night, {}, [1.0] * 9)
    night.queue({"lr": 0.01})
    running = night.start(night.queue({"lr": 0.02}))
    night.log(running, [2.0, 1.0, 1.5])
    doc = overview(night.state, Holder(life="alive", name="wks:1", since=night.at), requests=2, now=night.at)
    assert [(t["trial"], t["status"]) for t in doc["trials"]] == [("t3", "running"), ("t2", "queued")]
    assert (doc["trials"][0]["last"], doc["trials"][0]["best"], doc["trials"][0]["steps"]) == (1.5, 1.0, 3)
    assert doc["counts"] == {"complete": 1, "queued": 1, "running": 1}
    device = next(b for b in budgets(night.state, night.at) if b["budget"] == "device_s")
    assert device["left"] == device["cap"] - device["spent"] - device["reserved"] == 3600 - 30 - 600
    assert any(s.key == "status.next_requests" for s in upcoming(night.state, 2, night.at))


def test_time_to_go_follows_the_pace_of_the_present_attempt() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}))
    assert eta(night.state.trials["t1"], night.state.attempt_of("t1"), 9, night.at) is None
    started = night.at
    night.log(attempt, [1.0] * 3)
    assert eta(night.state.trials["t1"], night.state.attempt_of("t1"), 9, started + 30) == pytest.approx(60, rel=0.05)


def test_a_dead_engine_is_called_dead() -> None:
    night = Night().open()
    night.start(night.queue({}))
    line = engine_line(night.state, Holder(life="dead", name="wks:1", since=night.at))
    assert "No engine is running" in say(line.key, "en", **line.values) and "1 attempt is still recorded" in say(
        line.key, "en", **line.values
    )
    night.end("t1.a1", Exit(code=0))
    assert engine_line(night.state, Holder(life="dead", name="wks:1")).key == "status.engine_dead_idle"


@pytest.mark.parametrize("engine_alive", [True, False])
def test_a_trial_that_is_held_or_rests_says_so_and_not_that_nothing_stands_in_its_way(engine_alive: bool) -> None:
    state = eventful().state
    (paused, *_) = state.waiting("paused")

    def said(**changes: object) -> tuple[list[str], list[str]]:
        act = Act(remedy="retry", reason="r", by="captain", after=state.last_at + 60)
        now = replace(
            state, trials={**state.trials, paused.id: replace(paused, **changes)}, care={paused.id: Care(acts=(act,))},
            shift=Shift(id="s2", started_at=0.0, slots=9), ending="",
        )  # fmt: skip
        why = [s.key for s in outlook(now, now.trials[paused.id], engine_alive=engine_alive)]
        return why, [s.key for s in upcoming(now, 0, now.last_at) if s.key.startswith("status.next_")]

    why, coming = said(held="i1")
    assert why == ["why.wait_answer"] and "status.next_held" in coming and "status.next_paused" not in coming
    why, coming = said(rests=True)
    assert "status.next_rest" in coming and "status.next_paused" not in coming
    assert why == (["why.wait_rest"] if engine_alive else ["why.wait_no_engine"])
    assert "status.next_paused" in said()[1]

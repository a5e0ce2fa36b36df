"""The night at a glance: what waits for a person first, what was seen and not proved, and nothing of the past that is over."""

from pathlib import Path

from interfaces.bad_nights import asks, bad_night, shard
from interfaces.nights import Night, complete, eventful
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.glance import Glance, glance
from secondshift.interfaces.readmodel.overview import Holder
from secondshift.records.states import State
from simulated_nights import until

ALIVE, LEFT, NEVER = Holder(life="alive", name="wks:1", since=1.0), Holder(life="left"), Holder(life="never")


def said(seen: Glance, lang: str = "en") -> str:
    return "\n".join(tell(line, lang) for line in (*seen.needs, *seen.lines))


def test_a_question_comes_first_and_names_the_command_that_answers_it(tmp_path: Path) -> None:
    night = bad_night(tmp_path, shard, may=())
    until(night, lambda: asks(night))
    seen = glance(night.engine.state, ALIVE, now=night.engine.state.now_s)
    assert seen.mood == "asks" and len(seen.needs) == 1
    assert "waits for your answer" in said(seen) and "`secondshift answer i1`" in said(seen)
    assert "답을 기다리는 문제 i1" in said(seen, "ko")


def test_a_morning_shows_the_best_that_was_seen_and_says_that_it_is_no_proof() -> None:
    night = eventful()
    seen = glance(night.state, LEFT, now=night.at + 60)
    assert (seen.mood, seen.needs, seen.running, seen.more) == ("rests", (), (), 0)
    for part in ("Best seen so far: t2, val_loss 0.27", "not proved", "No engine is running"):
        assert part in said(seen)
    assert seen.spent_share is not None and 0 < seen.spent_share < 1


def test_before_the_first_night_there_is_one_sentence_and_the_folders_name() -> None:
    seen = glance(State(), NEVER, now=1.0, fallback="digits")
    assert (seen.study, seen.mood, seen.spent_share) == ("digits", "rests", None)
    assert said(seen) == "No engine has ever worked on this study."


def test_only_the_furthest_running_trials_are_shown_and_the_others_counted() -> None:
    night = Night().open(slots=8)
    for n in range(1, 9):
        night.log(night.start(night.queue({"lr": n / 1000})), [1.0] * n)
    seen = glance(night.state, ALIVE, now=night.at)
    assert seen.mood == "works" and [bar.trial for bar in seen.running] == ["t8", "t7", "t6", "t5", "t4"] and seen.more == 3


def test_a_value_that_is_not_finite_is_none() -> None:
    night = Night().open()
    night.log(night.start(night.queue({})), [float("nan")])
    assert glance(night.state, ALIVE, now=night.at).running[0].value is None


def test_the_best_is_the_best_as_the_goal_says() -> None:
    night = Night().open()
    complete(night, {}, [0.5] * 9)
    complete(night, {"lr": 0.01}, [0.4] * 9)
    assert "t2" in said(glance(night.state, LEFT, now=night.at))

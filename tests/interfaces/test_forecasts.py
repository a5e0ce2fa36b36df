"""How forecasts are told: what is expected of a trial, how many held, and which one missed most."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.forecasts import at_a_quarter, expected, lines, percent, put_to_test, row
from secondshift.interfaces.readmodel.objectives import current
from secondshift.interfaces.readmodel.overview import trial_row
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import ForecastMade
from secondshift.records.forecasts import Forecast
from secondshift.records.nights import Brief, Statement
from secondshift.records.studies import Goal
from secondshift.records.trials import Exit
from tests.interfaces.nights import OBJECTIVE, STUDY, Night

HORIZON = 8
FORESEEN = replace(STUDY, horizon_steps=HORIZON)


def foreseen(goal: Goal = "min") -> Night:
    return Night(study=replace(FORESEEN, objective=replace(OBJECTIVE, goal=goal))).open()


def forecast(night: Night, trial: str, step: int, low: float, high: float, chance: float = 0.12) -> None:
    said = Forecast(trial=trial, step=step, horizon=HORIZON, low=low, middle=(low + high) / 2, high=high, chance=chance,
                    curves=7, by="analogues")  # fmt: skip
    night.add(ForecastMade(forecast=said))


def abstain(night: Night, trial: str, step: int, why: str = "its newest value is not finite") -> None:
    night.add(ForecastMade(forecast=Forecast(trial=trial, step=step, horizon=HORIZON, by="analogues", abstains=why)))


def ran(night: Night, low: float, high: float, end: float, *, step: int = 2, complete: bool = True) -> str:
    """A trial that was forecast on its way, and came to its end or was paused."""
    trial = night.queue({"lr": 0.001 * len(night.events)})
    attempt = night.start(trial, until=HORIZON)
    night.log(attempt, [1.0] * step)
    forecast(night, trial, step, low, high)
    if complete:
        night.log(attempt, [0.9] * (HORIZON - step - 1) + [end], first=step)
    night.end(attempt, Exit(code=0, elapsed_s=30.0), early=not complete)
    return trial


def brief(night: Night) -> Brief:
    return compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)


def section(made: Brief, key: str = "section.wrong") -> list[Statement]:
    return [s for one in made.sections if one.key == key for s in one.statements]


def told(night: Night) -> list[str]:
    return [tell(s, "en") for s in section(brief(night))]


def test_what_is_expected_of_an_open_trial_is_said_with_its_interval_and_its_chance() -> None:
    night = foreseen()
    trial = ran(night, 0.39, 0.45, 0.0, complete=False)
    said = expected(night.state, night.state.trials[trial])
    assert said and tell(said, "en") == (
        "expected 0.42 (0.39 to 0.45 with 80%), 12% to beat the best of then; said after 2 steps"
    )
    assert "80% 구간 0.39 ~ 0.45" in tell(said, "ko")
    assert [tell(s, "en") for s in lines(night.state)] == [f"{trial}: {tell(said, 'en')}"]


def test_the_newest_forecast_counts_and_a_trial_that_ended_expects_nothing() -> None:
    night = foreseen()
    trial = ran(night, 0.39, 0.45, 0.0, complete=False)
    forecast(night, trial, 4, 0.2, 0.3)
    found = row(night.state, night.state.trials[trial])
    assert found and (found["step"], found["low"], found["abstains"]) == (4, 0.2, None)
    ended = ran(night, 0.1, 0.2, 0.15)
    assert expected(night.state, night.state.trials[ended]) is None


def test_an_abstention_is_said_with_its_reason_in_the_reader_s_language() -> None:
    night = foreseen()
    attempt = night.start(night.queue({}), until=HORIZON)
    night.log(attempt, [1.0, math.nan])
    abstain(night, "t1", 2)
    said = expected(night.state, night.state.trials["t1"])
    assert said and tell(said, "en") == "no forecast: its newest value is not finite; said after 2 steps"
    assert "가장 최근 값이 유한하지 않습니다" in tell(said, "ko")
    found = row(night.state, night.state.trials["t1"])
    assert found and found["low"] is None and found["chance"] is None and found["abstains"]
    assert [s.key for s in lines(night.state)] == ["forecast.silent"]


def test_a_study_without_a_forecaster_says_nothing_of_forecasts() -> None:
    night = foreseen()
    night.start(night.queue({}), until=HORIZON)
    assert lines(night.state) == [] and row(night.state, night.state.trials["t1"]) is None
    assert section(brief(night.close())) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.004, "<1%"), (0.12, "12%"), (0.997, ">99%"), (1.0, "100%"), (math.nan, "?")]
)
def test_a_chance_is_not_rounded_to_never_or_always(share: float, text: str) -> None:
    assert percent(share) == text


def test_many_open_trials_are_told_from_the_likeliest_on_and_the_rest_is_counted() -> None:
    night = foreseen()
    for nth in range(7):
        attempt = night.start(night.queue({"lr": 0.001 * nth}), until=HORIZON)
        night.log(attempt, [1.0, 0.9])
        forecast(night, f"t{nth + 1}", 2, 0.1, 0.2, chance=0.1 * nth)
    said = lines(night.state)
    assert [s.values.get("trial") for s in said] == ["t7", "t6", "t5", "t4", "t3", None]
    assert said[-1].key == "forecast.more" and said[-1].values["n"] == 2


def test_a_few_tested_forecasts_are_counted_without_a_share_and_the_worst_miss_is_named() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 0.4)
    ran(night, 0.3, 0.5, 0.52)
    ran(night, 0.3, 0.5, 0.1)
    ran(night, 0.3, 0.5, 0.0, complete=False)
    said = told(night.close())
    assert said[0].startswith("Of 3 forecasts made at a quarter of the way whose trials came to their end, 1 held")
    assert "33%" not in said[0] and "few" in said[0]
    assert said[1] == "The worst miss: after 2 steps t3 was expected to end between 0.3 and 0.5, and it ended with val_loss 0.1."
    assert said[2].startswith("1 of 4 such forecasts were never put to the test")


def test_ten_tested_forecasts_get_a_share() -> None:
    night = foreseen()
    for nth in range(10):
        ran(night, 0.3, 0.5, 0.4 if nth else 0.6)
    assert "9 held: 90% ended inside the interval that was to hold 80%" in told(night.close())[0]


def test_an_end_that_is_no_number_is_a_miss_and_the_worst_one() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 9.0)
    ran(night, 0.3, 0.5, math.nan)
    said = told(night.close())
    assert "0 held" in said[0] and "t2 was expected" in said[1] and "NaN" in said[1]


def test_forecasts_that_are_not_of_a_quarter_or_of_helped_trials_are_not_counted() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 0.4, step=1)
    ran(night, 0.3, 0.5, 0.4, step=4)
    helped = ran(night, 0.3, 0.5, 0.4)
    state = night.state
    state = replace(state, trials={**state.trials, helped: replace(state.trials[helped], assisted=True)})
    assert [at_a_quarter(state, name) is not None for name in ("t1", "t2", "t3")] == [False, False, True]
    assert put_to_test(state, OBJECTIVE, current(state)) == []


def test_where_nothing_was_put_to_the_test_that_is_said() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 0.4, complete=False)
    (said,) = told(night.close())
    assert said.startswith("No forecast has been put to the test: of 1 trial")
    silent = foreseen()
    ran(silent, 0.3, 0.5, 0.4, step=1)
    assert told(silent.close())[0].startswith("No forecast was made at a quarter of the way: for 1 trial")


@pytest.mark.parametrize("goal", ["min", "max"])
def test_the_interval_is_the_metric_s_own_whatever_the_goal(goal: Goal) -> None:
    night = foreseen(goal)
    ran(night, 0.8, 0.9, 0.85)
    ran(night, 0.8, 0.9, 0.95)
    assert "1 held" in told(night.close())[0]


def test_each_sentence_rests_on_the_forecasts_and_the_ends() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 0.9)
    night.close()
    kinds = {event.seq: event.kind for event in night.events}
    for statement in section(brief(night)):
        assert {kinds[seq] for seq in statement.facts} >= {"forecast.made"}
    assert {kinds[seq] for seq in section(brief(night))[0].facts} == {"forecast.made", "metrics.logged", "attempt.ended"}


def test_what_is_left_to_the_horizon_is_told_at_the_pace_so_far() -> None:
    night = foreseen()
    trial = ran(night, 0.3, 0.5, 0.4, complete=False)
    assert trial_row(night.state, night.state.trials[trial], night.at)["finish_s"] == pytest.approx(6 * 30.0 / 2)
    ended = ran(night, 0.3, 0.5, 0.4)
    assert trial_row(night.state, night.state.trials[ended], night.at)["finish_s"] is None


def test_show_and_status_tell_what_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "secondshift.toml").write_text(
        'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 8\n'
    )
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    night = foreseen()
    ran(night, 0.39, 0.45, 0.0, complete=False)
    night.close().record(ledger)
    ledger.close()
    for command in (["show", "t1"], ["status"]):
        assert called([*command, "--study", str(tmp_path)]) == 0
        assert "expected 0.42 (0.39 to 0.45 with 80%), 12% to beat the best" in " ".join(capsys.readouterr().out.split())

"""Fan charts: what is drawn is what was forecast and how it ended, in the page and in a terminal."""

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.interfaces.brief.fan_plots import fan_figures, fan_svg, fan_table
from secondshift.interfaces.brief.fans import Fan, Ray, fan, fans
from secondshift.interfaces.brief.write import page
from secondshift.interfaces.charts import Chart
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.cli.pictures import fan_lines
from secondshift.interfaces.readmodel.objectives import current
from secondshift.ledger.opening import open_ledger
from secondshift.records.studies import Goal
from tests.interfaces.nights import OBJECTIVE, Night
from tests.interfaces.test_forecasts import abstain, forecast, foreseen, ran

NAN, INF = math.nan, math.inf


def read(night: Night):
    """The points of a trial, as the ledger gives them."""
    ledger = night.record()

    def points(trial: str, metric: str) -> tuple[list[int], list[float]]:
        series = ledger.series(trial, metric, points=240)
        return [int(step) for step in series.steps], [float(value) for value in series.values]

    return points


def made(night: Night, trial: str = "t1") -> Fan:
    found = fan(night.state, night.study.objective, night.state.trials[trial], read(night))
    assert found is not None
    return found


def test_a_fan_opens_at_the_curve_where_each_forecast_was_made_and_says_whether_it_held() -> None:
    night = foreseen()
    trial = ran(night, 0.3, 0.5, 0.45)
    forecast(night, trial, 4, 0.5, 0.6)
    abstain(night, trial, 6)
    data = made(night)
    assert [(ray.step, ray.begins, ray.low, ray.high, ray.held) for ray in data.rays] == [
        (2, 1.0, 0.3, 0.5, True), (4, 0.9, 0.5, 0.6, False),
    ]  # fmt: skip
    assert (data.ended, data.horizon, list(data.steps)[-1]) == (0.45, 8, 8)


def test_what_was_never_forecast_or_only_abstained_from_has_no_fan() -> None:
    night = foreseen()
    attempt = night.start(night.queue({}), until=8)
    night.log(attempt, [1.0, 0.9])
    assert fan(night.state, OBJECTIVE, night.state.trials["t1"], read(night)) is None
    abstain(night, "t1", 2)
    assert fan(night.state, OBJECTIVE, night.state.trials["t1"], read(night)) is None
    assert fan_figures((), "en") == ""


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(("end", "style"), [(0.4, "truth"), (0.7, "truth missed")])
def test_the_drawing_has_a_band_for_each_forecast_the_curve_and_the_end(end: float, style: str, lang: str) -> None:
    night = foreseen()
    trial = ran(night, 0.3, 0.5, end)
    forecast(night, trial, 4, 0.35, 0.5)
    tree = ElementTree.fromstring(fan_svg(made(night), lang))
    assert len(list(tree.iter("polygon"))) == 2
    assert [c.get("class") for c in tree.iter("circle")] == ["dot", "dot", style]
    (curve,) = (p for p in tree.iter("path") if p.get("class") == "curve")
    assert len(re.findall("[ML]", curve.get("d", ""))) == 8
    corners = [re.split("[ ,]", polygon.get("points", "")) for polygon in tree.iter("polygon")]
    assert all(float(x) <= 520 for corner in corners for x in corner[::2])
    (truth,) = (c for c in tree.iter("circle") if c.get("class") == style)
    low, high = float(corners[0][3]), float(corners[0][5])
    assert (high <= float(truth.get("cy", "")) <= low) == (style == "truth")
    assert tree.get("aria-labelledby") and next(tree.iter("desc")).text
    assert fan_table(made(night), lang).count("<tr>") == 3


def test_an_unfinished_trial_is_drawn_without_an_end() -> None:
    night = foreseen()
    ran(night, 0.3, 0.5, 0.0, complete=False)
    drawn = fan_svg(made(night), "en")
    assert 'class="truth' not in drawn and "It has not come to its end." in drawn
    assert "not yet" in fan_table(made(night), "en")


@pytest.mark.parametrize("goal", ["min", "max"])
def test_the_goal_decides_which_fans_a_brief_shows(goal: Goal) -> None:
    night = foreseen(goal)
    ran(night, 0.3, 0.5, 0.2)
    ran(night, 0.3, 0.5, 0.45)
    ran(night, 0.3, 0.5, 0.6)
    ran(night, 0.3, 0.35, 0.55)
    ran(night, 0.3, 0.5, 0.0, complete=False)
    shown = fans(night.state, current(night.state), night.study.objective, read(night))
    best, miss = ("t1", "t4") if goal == "min" else ("t3", "t4")
    assert [(one.trial, one.role) for one in shown] == [(best, "best"), (miss, "miss"), ("t5", "hope")]


def test_at_best_the_curve_is_the_best_so_far() -> None:
    night = foreseen()
    night.study = replace(night.study, objective=replace(OBJECTIVE, at="best"))
    attempt = night.start(night.queue({}), until=8)
    night.log(attempt, [1.0, NAN, 0.5, 0.8])
    forecast(night, "t1", 4, 0.2, 0.5)
    data = made(night)
    assert [v for v in data.values if v == v] == [1.0, 1.0, 0.5, 0.5] and data.rays[0].begins == 0.5


@pytest.mark.parametrize("values", [[], [1.0], [NAN, NAN], [INF, 1.0, -INF, 0.5], [2.0, 2.0, 2.0]])
def test_curves_of_no_point_one_point_or_no_number_are_drawn_all_the_same(values: list[float]) -> None:
    ray = Ray(step=2, begins=NAN, low=0.5, middle=0.5, high=0.5, chance=NAN, held=False)
    data = Fan(trial="t1", metric="m", horizon=8, steps=range(1, len(values) + 1), values=values, rays=(ray,), ended=NAN)
    drawn = fan_svg(data, "en") + fan_figures((data,), "ko")
    assert "nan" not in re.sub(r"<desc.*?</desc>", "", drawn).lower().replace("nan,", "")
    ElementTree.fromstring(fan_svg(data, "en"))
    assert fan_lines(data, 60)


VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(values=st.lists(VALUES, max_size=8), low=st.floats(-1e6, 1e6), wide=st.floats(0, 1e6), end=st.none() | VALUES)
def test_whatever_was_logged_the_drawing_is_sound_and_stays_in_its_frame(
    values: list[float], low: float, wide: float, end: float | None
) -> None:
    ray = Ray(step=2, begins=values[1] if len(values) > 1 else NAN, low=low, middle=low + wide / 2, high=low + wide, chance=0.5)
    data = Fan(trial="t1", metric="m", horizon=8, steps=range(1, len(values) + 1), values=values, rays=(ray,), ended=end)
    tree = ElementTree.fromstring(fan_svg(data, "en"))
    for polygon in tree.iter("polygon"):
        numbers = [float(n) for n in re.split("[ ,]", polygon.get("points", ""))]
        assert all(map(math.isfinite, numbers)) and all(0 <= x <= 520 for x in numbers[::2])
        assert all(-1 <= y <= 240 for y in numbers[1::2])
    for line in fan_lines(data, 60):
        assert len(line) <= 61


def test_a_chart_puts_each_value_in_its_place_and_labels_its_ends() -> None:
    chart = Chart(x=(0.0, 10.0), y=(0.0, 1.0), width=33, height=5)
    chart.points([0.0, 5.0, 10.0, 5.0], [0.0, 0.5, 1.0, 7.0], "•")
    lines = chart.lines("0", "10")
    assert lines[0].startswith("         1 │") and lines[0].endswith("•") and lines[0].count("•") == 1
    assert lines[4] == "         0 │•" and lines[2][12 + 10] == "•"
    assert lines[-1].split() == ["0", "10"] and len(lines[-1]) == 33


def test_bands_of_a_chart_never_cover_what_is_there_and_stairs_hold_until_the_next_value() -> None:
    chart = Chart(x=(0.0, 10.0), y=(0.0, 1.0), width=33, height=5)
    chart.stairs([(0.0, 1.0), (5.0, 0.0), (10.0, 0.0)], "#")
    chart.band(0.0, 0.5, 10.0, 0.0, 1.0, "░")
    lines = chart.lines("", "")
    assert lines[0].count("#") == lines[4].count("#") == 11
    assert "░" in lines[0] and lines[2].count("░") == 21


def test_show_plot_draws_the_fan_and_the_page_has_one(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "secondshift.toml").write_text(
        'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 8\n'
    )
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    night = foreseen()
    ran(night, 0.39, 0.45, 0.5)
    night.queue({"lr": 0.5})
    night.close().record(ledger)
    html = page(ledger, night.state, "s1").html("en")
    ledger.close()
    assert 'id="fan-t1-title"' in html and html.index('id="wrong"') < html.index("fan-t1-title") < html.index('id="unproven"')
    assert called(["show", "t1", "--plot", "--study", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "✗" in said and "▓" in said and "After 2 steps: 0.39 to 0.45" in said and "0.5, outside" in said
    assert called(["show", "t1", "--plot", "--lang", "ko", "--study", str(tmp_path)]) == 0
    assert "2스텝에서 예측" in capsys.readouterr().out
    assert called(["show", "t2", "--plot", "--study", str(tmp_path)]) == 0
    assert "No forecast was made of it" in capsys.readouterr().out

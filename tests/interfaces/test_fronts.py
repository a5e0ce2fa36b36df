"""The front of two objectives: which trials are on it, and how the brief, `status` and `show` tell of it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.front_plot import front_svg, front_table
from secondshift.interfaces.brief.fronts import scatter
from secondshift.interfaces.brief.write import page
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.fronts import lines, non_dominated, points, row
from secondshift.interfaces.readmodel.objectives import current
from secondshift.interfaces.readmodel.overview import Holder, overview
from secondshift.ledger.opening import open_ledger
from secondshift.records.studies import Aim, Goal, Study
from secondshift.records.trials import Exit
from tests.interfaces.nights import OBJECTIVE, STUDY, Night

NAN = math.nan
VALUES = st.integers(-4, 4).map(float) | st.floats(width=16)
PAIRS = st.lists(st.tuples(VALUES, VALUES))


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] and one != other


@settings(derandomize=True, deadline=None)
@given(losses=PAIRS)
def test_a_pair_is_on_the_front_exactly_when_it_is_finite_and_no_finite_pair_beats_it(losses: list[tuple[float, float]]) -> None:
    finite = [pair for pair in losses if all(map(math.isfinite, pair))]
    expected = [n for n, pair in enumerate(losses) if pair in finite and not any(beats(other, pair) for other in finite)]
    assert non_dominated(losses) == [n for n in expected if all(map(math.isfinite, losses[n]))]


@settings(derandomize=True, deadline=None)
@given(losses=PAIRS, order=st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order_and_is_its_own_front(losses: list[tuple[float, float]], order) -> None:
    front = sorted(losses[place] for place in non_dominated(losses))
    turned = list(losses)
    order.shuffle(turned)
    assert sorted(turned[place] for place in non_dominated(turned)) == front
    assert sorted(front[place] for place in non_dominated(front)) == front


@settings(derandomize=True, deadline=None)
@given(losses=PAIRS)
def test_exchanging_the_objectives_changes_nothing_and_there_is_a_front_whenever_a_pair_is_finite(
    losses: list[tuple[float, float]]
) -> None:
    assert non_dominated([(b, a) for a, b in losses]) == non_dominated(losses)
    assert bool(non_dominated(losses)) == any(all(map(math.isfinite, pair)) for pair in losses)


@settings(derandomize=True, deadline=None)
@given(losses=PAIRS, new=st.tuples(st.integers(-4, 4).map(float), st.integers(-4, 4).map(float)))
def test_another_pair_takes_others_off_the_front_and_never_puts_one_on(
    losses: list[tuple[float, float]], new: tuple[float, float]
) -> None:
    before, after = set(non_dominated(losses)), set(non_dominated([*losses, new]))
    assert after - {len(losses)} <= before


def studied(goal: Goal = "min", second: Goal = "min", *guards: str) -> Study:
    return replace(STUDY, objective=replace(OBJECTIVE, goal=goal, guards=guards, also=Aim(metric="latency_ms", goal=second)))


def ran(night: Night, params: dict, value: float, *latency: float, how: Exit | None = None) -> str:
    trial = night.queue(params)
    attempt = night.start(trial)
    night.log(attempt, [value] * (9 if how is None else 2))
    if latency:
        night.log(attempt, list(latency), metric="latency_ms")
    night.end(attempt, how or Exit(code=0, elapsed_s=30.0), early=how is not None)
    return trial


def mixed(study: Study | None = None) -> Night:
    """t2, t3 and t4 are on the front of (min, min); t1 and t5 are beaten, t6 and t7 have no second value, t8 is unfinished."""
    night = Night(study=study or studied()).open()
    ran(night, {}, 0.40, 60.0)
    ran(night, {"lr": 0.01}, 0.20, 90.0, 50.0)
    ran(night, {"lr": 0.02}, 0.30, 30.0)
    ran(night, {"lr": 0.03}, 0.50, 10.0)
    ran(night, {"lr": 0.04}, 0.50, 20.0)
    ran(night, {"lr": 0.05}, 0.10)
    ran(night, {"lr": 0.06}, 0.10, NAN)
    ran(night, {"lr": 0.07}, 0.05, 1.0, how=Exit(code=0, cause="pause"))
    return night


def on_front(night: Night) -> list[str]:
    return [p.trial.id for p in points(night.study.objective, current(night.state)) if p.best]


@pytest.mark.parametrize(("goal", "second", "expected"), [
    ("min", "min", ["t2", "t3", "t4"]), ("max", "max", ["t5", "t1"]), ("min", "max", ["t2", "t1"]), ("max", "min", ["t4"]),
])  # fmt: skip
def test_the_front_respects_both_goals(goal: Goal, second: Goal, expected: list[str]) -> None:
    night = mixed(studied(goal, second))
    found = on_front(night)
    assert found == expected
    losses = {p.trial.id: (night.study.objective.loss(p.value), Aim(metric="m", goal=second).loss(p.second))
              for p in points(night.study.objective, current(night.state))}  # fmt: skip
    assert set(losses) == {"t1", "t2", "t3", "t4", "t5"}
    assert set(found) == {n for n, pair in losses.items() if not any(beats(other, pair) for other in losses.values())}


def test_what_breaks_a_guard_was_helped_or_is_not_complete_has_no_place_on_it() -> None:
    night = mixed(studied("min", "min", "latency_ms <= 55"))
    assert on_front(night) == ["t3", "t4"]  # t2 took 90 ms on its way
    state = mixed().state
    helped = replace(state, trials={**state.trials, "t3": replace(state.trials["t3"], assisted=True)})
    found = points(mixed().study.objective, current(helped))
    assert [p.trial.id for p in found if p.best] == ["t2", "t4"] and "t3" not in {p.trial.id for p in found}


def test_the_brief_names_the_front_with_both_values_and_says_that_the_search_goes_on_by_the_first() -> None:
    night = mixed().close()
    brief = compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)
    said = [s for one in brief.sections if one.key == "section.found" for s in one.statements if s.key.startswith("front.")]
    told = [tell(s, "en") for s in said]
    assert "3 of the 5 complete trials that can be compared are on the front" in told[0]
    assert "t2 (0.2, 50), t3 (0.3, 30), t4 (0.5, 10)" in told[0]
    assert "The search itself goes on by val_loss alone." in told[0]
    assert "2 complete trials have no finite latency_ms and no place in that comparison: t6, t7." in told[1]
    logged = {e.seq for e in night.events if e.kind == "metrics.logged" and "latency_ms" in e.payload.metrics}  # type: ignore[union-attr]
    assert len(logged & set(said[0].facts)) == 3
    assert "파레토" in tell(said[0], "ko")


def test_where_the_second_metric_was_never_logged_there_is_no_front_and_it_is_said_why() -> None:
    night = Night(study=studied()).open()
    ran(night, {}, 0.4)
    (said,) = lines(night.state)
    assert "no complete trial that may be compared has a finite latency_ms (without one: 1, t1)" in tell(said, "en")
    assert front_svg(scatter(night.state, current(night.state)), "en") == ""


def test_a_study_with_one_objective_says_nothing_of_a_front() -> None:
    night = mixed()
    state = replace(night.state, study=STUDY)
    assert lines(state) == [] and row(state, state.trials["t2"]) is None
    assert overview(state, Holder(life="left"), requests=0, now=1.0)["front"] == []


def test_a_trial_s_document_says_where_it_stands_and_who_beats_it() -> None:
    state = mixed().state
    told = {name: row(state, state.trials[name]) for name in ("t1", "t2", "t6", "t8")}
    assert told["t2"] and told["t2"]["on_front"] and told["t2"]["value"] == 50.0
    assert told["t1"] and told["t1"]["beaten_by"] == ["t2", "t3"] and not told["t1"]["on_front"]
    assert told["t6"] and not told["t6"]["compared"] and told["t6"]["value"] is None
    assert told["t8"] and not told["t8"]["compared"]
    json.dumps(told, allow_nan=False)
    assert overview(state, Holder(life="left"), requests=0, now=1.0)["front"] == ["t2", "t3", "t4"]


def test_the_plot_marks_the_front_is_sound_xml_and_can_be_read_aloud() -> None:
    state = mixed().state
    for lang in ("en", "ko"):
        drawn = front_svg(scatter(state, current(state)), lang)
        tree = ElementTree.fromstring(drawn)
        assert [t.text for t in tree.iter("title")][1:] == ["t4", "t3", "t2"]  # from left to right
        assert len([c for c in tree.iter("circle") if c.get("class") == "dot"]) == 3
        assert drawn.count("h0") == 2 and "t4, t3, t2" in drawn
        numbers = [float(c.get("cx", "")) for c in tree.iter("circle")]
        assert numbers == sorted(numbers) and all(64 <= x <= 506 for x in numbers)
    assert front_table(scatter(state, current(state)), "en").count("<tr>") == 4


@pytest.mark.parametrize("second", ["min", "max"])
def test_the_border_never_claims_what_no_trial_reached(second: Goal) -> None:
    """Each corner of the steps lies on the side that a trial of the front reached: at its values or worse."""
    night = Night(study=studied("min", second)).open()
    sign = 1.0 if second == "min" else -1.0
    for place in range(4):
        ran(night, {"lr": 0.01 * place}, 0.1 * (place + 1), 50.0 - sign * 10.0 * place)
    data = scatter(night.state, current(night.state))
    assert all(spot.best for spot in data.spots)
    drawn = front_svg(data, "en")
    path = re.search(r'class="best" d="([^"]*)"', drawn)
    assert path
    dots = [(float(x), float(y)) for x, y in re.findall(r'class="dot" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    x, y = map(float, re.findall(r"M([\d.]+),([\d.]+)", path[1])[0])
    for letter, value in re.findall(r"([HV])([\d.]+)", path[1]):
        x, y = (float(value), y) if letter == "H" else (x, float(value))
        assert any((x >= dx - 0.1 if second == "min" else x <= dx + 0.1) and y <= dy + 0.1 for dx, dy in dots)


def test_one_diverged_trial_does_not_flatten_the_plot() -> None:
    night = mixed()
    ran(night, {"lr": 0.09}, 1e9, 1e9)
    drawn = front_svg(scatter(night.state, current(night.state)), "en")
    assert "1 result lies outside the frame" in drawn
    ElementTree.fromstring(drawn)


def test_show_status_and_the_page_tell_of_the_front(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "secondshift.toml").write_text(
        'command = "python train.py"\n[objective]\nmetric = "val_loss"\nalso = { metric = "latency_ms" }\n[horizon]\nsteps = 9\n'
    )
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    night = mixed().close()
    night.record(ledger)
    html = page(ledger, night.state, "s1").html("en")
    ledger.close()
    assert 'id="plot-front-title"' in html and "<td class=\"n\">t3</td>" in html
    for trial, words in (("t2", "50; on the front"), ("t1", "not on the front: t2, t3 did"), ("t8", "not compared")):
        assert called(["show", trial, "--study", str(tmp_path)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "and latency_ms" in said and words in said
    assert called(["status", "--study", str(tmp_path)]) == 0
    assert "3 of the 5 complete trials that can be compared are on the front" in " ".join(capsys.readouterr().out.split())

"""Best so far beside the estimate of full training, and the parameters that matter, as a brief draws them."""

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.interfaces.brief.best_plot import best_so_far, told
from secondshift.interfaces.brief.figures import Figures
from secondshift.interfaces.brief.lookback import Lookback, Rival, Weights
from secondshift.interfaces.brief.parameter_figures import Panel
from secondshift.interfaces.brief.weight_plots import ordered, share_bar, weights_told
from secondshift.interfaces.brief.write import page
from secondshift.interfaces.cli.main import called
from secondshift.ledger.opening import open_ledger
from secondshift.records.studies import Goal, Objective
from secondshift.records.trials import Exit
from tests.interfaces.nights import OBJECTIVE, STUDY, Night

POINTS = tuple((60.0 * n, 0.4 / n, 0.5 / n, 0.6 / n) for n in range(1, 11))
RIVAL = Rival(points=POINTS, full_s=60.0, full_of=3, trained=3, trials=10)


def drawn(best: tuple, rival: Rival | None = RIVAL, asked: int = 0, trained: int = 0) -> Figures:
    look = Lookback(rival=rival, asked=asked, trained=trained)
    return Figures(metric="loss", objective=Objective(metric="loss"), best=best, lookback=look)


def searched(n: int, trained: int, goal: Goal = "min") -> Night:
    """A night whose ends depend on lr; the first `trained` trials came to theirs, the others were paused after two steps."""
    night = Night(study=replace(STUDY, objective=replace(OBJECTIVE, goal=goal))).open()
    sign = 1.0 if goal == "min" else -1.0
    for number in range(n):
        power = 4 * (number * 0.618 % 1)
        curve = [sign * (0.2 + 0.1 * (power - 2) ** 2 + 1 / (1 + step)) for step in range(9)]
        attempt = night.start(night.queue({"lr": 10 ** (power - 5), "width": 16 + number % 9}))
        whole = number < trained
        night.log(attempt, curve if whole else curve[:2])
        night.end(attempt, Exit(code=0, elapsed_s=30.0), cost=30.0 if whole else 7.0, early=not whole)
    return night.close()


def test_the_estimate_is_drawn_beside_the_study_and_says_what_it_was_made_from() -> None:
    data = drawn(((20.0, 0.3), (50.0, 0.1), (80.0, 0.1)))
    tree = ElementTree.fromstring(best_so_far(data, "en"))
    assert {"best", "rival", "band"} <= {path.get("class") for path in tree.iter("path")}
    first, second = told(data, "en")
    assert "would have needed about 5 min of device time to come to loss 0.1, which this study had after 50 s" in first
    assert second.startswith("Estimated from the 10 trials") and "3 as they ended" in second and "1 min (3 measured)" in second
    assert "추정" in told(data, "ko")[0]


def test_the_estimate_stops_where_it_is_as_good_and_never_goes_far_beyond_the_spend() -> None:
    reached = best_so_far(drawn(((20.0, 0.3), (80.0, 0.3))), "en")
    far = best_so_far(drawn(((20.0, 0.01), (80.0, 0.01))), "en")
    steps = [len(re.findall("H", re.search(r'class="rival" d="([^"]*)"', one)[1])) for one in (reached, far)]  # type: ignore[index]
    assert steps == [1, 3]  # after 2 of 60 s, and after 4, which is three times 80 s
    assert "would not have come to loss 0.01 in 10 full trainings" in told(drawn(((20.0, 0.01), (80.0, 0.01))), "en")[0]


def test_where_too_little_is_known_none_is_drawn_and_that_is_said() -> None:
    data = drawn(((20.0, 0.3), (80.0, 0.3)), None, asked=20, trained=1)
    assert "rival" not in best_so_far(data, "en")
    assert told(data, "en") == [
        "What full training of everything would have come to is not estimated: 20 trials have a curve and 1 was trained to "
        "the end; 12 and 3 are needed."
    ]
    assert told(drawn((), None, asked=20, trained=1), "en") == []
    assert told(drawn(((20.0, 0.3), (80.0, 0.3)), None, asked=5, trained=5), "en") == []  # it is full training itself


@pytest.mark.parametrize("best", [(), ((0.0, 0.5), (0.0, 0.5)), ((10.0, -1.0), (10.0, -1.0))])
def test_no_point_and_one_point_are_drawn_or_left_out(best: tuple) -> None:
    for rival in (None, RIVAL):
        text = best_so_far(drawn(best, rival), "ko")
        assert bool(text) == bool(best)
        if text:
            ElementTree.fromstring(text)
            assert "nan" not in text.lower()


@pytest.mark.parametrize("goal", ["min", "max"])
def test_a_night_that_paused_most_of_its_trials_gets_its_estimate_and_its_important_parameter_first(goal: Goal) -> None:
    night = searched(24, 8, goal)
    made = page(night.record(), night.state, "s1")
    look = made.figures.lookback
    assert look.rival and look.rival.trials == 24 and look.rival.full_s == 30.0 and look.rival.full_of == 8
    assert look.weights and look.weights.shares[0][0] == "lr"
    html = made.html("en")
    assert 'class="rival"' in html and 'class="share"' in html
    assert html.index("<span>lr<b") < html.index("<span>width<b") and len(html) < 1_000_000


@pytest.mark.parametrize("goal", ["min", "max"])
def test_what_best_so_far_shows_only_ever_gets_better(goal: Goal) -> None:
    night = Night(study=replace(STUDY, objective=replace(OBJECTIVE, goal=goal))).open()

    @settings(derandomize=True, deadline=None, max_examples=30)
    @given(ends=st.lists(st.floats(-9, 9) | st.just(math.nan) | st.just(math.inf), max_size=6))
    def holds(ends: list[float]) -> None:
        made = replace(night, events=list(night.events), batches=list(night.batches))
        for end in ends:
            attempt = made.start(made.queue({}))
            made.log(attempt, [1.0] * 8 + [end])
            made.end(attempt, Exit(code=0, elapsed_s=30.0))
        best = page(made.record(), made.state, "s1").figures.best
        finite = [end for end in ends if math.isfinite(end)]
        values = [value for _, value in best]
        assert values == sorted(values, reverse=goal == "min")
        assert [at for at, _ in best] == sorted(at for at, _ in best)
        assert bool(best) == bool(finite) and (not finite or values[-1] == (min if goal == "min" else max)(finite))

    holds()


def test_a_bar_says_the_share_and_panels_follow_it() -> None:
    weights = Weights(shares=(("b", 0.6), ("a", 0.05)), explained=0.7, trials=20, trained=5)
    panels = [Panel(name=name, points=((0.0, 1.0), (1.0, 2.0))) for name in "abc"]
    assert [panel.name for panel in ordered(panels, weights)] == ["b", "a", "c"]
    assert [panel.name for panel in ordered(panels, None)] == ["a", "b", "c"]
    assert "width:60%" in share_bar(weights, "b") and share_bar(weights, "c") == share_bar(None, "a") == ""
    assert "From 20 trials, 5 as they ended" in weights_told(Lookback(weights=weights), "en")
    assert "No parameter is called important" in weights_told(Lookback(weights=replace(weights, shares=())), "en")
    assert "is not estimated" in weights_told(Lookback(asked=4, trained=2), "en") and weights_told(Lookback(), "en") == ""


def test_show_plot_draws_the_study_and_without_plot_asks_for_a_name(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "secondshift.toml").write_text(
        'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 9\n'
    )
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    searched(24, 8).record(ledger)
    ledger.close()
    assert called(["show", "--plot", "--study", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "▪" in said and "┄" in said and "Estimated: a random search" in said and "lr" in said and "█" in said
    assert called(["show", "--study", str(tmp_path)]) != 0
    assert "given nothing to show" in capsys.readouterr().err

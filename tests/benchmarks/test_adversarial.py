"""Curves that mislead: each case misleads as it says, regrets are true ones, and a freeze-thaw search is not led astray."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

from adversarial.instances import CASES, HORIZON, Case, load, names  # noqa: E402  # the folder comes first
from adversarial.regrets import Epoch, beside, finished, read, seen  # noqa: E402
from search.buying import Counter  # noqa: E402
from search.nights import Ask, play  # noqa: E402

CURVES = ROOT / "benchmarks" / "adversarial" / "curves"
# Few seeds and half of the budget, so that it takes seconds. The measure is `python3 benchmarks/adversarial.py`: 30 seeds of every
# case, 100 of noise and 150 of the needle, 10 full trainings, 1.1 times the regret of halving and 0.01 (docs/search).
SEEDS, TRAININGS, ROOM = 3, 5.0, 0.15


@pytest.fixture(scope="module")
def counter() -> Iterator[Counter]:
    made = Counter(CURVES, Path(sys.executable))
    yield made
    made.close()


def drawn(case: str, number: int = 0) -> tuple[Case, np.ndarray, np.ndarray]:
    """A case, and points drawn from its space with what each would log without noise."""
    made = load(f"{case}-{number}", CURVES)
    points = np.random.default_rng(7).random((300, 3))
    return made, points, np.array([made.truth(u) for u in points])


@pytest.mark.parametrize("case", CASES)
def test_no_configuration_ends_below_the_optimum_and_the_optimum_comes_close(case: str) -> None:
    for number in range(4):
        made, _, curves = drawn(case, number)
        assert np.nanmin(curves) >= made.optimum - 0.03
        if case != "noise":  # there, no point is the best
            assert np.nanmin(made.truth(made.centre)) == pytest.approx(made.optimum, abs=0.03)


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def agreement(curves: np.ndarray, one: int, other: int) -> float:
    return float(np.corrcoef(ranks(curves[:, one]), ranks(curves[:, other]))[0, 1])


def test_where_curves_cross_early_ranks_are_the_reverse_of_late_ones() -> None:
    _, _, curves = drawn("crossing")
    assert agreement(curves, 2, HORIZON - 1) < -0.9


def test_a_tied_schedule_hides_how_runs_end_until_late() -> None:
    _, _, curves = drawn("tied")
    assert agreement(curves, 2, HORIZON - 1) < 0.8 < 0.95 < agreement(curves, HORIZON - 4, HORIZON - 1)


def test_few_bloom_late_and_none_of_the_others_comes_near_them() -> None:
    made, points, curves = drawn("bloomers")
    late = np.array([made.nearest(u) < made.radius(1 / 12) for u in points])
    assert 0.03 < late.mean() < 0.15
    assert curves[late, HORIZON // 2].min() > np.median(curves[~late, HORIZON // 2])
    assert curves[late, -1].max() < curves[~late, -1].min()


def test_noise_drowns_what_there_is_and_parameters_say_nothing() -> None:
    made, points, curves = drawn("noise")
    logged = np.array([made.curve(u) for u in points])
    assert np.std(logged[:, -1]) > 4 * np.std(curves[:, -1])
    assert abs(np.corrcoef(points[:, 0], curves[:, -1])[0, 1]) < 0.2
    assert abs(agreement(logged, 3, HORIZON - 1)) < 0.2


def test_every_run_diverges() -> None:
    _, _, curves = drawn("diverging")
    assert np.all(np.isnan(curves[:, -1])) and np.all(np.isfinite(curves[:, 0]))


def test_the_needle_is_about_one_in_fifty() -> None:
    _, _, curves = drawn("needle")
    assert 0.005 < np.mean(curves[:, -1] < 0.9) < 0.05


def test_instances_of_a_case_have_optima_of_their_own_and_are_the_same_each_time() -> None:
    assert len(set(names(CURVES))) == len(names(CURVES)) >= 600
    one, other = load("crossing-1", CURVES), load("crossing-2", CURVES)
    assert not np.allclose(one.centre, other.centre)
    point = np.array([0.2, 0.4, 0.6])
    assert np.array_equal(load("noise-3", CURVES).curve(point), load("noise-3", CURVES).curve(point))


def test_regret_is_that_of_what_looks_best_by_what_it_is_without_noise() -> None:
    made, points, _ = drawn("noise")
    told = [" ".join(f"{x:.5g}" for x in point) for point in points[:2]]
    bought = [
        Epoch(point=told[0], number=1, loss=-9.0), Epoch(point=told[0], number=HORIZON, loss=0.9),
        Epoch(point=told[1], number=HORIZON, loss=0.1), Epoch(point=told[1], number=2, loss=math.nan),
    ]  # fmt: skip
    first, second = (made.truth(np.array([float(x) for x in one.split()]))[-1] - made.optimum for one in told)
    assert seen(made, bought) == pytest.approx(first)
    assert finished(made, bought) == pytest.approx(second)
    assert finished(made, bought[:1]) == 1.0 == seen(made, [])


def test_a_method_holds_up_to_a_tenth_and_a_hundredth() -> None:
    assert beside([0.12, 0.12], [0.1, 0.1]).holds
    assert not beside([0.121, 0.121], [0.1, 0.1]).holds
    row = beside([0.0, 1.0, 0.0, 1.0], [0.5] * 4)
    assert row.low < 0.0 < row.high and row.ours == row.theirs == 0.5


def regret(counter: Counter, case: str, seed: int, method: str, folder: Path) -> float:
    at = "best" if case == "diverging" else "final"
    ask = Ask(method=method, instance=f"{case}-{seed}", seed=seed, trainings=TRAININGS, at=at)
    log = folder / "log.csv"
    played = play(ask, counter, log)
    assert played.epochs == played.charged_s <= TRAININGS * HORIZON
    assert played.reason.startswith("The device time is used up")  # however bad it looked, it went on
    return seen(load(ask.instance, CURVES), read(log))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_freeze_thaw_is_not_far_behind_halving_on_any_case(case: str, counter: Counter, tmp_path: Path) -> None:
    methods = ("model+freezethaw", "random+halving")
    ours, theirs = ([regret(counter, case, seed, method, tmp_path) for seed in range(SEEDS)] for method in methods)
    row = beside(ours, theirs)
    print(f"{case}: {ours} against {theirs}")
    assert row.ours <= 1.1 * row.theirs + ROOM, (ours, theirs)

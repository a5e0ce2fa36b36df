"""The benchmark of evidence asks the product after every seed, counts rightly, and turns red when the error control is spoilt."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

from evidence import effects, nights, noises, rules, studies  # noqa: E402  # the folder comes first

from secondshift.policies.evidence import levels, verdicts  # noqa: E402
from secondshift.policies.evidence.pairing import Pairs  # noqa: E402
from secondshift.records.states import State  # noqa: E402


def losses_of(seed: int, *, ideas: int = 4, pairs: int = 30, effect: float = 1.5) -> np.ndarray:
    losses = noises.crashing(np.random.default_rng(seed), (1, 1 + ideas, pairs))[0]
    losses[1] -= effect
    losses[2] += effect
    return losses


@pytest.mark.parametrize("seed", range(4))
def test_looking_only_where_something_could_be_found_ends_as_asking_the_product_after_every_seed(seed: int) -> None:
    losses = losses_of(seed)
    for number, outcome in enumerate(studies.play(losses), 1):
        ideas = studies.ideas_of(4)
        state, ended = State(study=studies.STUDY, ideas=ideas), None
        for seen in range(1, losses.shape[1] + 1):
            pairs = Pairs(candidate=tuple(losses[number, :seen]), baseline=tuple(losses[0, :seen]))
            found = verdicts.verdict(state, ideas[f"e{number}"], pairs)
            if found.ending != "unsettled":
                ended = (seen, found.ending, found.low, found.high)
                break
        kept_before = number > 1 and (first := studies.play(losses)[number - 2]) is not None and first.kept()
        if not kept_before:  # else a share was passed on
            verdict = outcome.verdict if outcome else None
            assert ended == ((verdict.pairs, verdict.ending, verdict.low, verdict.high) if verdict else None)


def test_what_held_up_passes_its_share_on_in_a_study_that_is_played() -> None:
    losses = np.zeros((3, 12))
    losses[1], losses[2] = -1.0, -1.0
    one, two = studies.play(losses)
    assert one is not None and two is not None and one.kept() and two.kept()
    assert two.verdict.level == pytest.approx(min(levels.MOST, levels.ALPHA * (levels.share(1) + levels.share(2))))


def test_null_nights_keep_their_promise_and_a_level_ten_times_as_high_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = noises.normal(np.random.default_rng(1), (150, 21, 40))

    def fooled() -> int:
        return sum(any(o is not None and o.kept() for o in studies.play(study)) for study in losses)

    assert fooled() <= 150 * 0.05 + 3 * math.sqrt(150 * 0.05 * 0.95)
    monkeypatch.setattr(levels, "ALPHA", 10 * levels.ALPHA)
    monkeypatch.setattr(levels, "MOST", 10 * levels.MOST)
    assert fooled() > 150 * 0.05 + 3 * math.sqrt(150 * 0.05 * 0.95)


def test_two_standard_deviations_settle_about_as_fast_as_promised() -> None:
    for place, most in effects.SETTLES.items():
        assert float(np.median(effects.took(effects.planted(2.0, place, 60)))) <= 1.5 * most


def test_an_oracle_needs_what_a_table_says() -> None:
    assert effects.oracle(0.5, 0.05) == 51  # a two-sample t-test, one side, 80 %: Cohen's table has 50
    assert effects.oracle(1.0, 0.05) == 14


def test_other_rules_err_as_often_as_is_known_of_them() -> None:
    losses = noises.normal(np.random.default_rng(2), (400, 21, 40))
    kept = {name: rule(losses) for name, rule in rules.rules(20).items()}
    assert kept["greedy, 1 seed"].sum(axis=1).mean() == pytest.approx(sum(1 / n for n in range(2, 22)), rel=0.1)  # records
    for name in ("Welch, n=10", "Wilcoxon, n=10"):
        assert 0.015 < kept[name].mean() < 0.03, name  # one side of 5 %
        assert kept[f"{name}, Bonferroni"].any(axis=1).mean() < 0.06, name
    assert kept["2 sigma, peeking"].any(axis=1).mean() > 0.5 and kept["bootstrap, n=10"].mean() > 0.025


def test_a_rule_takes_the_next_seed_for_a_run_that_crashed() -> None:
    losses = np.array([[[1.0, 1.1, 1.2, 1.0, 1.1], [math.inf, 0.1, 0.2, 0.0, 0.1]]])
    assert rules.greedy(losses).tolist() == [[True]] and rules.welch(losses, 4).tolist() == [[True]]


@pytest.mark.parametrize("noise", noises.COVERED)
def test_covered_noise_may_be_swapped_with_its_baseline(noise: str) -> None:
    losses = noises.COVERED[noise](np.random.default_rng(3), (200, 3, 20))
    with np.errstate(invalid="ignore"):
        better = losses[:, :1] - losses[:, 1:]
    finite = better[np.isfinite(better)]
    assert abs(np.mean(finite > 0) - 0.5) < 0.03
    assert np.quantile(finite, 0.9) == pytest.approx(-np.quantile(finite, 0.1), rel=0.2)


def test_the_command_keeps_the_contract_of_benchmarks() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "evidence.py"), "--only", "mixed", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert all({"ours", "unit", "peers", "target", "holds"} <= set(row) for row in rows.values())
    rate = rows["mixed studies: false discovery rate"]
    assert rate["holds"] is (rate["ours"] <= 0.05) and rate["ours"] <= 0.1 < rate["peers"]["2 sigma, peeking"]
    assert len(nights.REAL) == 4 and rows["mixed studies: found of the real"]["ours"] > 0.5

"""Planted effects: how many of them are found, after how many seeds, and whether the intervals hold them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from captain.parts import Reported
from captain.scoring import wilson
from scipy import stats

from evidence.noises import COVERED, Noise
from evidence.studies import STUDY, Outcome, ideas_of, play
from secondshift.records.studies import Objective, Study

EFFECTS = (0.5, 1.0, 2.0)  # standard deviations of one run
WITHIN = (30, 60, 100)  # pairs
PLACES = {"only": 1, "one of 20": 0, "20th": 20, "200th": 200}  # 0: drawn from the first 20
ERRORS = {"only": 1, "one of 20": 20, "20th": 20, "200th": 200}  # what an oracle shares its 5 % among
TOGETHER = (0.5, 0.9)  # correlations of the two runs of a pair
SETTLES = {"only": 9.0, "one of 20": 16.0}  # pairs in which 2 sd settle, in the median
MATTERS = 0.5  # least effect that matters, in standard deviations of one run
NOISES = ("Student t(2)", "10 % crashing", "two modes", "drifting hardware", "skewed")


def planted(
    effect: float, place: str, count: int, *, rho: float = 0.0, noise: Noise | None = None, parking: bool = False,
    study: Study = STUDY,
) -> list[Outcome]:  # fmt: skip
    """Judge one real idea in each of some studies; those it does not settle get the verdict of all pairs."""
    rng = np.random.default_rng([41, round(100 * (effect + 10.0)), round(100 * rho)])
    shape = (count, 2, max(WITHIN))
    losses = rng.normal(size=shape) if noise is None else noise(rng, shape)
    losses = math.sqrt(rho) * rng.normal(size=(count, 1, max(WITHIN))) + math.sqrt(1.0 - rho) * losses
    losses[:, 1] -= effect
    outcomes = []
    for runs in losses:
        number = PLACES[place] or int(rng.integers(1, 21))
        name = f"e{number}"
        (outcome,) = play(runs, names=[name], ideas=ideas_of(number), parking=parking, closing=True, study=study)
        assert outcome is not None, "closing"
        outcomes.append(outcome)
    return outcomes


def took(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Pairs until each idea held up; inf where it did not."""
    return np.array([outcome.verdict.pairs if outcome.kept() else math.inf for outcome in outcomes])


@cache
def oracle(effect: float, alpha: float, power: float = 0.8) -> int:
    """Give the seeds of each side with which a one-sided t-test that knows the effect finds it with that power."""
    for seeds in range(2, 2000):
        freedom, beyond = 2 * seeds - 2, effect * math.sqrt(seeds / 2.0)
        if stats.nct.sf(stats.t.isf(alpha, freedom), freedom, beyond) >= power:
            return seeds
    return 2000


def power(count: int) -> Reported:
    """Fraction found and seeds spent, beside a test that knew the effect beforehand."""
    found = Reported(lines=[
        f"## Power: {count} studies a row; pairs to a keep; 80 % is the pairs within which 80 % of the ideas held up", "",
        "| effect (sd of a run) | place | found within 30 | 60 | 100 | median | 80 % | p90 | spent, mean | wrongly refuted | "
        "oracle's seeds for 80 % | with Bonferroni |", "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ])  # fmt: skip
    for place in PLACES:
        for effect in EFFECTS:
            outcomes = planted(effect, place, count)
            pairs = took(outcomes)
            fixed = oracle(effect, 0.05), oracle(effect, 0.05 / ERRORS[place])
            found.lines.append(f"| {effect:g} | {place} | {_figures(outcomes)} | {fixed[0]} | {fixed[1]} |")
            name = f"power, {effect:g} sd, {place}"
            _power_rows(found, name, pairs, fixed, SETTLES.get(place) if effect == 2.0 else None)
    _pairing(found, count)
    _elsewhere(found, count)
    _parked(found, max(20, count // 2))
    _least(found, count)
    return found


def _power_rows(found: Reported, name: str, pairs: np.ndarray, fixed: tuple[int, int], target: float | None) -> None:
    median = float(np.median(pairs))
    found.row(f"{name}: found within 60 pairs", float((pairs <= 60).mean()), "share", "", None)
    asked = f"<= {target:g}" if target else ""
    peers = {"oracle's seeds for 80 %": float(fixed[0]), "oracle with Bonferroni": float(fixed[1])}
    shown = median if math.isfinite(median) else None
    found.row(f"{name}: pairs in the median", shown, "pairs", asked, median <= target if target else None, peers)


def _figures(outcomes: Sequence[Outcome]) -> str:
    pairs = took(outcomes)
    within = " | ".join(f"{(pairs <= most).mean():.3f}" for most in WITHIN)
    quantiles = " | ".join(_count(float(np.quantile(pairs, q, method="higher"))) for q in (0.5, 0.8, 0.9))
    spent = np.mean([outcome.verdict.pairs for outcome in outcomes])
    refuted = np.mean([outcome.verdict.decision == "refuted" for outcome in outcomes])
    return f"{within} | {quantiles} | {spent:.1f} | {refuted:.3f}"


def _count(pairs: float) -> str:
    return f"{pairs:.0f}" if math.isfinite(pairs) else "> 100"


HEAD = "| effect | {} | place | found within 30 | 60 | 100 | median | 80 % | p90 | spent, mean | wrongly refuted |"


def _pairing(found: Reported, count: int) -> None:
    found.lines += ["", "Runs of a pair that go together (rho), and the gain of pairing as the verdicts measured it:", "",
                    HEAD.format("rho") + " gain measured, median | 1/(1 - rho) |", "|---" * 13 + "|"]  # fmt: skip
    for rho in TOGETHER:
        for effect in EFFECTS:
            outcomes = planted(effect, "one of 20", count, rho=rho)
            gain = float(np.nanmedian([outcome.verdict.pairing for outcome in outcomes]))
            found.lines.append(f"| {effect:g} | {rho:g} | one of 20 | {_figures(outcomes)} | {gain:.2f} | {1 / (1 - rho):.2f} |")


def _elsewhere(found: Reported, count: int) -> None:
    found.lines += ["", "Under other noises (an effect in units of each noise):", "", HEAD.format("noise"), "|---" * 11 + "|"]
    for noise in NOISES:
        for effect in (1.0, 2.0):
            outcomes = planted(effect, "one of 20", count, noise=COVERED[noise])
            found.lines.append(f"| {effect:g} | {noise} | one of 20 | {_figures(outcomes)} |")


def _parked(found: Reported, count: int) -> None:
    found.lines += ["", "With parking, as racing parks (more than 100 pairs to go, even with some luck):", "",
                    HEAD.format("parked"), "|---" * 11 + "|"]  # fmt: skip
    for place in ("only", "one of 20"):
        for effect in (0.0, *EFFECTS):
            outcomes = planted(effect, place, count, parking=True)
            parked = np.mean([outcome.parked for outcome in outcomes])
            found.lines.append(f"| {effect:g} | {parked:.3f} | {place} | {_figures(outcomes)} |")
            if effect:
                share = float((took(outcomes) <= max(WITHIN)).mean())
                found.row(f"power with parking, {effect:g} sd, {place}: found within 100 pairs", share, "share", "", None)


def _least(found: Reported, count: int) -> None:
    """How ideas end where a gain below half a standard deviation does not matter."""
    study = replace(STUDY, objective=Objective(metric="loss", min_effect=MATTERS))
    endings = ("better", "too small", "no better", "worse", "unsettled")
    found.lines += ["", f"Where only gains from {MATTERS:g} sd on matter (`min_effect`), the only idea, at most 100 pairs:", "",
                    f"| effect | {' | '.join(endings)} | spent, mean |", "|---" * 7 + "|"]  # fmt: skip
    for effect in (-0.5, 0.0, 0.25, 0.5, 1.0, 2.0):
        verdicts = [outcome.verdict for outcome in planted(effect, "only", count, study=study)]
        shares = " | ".join(f"{np.mean([one.ending == ending for one in verdicts]):.3f}" for ending in endings)
        found.lines.append(f"| {effect:g} | {shares} | {np.mean([one.pairs for one in verdicts]):.1f} |")


def coverage(count: int) -> Reported:
    """Intervals as they stood when each idea was settled, or at the last pair: over all ideas, and over those that held up."""
    found = Reported(lines=[f"## Coverage of the 95 % intervals at the moment of stopping: {count} studies a row", "",
                            "| noise | effect | all ideas | held up | of those covered | effect shown / true, median of those |",
                            "|---|---|---|---|---|---|"])  # fmt: skip
    everything, selected = [0, 0], [0, 0]
    for noise in ("normal", *NOISES):
        for effect in (0.0, *EFFECTS):
            outcomes = planted(effect, "one of 20", count, noise=COVERED[noise])
            inside = np.array([outcome.verdict.low <= effect <= outcome.verdict.high for outcome in outcomes])
            kept = np.array([outcome.kept() for outcome in outcomes])
            shown = [outcome.verdict.effect / effect for outcome in outcomes if outcome.kept() and effect]
            found.lines.append(
                f"| {noise} | {effect:g} | {inside.mean():.3f} | {kept.mean():.3f} | "
                f"{_share(inside[kept])} | {f'{np.median(shown):.2f}' if shown else '-'} |"
            )
            for so_far, these in ((everything, inside), (selected, inside[kept])):
                so_far[0] += int(these.sum())
                so_far[1] += len(these)
    for name, (hits, of) in (("over all ideas", everything), ("among those that held up", selected)):
        share = hits / of if of else None
        found.row(f"simulated, coverage {name}", share, "share", ">= 0.9", share is not None and share >= 0.9)
        low, high = wilson(hits, of) if of else (0.0, 1.0)
        found.lines.append(f"\nCoverage {name}: {hits} of {of}, 95 % interval {low:.3f} to {high:.3f}")
    return found


def _share(told: np.ndarray) -> str:
    return f"{told.mean():.3f} of {len(told)}" if len(told) else "-"

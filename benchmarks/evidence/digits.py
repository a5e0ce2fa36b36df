"""The same on noise that was recorded of real trainings: no-ops from one configuration's seeds, and real changes.

digits.csv is what record_digits.py measured. A study draws its runs from it anew, without replacement, so its ideas cannot be
told from its baseline, whatever the noise looks like. Studies share the recorded seeds: figures are of this noise, not of all.
"""

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from captain.parts import Reported
from captain.scoring import wilson

from evidence.effects import took
from evidence.nights import IDEAS, PAIRS, null_row
from evidence.rules import rules
from evidence.studies import Outcome, ideas_of, play
from secondshift.policies.models.signflips import middle

FILE = Path(__file__).resolve().parent / "digits.csv"
TRUTH = 200  # seeds that say what a change really does
NIGHT = 100  # pairs of a study, from the others
METRICS = ("loss", "mistakes")
TARGET = "<= 0.05, upper <= 0.06"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the trainings came to, by seed: runs of a change with the same index as the baseline's have its seed."""

    base: dict[str, np.ndarray]  # metric -> float64[seeds]; smaller is better
    changes: dict[str, dict[str, np.ndarray]]  # change -> metric -> float64[seeds]
    seconds: float  # of processor time of a run of the baseline, median
    made: str  # by what

    def deviation(self, metric: str) -> float:
        """The standard deviation of one run of the baseline."""
        return float(np.std(self.base[metric], ddof=1))


@cache
def recorded() -> Recorded:
    """Read digits.csv. Raises FileNotFoundError where it is not there, ValueError where seeds are missing."""
    lines = FILE.read_text("utf-8").splitlines()
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        rows.setdefault(row["change"], []).append(row)
    for change, of in rows.items():
        if [int(row["seed"]) for row in of] != list(range(len(of))):
            raise ValueError(f"{FILE.name}: got other seeds of {change} than 0 to {len(of) - 1}; run record_digits.py again")
    values = {
        change: {metric: np.array([float(row[metric]) for row in of]) for metric in METRICS} for change, of in rows.items()
    }
    seconds = float(np.median([float(row["seconds"]) for row in rows["base"]]))
    base = values.pop("base")
    return Recorded(base=base, changes=values, seconds=seconds, made=lines[0].removeprefix("# "))


def null(studies: int) -> Reported:
    """No-ops drawn from the pool of one configuration."""
    pool = recorded()
    found = Reported(lines=[
        f"## Real digits noise: {studies} studies of {IDEAS} no-ops, {PAIRS} pairs, from {len(pool.base['loss'])} seeds", "",
        f"Recorded by {pool.made}; {pool.seconds:.3f} s of processor time a run.", "",
        f"| noise | ours: studies with a keep (95 %) | keeps a study | {' | '.join(rules(IDEAS))} |",
        "|---" * (3 + len(rules(IDEAS))) + "|",
    ])  # fmt: skip
    for metric in METRICS:
        rng = np.random.default_rng(51)
        shape = (1 + IDEAS, PAIRS)
        size = shape[0] * shape[1]
        losses = np.stack([rng.choice(pool.base[metric], size, replace=False).reshape(shape) for _ in range(studies)])
        kept = np.array([[o is not None and o.kept() for o in play(study)] for study in losses])
        null_row(found, f"digits, {metric}", kept, losses, TARGET)
    return found


@dataclass(frozen=True, kw_only=True)
class Night:
    """One real change in one study."""

    outcome: Outcome
    truth: float  # the centre of the paired differences of 200 other seeds
    mean: float  # their mean


def nights_of(change: str, metric: str, place: str, count: int, *, shuffled: bool = False) -> list[Night]:
    """Judge a change on seeds drawn by chance, its truth from 200 others; `shuffled` breaks the pairs apart."""
    pool = recorded()
    ours, found = pool.changes[change][metric], []
    theirs = pool.base[metric][: len(ours)]
    rng = np.random.default_rng([61, len(change), len(metric)])
    for _ in range(count):
        drawn = rng.permutation(len(ours))
        truth = theirs[drawn[:TRUTH]] - ours[drawn[:TRUTH]]
        night = drawn[TRUTH : TRUTH + NIGHT]
        number = 1 if place == "only" else int(rng.integers(1, 21))
        against = theirs[rng.permutation(night)] if shuffled else theirs[night]
        study = np.stack([against, ours[night]])
        (outcome,) = play(study, names=[f"e{number}"], ideas=ideas_of(number), closing=True)
        assert outcome is not None, "closing"
        found.append(Night(outcome=outcome, truth=middle(truth), mean=float(truth.mean())))
    return found


def changes(count: int) -> Reported:
    """Real changes: found, seeds spent, and whether intervals hold what 200 other seeds say."""
    pool = recorded()
    found = Reported(lines=[
        f"## Real changes on digits: {count} studies a row, at most {NIGHT} pairs, truth from {TRUTH} other seeds", "",
        "| change | metric | effect (sd of a run) | rho | gain of pairing | held up as only | pairs, median | as one of 20 | pairs "
        "| the same, pairs broken | pairs | refuted | covered | among held up | mean covered |", "|---" * 15 + "|",
    ])  # fmt: skip
    everything, selected, means = [], [], []
    for metric in METRICS:
        for change, values in pool.changes.items():
            ours, theirs = values[metric], pool.base[metric][: len(values[metric])]
            effect = middle(theirs - ours) / pool.deviation(metric)
            rho = float(np.corrcoef(ours, theirs)[0, 1])
            only, early = nights_of(change, metric, "only", count), nights_of(change, metric, "one of 20", count)
            broken = nights_of(change, metric, "one of 20", count, shuffled=True)
            both = only + early
            inside = np.array([night.outcome.verdict.low <= night.truth <= night.outcome.verdict.high for night in both])
            mean = np.array([night.outcome.verdict.low <= night.mean <= night.outcome.verdict.high for night in both])
            kept = np.array([night.outcome.kept() for night in both])
            gain = float(np.nanmedian([night.outcome.verdict.pairing for night in both]))
            refuted = np.mean([night.outcome.verdict.decision == "refuted" for night in both])
            everything, selected, means = [*everything, *inside], [*selected, *inside[kept]], [*means, *mean]
            chosen = f"{inside[kept].mean():.3f}" if kept.any() else "-"
            found.lines.append(
                f"| {change} | {metric} | {effect:+.2f} | {rho:.2f} | {gain:.1f} | {_found(only)} | {_found(early)} | "
                f"{_found(broken)} | {refuted:.2f} | {inside.mean():.3f} | {chosen} | {mean.mean():.3f} |"
            )
    for name, told in (("over all ideas", everything), ("among those that held up", selected), ("of the mean", means)):
        share = float(np.mean(told)) if told else None
        low, high = wilson(int(np.sum(told)), len(told)) if told else (0.0, 1.0)
        found.lines.append(f"\nCoverage of the {TRUTH}-seed truth {name}: {np.sum(told)} of {len(told)} ({low:.3f} to {high:.3f})")
        target = "" if name == "of the mean" else ">= 0.9"
        found.row(f"digits, coverage {name}", share, "share", target, None if not target else share is not None and share >= 0.9)
    return found


def _found(nights: list[Night]) -> str:
    pairs = took([night.outcome for night in nights])
    median = float(np.median(pairs))
    return f"{np.isfinite(pairs).mean():.2f} | {f'{median:.0f}' if math.isfinite(median) else '-'}"

"""What a night on misleading curves came to, by its purchases alone, and whether it holds beside another method."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adversarial.instances import HORIZON, Case

FACTOR, MARGIN = 1.1, 0.01  # never worse than so many times the regret of halving, and so much
RESAMPLES = 4000
NOTHING = 1.0  # the regret of having no result


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One epoch that was paid for."""

    point: str  # the configuration's coordinates
    number: int  # from 1
    loss: float  # as the script logged it


def read(log: Path) -> list[Epoch]:
    """Read the log of one night."""
    with log.open() as file:
        return [Epoch(point=r["bought"], number=int(r["epoch"]), loss=float(r["loss"])) for r in csv.DictReader(file)]


def seen(case: Case, bought: Sequence[Epoch]) -> float:
    """The regret of whoever takes the checkpoint that logged the least: by what it logs without noise."""
    return _regret(case, [one for one in bought if math.isfinite(one.loss)])


def finished(case: Case, bought: Sequence[Epoch]) -> float:
    """The regret of whoever takes, of the runs that came to their end, the one that logged the least there."""
    return _regret(case, [one for one in bought if one.number == HORIZON and math.isfinite(one.loss)])


def _regret(case: Case, offered: Sequence[Epoch]) -> float:
    if not offered:
        return NOTHING
    taken = min(offered, key=lambda one: one.loss)
    truth = case.truth(np.array([float(x) for x in taken.point.split()]))
    return float(truth[taken.number - 1]) - case.optimum


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One case at one budget: a method beside another on the same instances."""

    ours: float  # mean regret
    theirs: float
    low: float  # bootstrap interval, 95%, of the mean difference: ours less theirs
    high: float

    @property
    def holds(self) -> bool:
        """Not worse than it may be."""
        return self.ours <= FACTOR * self.theirs + MARGIN


def beside(ours: Sequence[float], theirs: Sequence[float]) -> Row:
    """Compare regrets of the same instances, in the same order."""
    one, other = np.array(ours), np.array(theirs)
    rng = np.random.default_rng(0)
    means = (one - other)[rng.integers(len(one), size=(RESAMPLES, len(one)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Row(ours=float(one.mean()), theirs=float(other.mean()), low=float(low), high=float(high))

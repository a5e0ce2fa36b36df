"""What a night came to, by its purchases alone: every epoch in the log counts, whatever a policy says."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUDGETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # full trainings


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchases:
    """The log of one night, in the order of buying."""

    at: tuple[float, ...]  # simulated seconds when each epoch was done
    best: tuple[float, ...]  # smallest loss of all epochs up to and with each

    @property
    def epochs(self) -> int:
        """How many were paid for: repeated ones count again."""
        return len(self.at)

    def best_after(self, epochs: float) -> float:
        """Smallest loss among the first so many epochs; of fewer, where the night had no more to buy."""
        count = min(int(epochs), self.epochs)
        return self.best[count - 1] if count else float("inf")

    def best_at(self, seconds: float) -> float:
        """Smallest loss that was seen so many seconds after the beginning."""
        return min((best for at, best in zip(self.at, self.best, strict=True) if at <= seconds), default=float("inf"))


def read(log: Path) -> Purchases:
    """Read the log of one night."""
    at, best = [], []
    least = float("inf")
    with log.open() as file:
        for row in csv.DictReader(file):
            least = min(least, float(row["loss"]))
            at.append(float(row["at"]))
            best.append(least)
    return Purchases(at=tuple(at), best=tuple(best))


def anytime(bought: Purchases, horizon: int, budgets: Sequence[float] = BUDGETS) -> list[tuple[float, float]]:
    """Budget in full trainings, and the best loss that it bought."""
    return [(budget, bought.best_after(budget * horizon)) for budget in budgets]

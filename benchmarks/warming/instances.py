"""Smooth curves, as the shop sells them: the study of now, and earlier ones of the same space that are like it or not.

Losses of now lie between 0 and 1, where all begin. Earlier ones log in other units.
"""

from pathlib import Path

import numpy as np
from search.axes import unit_cube

HORIZON = 40
AXES = 4
ABOUT = 100  # studies of each kind, that can be asked for
NOW = "now"
RELATED, MISLEADING = ("near", "kin"), ("elsewhere", "opposite")
EARLIER = (*RELATED, *MISLEADING)


class Case:
    """One study, of now or earlier."""

    horizon = HORIZON
    best_loss, reference_loss = 0.0, 1.0

    def __init__(self, name: str) -> None:
        self.kind, number = name.split("-")
        self.space = unit_cube(AXES)
        now = np.random.default_rng([11, int(number)])
        self.centre, self.weights = now.uniform(0.1, 0.9, AXES), now.dirichlet(np.full(AXES, 1.5)) + 0.05
        self.rate = now.uniform(3, 8)
        rng = np.random.default_rng([12, int(number), (NOW, *EARLIER).index(self.kind)])
        self.level, self.unit = (0.0, 1.0) if self.kind == NOW else (rng.uniform(-3, 3), rng.uniform(0.2, 5.0))
        if self.kind == "near":  # the same question but for a little
            self.centre = np.clip(self.centre + 0.03 * rng.standard_normal(AXES), 0.0, 1.0)
        elif self.kind == "kin":  # another data set: the optimum has moved, other parameters weigh, it learns at another pace
            self.centre = np.clip(self.centre + 0.08 * rng.standard_normal(AXES), 0.0, 1.0)
            self.weights, self.rate = self.weights * rng.uniform(0.5, 2.0, AXES), self.rate * rng.uniform(0.5, 2.0)
        elif self.kind == "elsewhere":  # it has nothing to do with it
            self.centre, self.weights = rng.uniform(0.1, 0.9, AXES), rng.dirichlet(np.full(AXES, 1.5)) + 0.05

    def quality(self, u: np.ndarray) -> float:
        """How far a point is from the optimum: 0 there, 1 at the far end; the other way round for `opposite`."""
        away = float(min(1.0, np.sqrt(self.weights @ (u - self.centre) ** 2 / self.weights.sum()) / 0.7))
        return 1.0 - away if self.kind == "opposite" else away

    def curve(self, u: np.ndarray) -> np.ndarray:
        """What the script logs after each epoch."""
        return self.level + self.unit * self.plain(np.array([[self.quality(u)]]))[0]

    def plain(self, quality: np.ndarray) -> np.ndarray:
        """Curves of some qualities ([curves, 1]), between 0 and 1."""
        done = np.arange(1, HORIZON + 1) / HORIZON
        return quality + (1 - quality) * np.exp(-self.rate * done)

    def optimum(self) -> float:
        """The least loss that any configuration comes to."""
        return float(np.min(self.plain(np.linspace(0.0, 1.0, 1001)[:, None])))


def names(folder: Path) -> list[str]:
    """All studies: a kind, and which of them."""
    return [f"{kind}-{number}" for number in range(ABOUT) for kind in (NOW, *EARLIER)]


def load(name: str, folder: Path) -> Case:
    """Make one ready."""
    return Case(name)

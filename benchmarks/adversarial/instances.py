"""Curves that lead a search astray, as the shop sells them: a case and a number are an instance with an optimum of its own.

Losses lie between 0, which the best configuration comes to, and 1, where all begin. `curve` gives what a script logs, with
its noise; `truth` what it would log without.
"""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from search.axes import unit_cube

HORIZON = 27  # halving compares after 3 and after 9
AXES = 3
ABOUT = 200  # instances of a case, that can be asked for
SHOWN = 5  # digits of a coordinate, as the shop writes it down
Shape = Callable[["Case", np.ndarray, np.ndarray], np.ndarray]  # point, share of the horizon that is done -> losses


def crossing(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The better a configuration ends, the later it falls: early ranks are the reverse of late ones."""
    quality = case.quality(u)
    return quality + (1 - quality) / (1 + np.exp((t - (0.7 - 0.6 * quality)) / 0.05))


def tied(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """A cosine schedule that ends at the horizon: until then a high rate hides, by another rule, how good a run will be."""
    quality, rate = case.quality(u), case.other(u)
    return quality + 0.5 * (1 - quality) * np.exp(-8 * t) + 0.4 * rate * (1 + np.cos(np.pi * t)) / 2


def bloomers(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """One configuration in twelve stands on a plateau until two thirds, and ends far better than all others."""
    quality = case.quality(u)
    late = 0.25 * quality + (1 - 0.25 * quality) / (1 + np.exp((t - 0.67) / 0.03))
    return late if case.nearest(u) < case.radius(1 / 12) else 0.4 + 0.4 * quality + (0.6 - 0.4 * quality) * np.exp(-6 * t)


def noise(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """What a configuration comes to has nothing to do with its parameters, and is small beside the noise of each point."""
    return np.full(len(t), 0.5 + 0.2 * (case.chance(u) - 0.5))


def diverging(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Every run falls, rises and ends in NaN; the better it is, the later."""
    quality = case.quality(u)
    end = 0.9 - 0.8 * quality
    falling = 0.5 * quality + (1 - 0.5 * quality) * np.exp(-6 * t)
    return np.where(t < end, falling + 5 * np.maximum(0, t - end + 0.08) ** 2, np.nan)


def needle(case: "Case", u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Nothing learns, but for one configuration in fifty."""
    near = case.nearest(u) / case.radius(1 / 50)
    return 1 - max(0.0, 1 - 0.5 * near**2) * (1 - np.exp(-5 * t)) * (near < 1) - 0.02 * case.other(u) * t


CASES: dict[str, tuple[Shape, float]] = {  # the curve, and the noise of each point
    "crossing": (crossing, 0.0),
    "tied": (tied, 0.01),
    "bloomers": (bloomers, 0.01),
    "noise": (noise, 0.3),
    "diverging": (diverging, 0.0),
    "needle": (needle, 0.005),
}


class Case:
    """One case with an optimum of its own."""

    horizon = HORIZON
    best_loss, reference_loss = 0.0, 1.0

    def __init__(self, name: str) -> None:
        kind, number = name.split("-")
        self.name, self.number = name, int(number)
        self.shape, self.deviation = CASES[kind]
        self.kind, self.optimum = kind, 0.4 if kind == "noise" else 0.0
        rng = np.random.default_rng([zlib.crc32(kind.encode()), self.number])
        self.centre, self.weights = rng.uniform(0.15, 0.85, AXES), rng.dirichlet(np.full(AXES, 2.0)) + 0.1
        self.turned = rng.standard_normal(AXES)
        self.space = unit_cube(AXES)

    def curve(self, u: np.ndarray) -> np.ndarray:
        """What the script logs after each epoch."""
        true = self.truth(u)
        rng = np.random.default_rng([zlib.crc32(self._told(u).encode()), self.number])
        return true + self.deviation * rng.standard_normal(len(true)) if self.deviation else true

    def truth(self, u: np.ndarray) -> np.ndarray:
        """The same without its noise."""
        return self.shape(self, u, np.arange(1, HORIZON + 1) / HORIZON)

    def quality(self, u: np.ndarray) -> float:
        """How far a point is from the optimum: 0 there, 1 at the far end."""
        return float(min(1.0, np.sqrt(self.weights @ (u - self.centre) ** 2 / self.weights.sum()) / 0.6))

    def other(self, u: np.ndarray) -> float:
        """From 0 to 1, smooth, and unrelated to the quality."""
        return float(0.5 + 0.5 * np.sin(3 * self.turned @ u))

    def nearest(self, u: np.ndarray) -> float:
        """The greatest distance from the optimum along any axis."""
        return float(np.max(np.abs(u - self.centre)))

    def radius(self, share: float) -> float:
        """Of a cube around the optimum that holds so much of the space, but for what lies outside."""
        return share ** (1 / AXES) / 2

    def chance(self, u: np.ndarray) -> float:
        """A number from 0 to 1 that says nothing of the next point."""
        return float(np.random.default_rng([zlib.crc32(self._told(u).encode()), self.number, 1]).random())

    def _told(self, u: np.ndarray) -> str:
        return " ".join(f"{x:.{SHOWN}g}" for x in u)


def names(folder: Path) -> list[str]:
    """All instances: a case, and which of its optima."""
    return [f"{case}-{number}" for number in range(ABOUT) for case in CASES]


def load(name: str, folder: Path) -> Case:
    """Make an instance ready."""
    return Case(name)

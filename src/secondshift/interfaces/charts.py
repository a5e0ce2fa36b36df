"""Charts of characters, for terminals: points, lines and bands on a grid with an axis on its left and one below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from secondshift.interfaces.messages.formats import number

GUTTER = 12  # columns left of the grid


@dataclass(kw_only=True)
class Chart:
    """A grid that is drawn on; what comes later lies on top. Values beyond it are drawn on its edge, or left out."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int
    height: int
    cells: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.x, self.y = _room(*self.x), _room(*self.y)
        self.width, self.height = max(8, self.width - GUTTER), max(4, self.height)
        self.cells = [[" "] * self.width for _ in range(self.height)]

    def column(self, value: float) -> int:
        """Where a value lies from left to right."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return min(self.width - 1, max(0, round(share * (self.width - 1))))

    def row(self, value: float) -> int:
        """Where a value lies from the top."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return self.height - 1 - min(self.height - 1, max(0, round(share * (self.height - 1))))

    def mark(self, x: float, y: float, sign: str) -> None:
        """Draw one point; nothing where it is no number."""
        if math.isfinite(x) and math.isfinite(y):
            self.cells[self.row(y)][self.column(x)] = sign

    def points(self, xs: Sequence[float], ys: Sequence[float], sign: str) -> None:
        """Draw points; those above or below the grid are left out."""
        for x, y in zip(xs, ys, strict=True):
            if self.y[0] <= y <= self.y[1]:
                self.mark(x, y, sign)

    def stairs(self, corners: Sequence[tuple[float, float]], sign: str) -> None:
        """Draw values that hold from each point until the next."""
        for (x, y), (until, _) in zip(corners, [*corners[1:], corners[-1]], strict=True):
            for column in range(self.column(x), self.column(until) + 1):
                self.cells[self.row(y)][column] = sign

    def band(self, at: float, begins: float, until: float, low: float, high: float, sign: str) -> None:
        """Fill what opens from one value to an interval further right; cells that are taken stay."""
        first, last = self.column(at), self.column(until)
        for column in range(first, last + 1):
            share = (column - first) / max(1, last - first)
            top, bottom = (self.row(begins + share * (end - begins)) for end in (high, low))
            for line in range(min(top, bottom), max(top, bottom) + 1):
                if self.cells[line][column] == " ":
                    self.cells[line][column] = sign

    def lines(self, left: str, right: str) -> list[str]:
        """The chart as lines of text; `left` and `right` are written below its ends."""
        said = {0: self.y[1], self.height - 1: self.y[0], (self.height - 1) // 2: self.y[1] - (self.y[1] - self.y[0]) * (
            ((self.height - 1) // 2) / (self.height - 1))}  # fmt: skip
        drawn = []
        for place, cells in enumerate(self.cells):
            label = number(said[place]) if place in said else ""
            drawn.append(f"{label:>{GUTTER - 2}} │{''.join(cells)}".rstrip())
        drawn.append(" " * (GUTTER - 1) + "└" + "─" * self.width)
        drawn.append(" " * GUTTER + left + right.rjust(max(0, self.width - len(left))))
        return drawn


def _room(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if high > low:
        return low, high
    pad = abs(low) * 0.1 or 1.0
    return low - pad, high + pad

"""Which checkpoints to keep so that a run can be taken back to before a trouble that was seen late.

The newest ones are kept for resuming. Of the older ones those are kept whose ages, counted in steps from the newest
checkpoint, roughly double: the ages of two neighbours differ by a factor of two at most, unless nothing was saved
between them. So however long ago the trouble began, up to the oldest one kept, there is a checkpoint from before it
that is at most twice as old.

Where one has to go, it is the one whose neighbours are nearest to each other by the ratio of their ages; where every
ratio would pass two, the oldest. Ages grow alike, so ratios only shrink: what was near enough stays near enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

FACTOR = 2.0  # between the ages of neighbours


def giving_up(steps: Iterable[int], newest: int = 1) -> Iterator[int]:
    """Yield the steps of checkpoints in the order in which to give them up; the `newest` ones (at least 1) never."""
    left = sorted(set(steps), reverse=True)
    first = max(1, newest)
    while len(left) > first:
        yield left.pop(_least(left, first))


def kept(steps: Iterable[int], newest: int, older: int) -> set[int]:
    """Return the steps to keep: the `newest` ones (at least 1) and up to `older` ones before them."""
    chosen = set(steps)
    going = giving_up(chosen, newest)
    while len(chosen) > max(1, newest) + max(0, older):
        chosen.remove(next(going))
    return chosen


def _least(left: list[int], first: int) -> int:
    """Return the index of the one to go; `left` is sorted, the highest step first."""
    top = left[0]
    best, ratio = len(left) - 1, FACTOR
    for index in range(len(left) - 2, first - 1, -1):
        younger, elder = top - left[index - 1], top - left[index + 1]
        found = elder / younger if younger else inf
        if found < ratio or (found == ratio and best == len(left) - 1):
            best, ratio = index, found
    return best

"""Rises of the loss that come from a learning rate that is too high for a while, in logs shaped as public ones are.

`ended_short` and `bumps_short` are nothing but the first hundred steps of a run; `recurrent_spikes` are long logs whose
rises all went away; `planned_restart` begins anew, as was announced. Whether a rise went away is told by a rule of its own,
which no detector shares: running medians of three points, against the points before the first rise.
"""

from itertools import pairwise
from statistics import median

import numpy as np

KINDS = ("ended_short", "bumps_short", "recurrent_spikes", "planned_restart")
SHORT = ("ended_short", "bumps_short")
Bump = tuple[int, int, float]  # first step, steps, times the usual learning rate
GONE, STAYS = 3.0, 6.0  # units of noise above what was before: a rise below the one went away, one above the other did not
LONG = 200  # points
LOST = 0.1  # ... and of what was gained, at least


def drawn(rng: np.random.Generator, kind: str, horizon: int) -> list[Bump]:
    """The rises of one run."""
    if kind == "ended_short":
        early = int(rng.integers(6, 30)) if rng.random() < 0.3 else 0
        begin = int(rng.integers(25, 95))
        lasts = horizon if rng.random() < 0.6 else int(rng.integers(2, 12))
        before = [(early, 1, _strong(rng))] if 0 < early < begin - 12 else []
        return [*before, (begin, lasts, _strong(rng))]
    if kind == "bumps_short":
        places = sorted(int(at) for at in rng.integers(25, 60, size=int(rng.integers(1, 3))))
        return [(at, int(rng.integers(1, 4)), _strong(rng)) for at in places]
    if kind == "recurrent_spikes":
        places = rng.integers(horizon // 6, int(horizon * 0.93), size=int(rng.integers(3, 16)))
        return [(int(at), int(rng.integers(1, 40 if rng.random() < 0.3 else 8)), _strong(rng)) for at in sorted(places)]
    return []


def _strong(rng: np.random.Generator) -> float:
    return float(10 ** rng.uniform(1.0, 2.2))


def times(bumps: list[Bump], step: int) -> float:
    """How many times the usual learning rate this step has."""
    return max([strong for begin, lasts, strong in bumps if begin <= step < begin + lasts], default=1.0)


def weaker(bumps: list[Bump], by: float) -> list[Bump]:
    """The same rises from a rate that is nearer to the usual one."""
    return [(begin, lasts, max(1.0, strong * by)) for begin, lasts, strong in bumps]


def stands(values: list[float], onset: int) -> float:
    """How far the last three points stand above those before the onset: below 0 = went away, above 1 = did not."""
    before, last = values[max(0, onset - 25) : onset], median(values[-3:])
    level = median(before[-8:])
    noise = 1.05 * median([abs(b - a) for a, b in pairwise(before)]) + 1e-9
    gained = max(0.0, median(values[:3]) - level)
    if len(values) > LONG and onset > 0:  # of many rises each must have gone away: no tenth of the log is wholly above
        wide = len(values) // 10
        tenths = [sorted(values[at : at + wide])[wide // 4] for at in range(onset, len(values) - wide + 1, wide)]
        if max(tenths, default=0.0) > level + GONE * noise:
            return 0.5
    least = max(STAYS * noise, LOST * gained)
    if not np.isfinite(last) or last - level > least:
        return 2.0
    return -1.0 if last - level < max(GONE * noise, 0.5 * LOST * gained) else 0.5

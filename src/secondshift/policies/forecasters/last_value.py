"""The plainest forecast: a trial ends where it is, give or take what curves of the study changed over as long a stretch."""

import numpy as np

from secondshift.policies.forecasters.foreseeing import Expected, Ground, observer

NAME = "last_value"
WANTS_CURVES = True  # the engine fills in State.curves
ENOUGH = 5  # stretches of other curves, below which it abstains


def expect(ground: Ground) -> Expected | None:
    """Forecast one trial."""
    ratio, now = ground.horizon / ground.own.steps[-1], float(ground.own.losses[-1])
    changes: list[float] = []
    for other in ground.others:
        at = other.steps[other.steps * ratio <= other.steps[-1]]
        then = other.losses[np.searchsorted(other.steps, at * ratio + 1e-9, "right") - 1]
        change = then - other.losses[: len(at)]
        changes.extend(change[np.isfinite(change)])
    if len(changes) < ENOUGH:
        return None
    found = now + np.array(changes)
    low, high = np.quantile(found, [0.1, 0.9])
    chance = float(np.mean(found < ground.best))
    return Expected(low=min(float(low), now), middle=now, high=max(float(high), now), chance=chance)


decide = observer(NAME, expect)

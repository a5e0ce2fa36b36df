"""What counts of a curve, and what stands for a run that left none."""

import math

import numpy as np

from secondshift.records.curves import Curve
from secondshift.records.studies import Study

FAILED = Curve(steps=(1,), values=(math.inf,))
# Points of a curve that are looked at, counted from its first; beside them always the newest.
LOOKED_AT = np.array([1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 31, 38, 47, 58, 72, 90, 112, 140, 175, 200])


def losses(study: Study, curve: Curve) -> np.ndarray:
    """The losses of a curve as the objective counts them: so far the best, or each as it is; inf where there is none."""
    found = np.array(curve.values, dtype=float)
    found = np.where(np.isfinite(found), found if study.objective.goal == "min" else -found, np.inf)
    return np.minimum.accumulate(found) if study.objective.at == "best" else found


def kept(count: int) -> np.ndarray:
    """Indices of the points of a curve of so many that are looked at."""
    return np.append(LOOKED_AT[count > LOOKED_AT] - 1, count - 1)

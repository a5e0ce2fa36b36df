"""Defaults of other tools' detectors, written anew from their documentation, to be scored beside ours. Each sees one value a step.

Keras TerminateOnNaN: a NaN or infinite loss. Keras EarlyStopping as commonly set up (patience 3, min_delta 0, on the validation
metric). Lightning Fabric's SpikeDetection with its defaults (window 10, rtol 2.0); it ends the run at the first, here it goes on.
OLMo-core's `stable` monitor: loss or gradient norm above the mean by 6 standard deviations
of the last 128. W&B's z-score alert: window 30, threshold 3.0.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, sqrt

Row = Mapping[str, float | None]
Detector = Callable[[Sequence[Row], str], list[int]]  # rows and goal -> steps of alarms


def nan_check(rows: Sequence[Row], goal: str) -> list[int]:
    """Keras TerminateOnNaN (and Composer's NaN monitor): it ends the run, so it alarms once."""
    for row in rows:
        loss = row["loss"]
        if loss is not None and not isfinite(loss):
            return [int(row["step"] or 0)]
    return []


def early_stopping(rows: Sequence[Row], goal: str) -> list[int]:
    """Keras EarlyStopping with patience 3 on the validation metric; it ends the run, so it alarms once."""
    sign = 1.0 if goal == "min" else -1.0
    best, worse = float("inf"), 0
    for row in rows:
        value = row["val_loss"]
        if value is None:
            continue
        value *= sign
        best, worse = (value, 0) if value < best else (best, worse + 1)
        if worse >= 3:
            return [int(row["step"] or 0)]
    return []


def lightning(rows: Sequence[Row], goal: str) -> list[int]:
    """Lightning's SpikeDetection: non-finite, or worse than the value before and away from the mean of 10 by twice that mean."""
    sign = 1.0 if goal == "min" else -1.0
    kept: deque[float] = deque(maxlen=10)
    alarms = []
    for row in rows:
        loss = row["loss"]
        if loss is None:
            continue
        if not isfinite(loss):
            alarms.append(int(row["step"] or 0))
            continue
        if kept:
            mean = sum(kept) / len(kept)
            if sign * (loss - kept[-1]) > 0 and abs(loss - mean) >= abs(2.0 * mean):
                alarms.append(int(row["step"] or 0))
                continue
        kept.append(loss)
    return alarms


def _z_score(rows: Sequence[Row], columns: Sequence[str], window: int, limit: float, sign: float) -> list[int]:
    alarms: list[int] = []
    for column in columns:
        kept: deque[float] = deque(maxlen=window)
        total = squares = 0.0
        for row in rows:
            value = row.get(column)
            if value is None:
                continue
            if not isfinite(value):
                alarms.append(int(row["step"] or 0))
                continue
            value *= sign if column == "loss" else 1.0
            if len(kept) == window:
                mean = total / window
                spread = sqrt(max(squares / window - mean * mean, 0.0))
                if value - mean > limit * spread and value - mean > 1e-12 * abs(mean):
                    alarms.append(int(row["step"] or 0))
                total, squares = total - kept[0], squares - kept[0] * kept[0]
            kept.append(value)
            total, squares = total + value, squares + value * value
            if not isfinite(squares):  # else one huge value would blind it for good
                total, squares = sum(kept), sum(one * one for one in kept)
    return sorted(alarms)


def olmo(rows: Sequence[Row], goal: str) -> list[int]:
    """OLMo-core: loss or gradient norm 6 standard deviations above the mean of the last 128."""
    return _z_score(rows, ("loss", "grad_norm"), 128, 6.0, 1.0 if goal == "min" else -1.0)


def wandb(rows: Sequence[Row], goal: str) -> list[int]:
    """W&B's z-score automation with its defaults, window 30 and threshold 3.0, on the loss."""
    return _z_score(rows, ("loss",), 30, 3.0, 1.0 if goal == "min" else -1.0)


PEERS: dict[str, Detector] = {
    "NaN check (Keras)": nan_check,
    "early stopping, patience 3 (Keras)": early_stopping,
    "spike detection (Lightning)": lightning,
    "6 sigma / 128 (OLMo-core)": olmo,
    "z-score 30 / 3.0 (W&B)": wandb,
}

"""Simulated nights in which something went wrong, on a real ledger in a real folder, for the windows to be tried on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

import simulated_nights
from secondshift.ledger.opening import open_ledger
from secondshift.records.studies import Budget, Launch, Policy
from simulated_nights import Night, acknowledging, raised, study

STEPS, ONSET = 1200, 500
GRANTED = ("retry_infrastructure", "pause", "stop_non_finite", "roll_back_skip", "roll_back_lower_rate")
FILE = 'command = "python train.py"\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 1200\n'


def shard(order) -> dict[str, np.ndarray]:
    """A bad shard in t1, which is gone once its steps are skipped."""
    return raised(order, steps=STEPS, onset=ONSET, skipped=True)


def for_good(order) -> dict[str, np.ndarray]:
    """Wrong labels in t1: nothing helps."""
    return raised(order, steps=STEPS, onset=ONSET, skipped=False)


def bad_night(place: Path, curve: Callable, *, may=GRANTED, answer_within_s: float = 1e6, mishaps=None) -> Night:
    """Begin a night on a curve in a folder that has a study file; directives are acknowledged as a script would."""
    (place / "secondshift.toml").write_text(FILE)
    folder = place / ".secondshift"
    (folder / "spool/tmp").mkdir(parents=True)
    question = study(
        horizon_steps=STEPS, budget=Budget(trials=2), policy=Policy(searcher="random", scheduler="fifo"), may=may,
        launch=Launch(slots=2, checkpoint_every_s=60), answer_within_s=answer_within_s,
    )  # fmt: skip
    before, simulated_nights.curve = simulated_nights.curve, curve
    try:
        night = Night(folder, question, slots=2, ledger=open_ledger(folder), mishaps=mishaps)
    finally:
        simulated_nights.curve = before
    acknowledging(night)
    night.engine.begin(simulated_nights.EVENING + 8 * 3600)
    return night


def asks(night: Night) -> bool:
    """Whether a person is asked something now."""
    return any(incident.question() for incident in night.engine.state.incidents.values())


def left(night: Night) -> Night:
    """The engine leaves, its shift still open, as for a window that looks at the folder."""
    night.ledger.release(night.engine.state.token)
    return night

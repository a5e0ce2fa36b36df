"""What this process was ordered to do: the attempt's order.json, or the defaults of a script that runs on its own."""

from __future__ import annotations

import json
import os

from secondshift.tracking import wire
from secondshift.tracking.directives import Directives

FOLDER_VARIABLE = "SECONDSHIFT_ATTEMPT"
UNTIL = "until"  # a file of one number, written by the supervisor when the engine lets the attempt go on


class OrderUnreadable(RuntimeError):
    """The attempt's order could not be read. Training with other parameters would be worse than not training."""


class Order:
    """The part of an order that concerns the script; the fields mean what `secondshift.records.orders.Order` says."""

    __slots__ = (
        "attempt", "checkpoint_every_s", "checkpoints", "directives", "eval_every_steps", "folder", "from_step",
        "horizon_steps", "keep_best", "keep_checkpoints", "keep_older", "objective", "params", "points", "private", "seed", "trial",
        "until_step",
    )  # fmt: skip

    def __init__(self, values: dict, folder: str) -> None:
        self.folder = folder  # of the attempt; empty outside a study
        own = os.path.join(folder, wire.PLACE)
        self.points = own if folder and os.path.isdir(own) else folder  # where its fragments go
        self.attempt = str(values.get("attempt", ""))
        self.trial = str(values.get("trial", ""))
        self.seed = int(values.get("seed", 0))
        self.params = dict(values.get("params", {}))
        self.horizon_steps = int(values.get("horizon_steps", 0))
        self.from_step = int(values.get("from_step", 0))
        self.until_step = int(values.get("until_step", 0)) or self.horizon_steps
        self.eval_every_steps = max(1, int(values.get("eval_every_steps", 1)))
        self.checkpoint_every_s = float(values.get("checkpoint_every_s", 60.0))
        self.keep_checkpoints = max(1, int(values.get("keep_checkpoints", 2)))
        self.directives = Directives(values.get("directives", {}))
        self.keep_older = max(0, int(values.get("keep_older", 0)))
        self.objective = str(values.get("objective", ""))
        self.keep_best = str(values.get("keep_best", ""))
        self.checkpoints = str(values.get("checkpoints", "")) or (os.path.join(folder, "checkpoints") if folder else "")
        self.private = os.path.dirname(os.path.dirname(folder)) if folder else ""  # the study's private folder


def read_order() -> Order:
    """Read the order of the attempt that this process is part of; defaults outside a study. Raises OrderUnreadable."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        return Order({}, "")
    path = os.path.join(folder, "order.json")
    try:
        with open(path, "rb") as file:
            return Order(json.load(file), os.path.abspath(folder))
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise OrderUnreadable(
            f"{FOLDER_VARIABLE} is set, but {path} could not be used ({type(problem).__name__}: {problem}). Expected "
            f"the order that secondshift wrote there. Unset {FOLDER_VARIABLE} to run this script on its own."
        ) from problem


def newer_until_step(order: Order) -> int:
    """Return the step until which the attempt may run by now: a grant may have been extended since it began."""
    try:
        with open(os.path.join(order.folder, UNTIL), "rb") as file:
            return max(order.until_step, int(file.read(40)))
    except (OSError, ValueError):
        return order.until_step  # nobody extended it

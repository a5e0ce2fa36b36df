"""What a trial's model is made of, layer by layer, with the newest statistics of each: the structure view."""

from collections.abc import Iterable
from typing import Any

from secondshift.records.events import Event, ModelDescribed
from secondshift.records.incidents import LAYER_KINDS
from secondshift.records.trials import Trial

PREFIX = "layer/"


def structure(trial: Trial, events: Iterable[Event]) -> list[dict[str, Any]]:
    """A row for each layer, in the order of the model; those that only statistics are known of come last.

    `events`: the trial's. Empty where the script neither described its model nor recorded layers.
    """
    told = [event.payload for event in events if isinstance(event.payload, ModelDescribed)]
    newest = told[-1].layers if told else ()
    rows = {
        one.name: {
            "name": one.name, "kind": one.kind, "parameters": one.parameters,
            "shapes": {name: list(shape) for name, shape in one.shapes.items()}, "statistics": {},
        }
        for one in newest
    }  # fmt: skip
    for metric, summary in trial.metrics.items():
        name, _, kind = metric.removeprefix(PREFIX).rpartition("/")
        if metric.startswith(PREFIX) and name and kind in LAYER_KINDS:
            row = rows.setdefault(name, {"name": name, "kind": "", "parameters": None, "shapes": {}, "statistics": {}})
            row["statistics"][kind] = {"last": summary.last, "step": summary.last_step}
    return list(rows.values())

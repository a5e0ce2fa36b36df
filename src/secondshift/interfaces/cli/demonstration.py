"""The verb `demo`: one small real night before a visitor's eyes."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.interfaces.demo.night import demo as play


def demo(
    *,
    seed: Annotated[int, Parameter(help="Another seed gives other numbers.")] = 0,
    folder: Annotated[
        Path | None, Parameter(help="Where to leave the two studies; left out: a new temporary folder.")
    ] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """See one small real night on this machine, in under three minutes: real training, a crash, a kill, a dead engine, a brief."""
    return play(seed=seed, folder=folder, json=json)

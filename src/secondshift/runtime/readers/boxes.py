"""Tables that are drawn anew for each step, a name and its number in a row, as Stable-Baselines3 prints them.

The step stands in a row of its own, often the last, so that a whole box is one record.
"""

import re
from typing import NamedTuple

from secondshift.runtime.readers.numbers import number

MOST_ROWS = 1000
_ROW = re.compile(r"\|\s{0,100}(?P<name>[^\W\d][\w./@%-]{0,99})\s{0,100}\|\s{0,100}(?P<value>[^|\s]{0,100})\s{0,100}\|")


class Box(NamedTuple):
    """The rows of a box so far. It begins with the name of a group: `| rollout/ |   |`."""

    group: str  # with its stroke: "rollout/"
    items: tuple[tuple[str, float], ...] = ()


def grown(box: Box | None, text: str) -> Box | None:
    """Take a line into a box, or into a new one; None if it belongs to none."""
    found = _ROW.fullmatch(text)
    if found is None:
        return None
    name, value = found["name"], found["value"]
    if name.endswith("/") and not value:
        return Box(group=name, items=box.items if box else ())
    if box is None:
        return None
    read = number(value)
    if read is None or len(box.items) >= MOST_ROWS:
        return box
    return box._replace(items=(*box.items, (box.group + name, read)))

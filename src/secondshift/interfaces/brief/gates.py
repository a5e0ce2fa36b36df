"""What the gate said, what was accepted or released against it, and how often the sealed test was opened."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.gates import gate_story, openings
from secondshift.records.nights import Statement

MOST = 20  # told one by one, the newest


def gates(night: Trace) -> Iterable[Statement]:
    """The lines of a brief on the gate, over all nights so far: what the sealed test said is not among them."""
    yield from gate_story(night.gates, sealed_values=False)[-MOST:]
    yield from openings(night.gates)

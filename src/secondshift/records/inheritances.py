"""What a trial can begin from that is not its own."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Inheritance:
    """Where a trial begins that does not begin at the first step: at another trial's checkpoint."""

    trial: str = ""  # whose; empty: it inherits nothing
    step: int = 0  # number of steps done in that checkpoint
    digest: str = ""  # of the checkpoint as it was recorded; what is copied must have it


NOTHING = Inheritance()

"""What was found out about a change of code before anything was trained with it."""

from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "",
    "refused",  # it touches what is protected, or leads out of the tree
    "unusable",  # it does not apply to the code that it is made on, or changes nothing
    "check failed",  # the quick check of the study ended with another exit code than 0
    "check timed out",
    "the same",  # it leaves the same program as one that is there already
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """What a change makes of the study's files, whatever way it is written."""

    digest: str = ""  # the same for changes that leave the same programs; empty: nothing but comments, layout or names
    files: tuple[str, ...] = ()  # that it leaves otherwise, sorted
    sketch: tuple[int, ...] = ()  # smallest hashes of the statements that were added or taken away, ascending
    statements: int = 0  # so many were


UNCHANGED = Likeness()


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """A change on the code that it is made on, looked at once."""

    code: str  # as a candidate of it would have: digests of changes, joined by +
    fault: Fault = ""
    detail: str = ""  # why, for people and for whoever is to mend it
    likeness: Likeness = UNCHANGED  # against the study's working tree
    elapsed_s: float = 0.0

    def usable(self) -> bool:
        """Say whether it may become a candidate."""
        return not self.fault

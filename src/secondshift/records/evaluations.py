"""What the study's own evaluator said of the artefact that a trial left."""

import math
from dataclasses import dataclass
from typing import Literal

# void: not the trial's doing, or not to be known; what it left is then worth nothing rather than worst.
Problem = Literal[
    "", "no artefact", "altered", "link", "another seed", "past the horizon", "crash", "timeout", "no metric", "not finite",
    "void: evaluator changed", "void: cannot run",
]  # fmt: skip

KeptBy = Literal["", "landlock", "bubblewrap"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One artefact, judged by our own process. For a code candidate, and the baseline beside it, the only number that counts."""

    trial: str
    value: float = math.nan  # of the objective's metric, in its own unit; nan: there is none, and `problem` says why
    reported: float = math.nan  # what the trial's own process had printed or logged of it
    problem: Problem = ""
    said: str = ""  # the evaluator's last words where it came to a number: what the next brief of an agent is told
    detail: str = ""  # the evaluator's last words where it did not, or what was wrong with the artefact
    artefact: str = ""  # digest over the files of it and their names; the same bytes have the same
    evaluator: str = ""  # digest of the evaluator's command, the files it names and the protected ones
    confined: bool = False  # the trial's process could write nowhere but to what is its own
    kept_by: KeptBy = ""  # what saw to that in every attempt; empty: nothing, or nobody wrote it down
    elapsed_s: float = 0.0

    def void(self) -> bool:
        """Say whether nothing can be concluded from it, not even that the artefact is bad."""
        return self.problem.startswith("void")

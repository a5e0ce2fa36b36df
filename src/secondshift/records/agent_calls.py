"""Calls of a coding agent: an idea in words goes out, and what the call leaves in its workspace comes back."""

from dataclasses import dataclass
from typing import Literal

# What a call came to. Only "changed" brings something to run.
CallEnding = Literal[
    "changed",  # the workspace differs, by nothing that is protected
    "no change",  # it ended by itself and left everything as it was
    "refused",  # what it changed is protected, or leads out of the workspace
    "asked",  # it wrote a question, or ended with one, and changed nothing
    "crashed",  # it ended with another exit code than 0 and changed nothing, or could not be started
    "timed out",  # it was ended at its time limit
    "over budget",  # it was ended because it reported to have cost more than was set aside for it
    "spammed",  # it was ended because it wrote more output, or more files, than it may
    "unreachable",  # the endpoint of the model gave no answer: limits, overload, no key, no network
    "unusable",  # what it left cannot be made a change: too large, a submodule, nothing that git could compare
    "cancelled",  # it was ended because the shift did
    "lost",  # whoever watched over it was killed: what it did is not known
]
CLEAN_FAULTS: tuple[CallEnding, ...] = ("cancelled", "lost", "unreachable")  # nobody's doing: the idea gets another call for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a search for programs asks of a call; without a parent the call is for an idea."""

    parent: str = ""  # the candidate whose program is to be made better
    beside: tuple[str, ...] = ()  # candidates that are shown with it
    crossed: bool = False  # what is good in the first of them is to be brought together with the parent
    island: int = 0  # of the population, on which the result is to live


FOR_AN_IDEA = Task()


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentCall:
    """One call of the agent, for an idea or for a search. Its cost is reserved when it is ordered and settled when it ends."""

    id: str = ""  # call-1, call-2, ...: in the order in which they were ordered, over all nights; given by arbitrate
    idea: str = ""  # empty: it is for the search
    task: Task = FOR_AN_IDEA  # what the search asks for
    number: int = 1  # which call for this idea it is
    repairs: str = ""  # the call whose error it is told, so that it can be mended; empty: the first try
    reserved_usd: float = 0.0  # set aside for it; 0 with a subscription
    timeout_s: float = 0.0
    baseline: str = ""  # the candidate on whose code it works; empty: the study's working tree
    token: int = 0  # of the lease under which it was ordered
    ordered_at: float = 0.0  # UTC seconds of the study clock
    ending: CallEnding | Literal[""] = ""  # empty: it goes on, or has not begun
    usd: float = 0.0  # what it is settled at
    assumed: bool = False  # nobody saw what it cost: it is settled at all that was set aside
    change: str = ""  # digest of the change that it left
    detail: str = ""  # a sentence: why it came to nothing; the question; its last words
    elapsed_s: float = 0.0  # of the agent's own process
    overhead_s: float = 0.0  # what we took around it: making the workspace, reading what it left
    output_bytes: int = 0
    input_tokens: int = 0  # that the model was sent; as the endpoint counted them, or as the agent reports
    output_tokens: int = 0  # that it wrote
    requests: int = 0  # to the endpoint, failed ones too
    estimated: bool = False  # of some request no count came back: it is taken at its most
    unenforced: tuple[str, ...] = ()  # what of its confinement nothing on this machine enforced

    def open(self) -> bool:
        """Say whether it has not ended."""
        return not self.ending

    def counts(self) -> bool:
        """Say whether it was a try of the idea: one that we ended ourselves, or lost, says nothing of it."""
        return self.ending not in CLEAN_FAULTS

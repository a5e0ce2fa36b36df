"""Ideas, and what fresh seeds say of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Value = bool | int | float | str  # as in records.studies
IdeaState = Literal["open", "exploring", "held up", "refuted", "undecided", "refused"]
Ending = Literal[
    "", "better", "too small", "no better", "worse", "crashes more", "unsettled", "unprotected metric", "same for every seed",
    "same number each time", "more time", "breaks a guard", "guard not checked",
]  # fmt: skip
Canary = Literal["", "no-op", "constant", "metric"]
SET = "set."  # before the name of a parameter in the arguments of a request
FEW_PAIRS = 5  # of fewer nobody can say what settling an idea would cost
MANY_PAIRS = 500  # more than this are not counted any more
CONFIRM_SEED = 1_000_003  # fresh seeds are counted from the study's seed plus this: no search uses them


@dataclass(frozen=True, kw_only=True, slots=True)
class Idea:
    """Something to try, by a person, a sampler or an agent. Every idea gets an answer."""

    id: str  # e1, e2, ...: in the order in which they came, over all nights
    text: str
    author: str
    state: IdeaState = "open"
    why: str = ""  # in the author's words, why it should help
    answer: str = ""  # why it has this state, or why not yet
    params: Mapping[str, Value] = field(default_factory=dict)  # what it changes of the baseline
    change: str = ""  # digest of a patch or branch; empty: parameters alone
    canary: Canary = ""  # what it must not win by; empty: it is no canary
    also: tuple[str, ...] = ()  # authors who had the same idea later
    candidate: str = ""  # the candidate that it became
    baseline: str = ""  # the candidate it is judged against
    rank: int = 0  # which comparison of the study it is, from 1, over all nights; begun anew, it is another one; 0 of a canary
    first_pair: int = 0  # fresh seeds before this one were run before it came: they say nothing of it
    revision: int = 1  # of the study in which it came
    captured_at: float = 0.0  # UTC seconds, by the author's clock
    request: str = ""  # the id of the request it came with

    def number(self) -> int:
        """Which idea of the study it is, from 1."""
        return int(self.id.removeprefix("e"))

    def ready(self) -> bool:
        """Say whether there is something to run, and not words alone."""
        return bool(self.params or self.change or self.candidate)

    def settled(self) -> bool:
        """Say whether no more seeds are spent on it."""
        return self.state in ("held up", "refuted", "refused")


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeBranch:
    """The branch of the study's repository that holds the change of an idea, ready to be looked at and merged."""

    idea: str
    candidate: str  # whose files it holds
    name: str = ""  # secondshift/e3; empty: it could not be made
    commit: str = ""
    problem: str = ""  # why it could not be made


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Candidate against baseline on fresh, paired seeds. Effects are in the metric's own unit, and positive is better."""

    idea: str
    candidate: str
    baseline: str
    decision: Literal["supported", "refuted", "undecided"]
    ending: Ending = "unsettled"
    reason: str = ""  # a sentence
    pairs: int = 0  # that count
    effect: float = math.nan  # the middle of the paired differences
    low: float = -math.inf  # 95 % interval that holds at all times at once
    high: float = math.inf
    log_evidence: float = 0.0  # natural log of the e-value that it is better at all
    level: float = 0.05  # of error that it may spend; it holds up when the e-value passes 1 / level
    crashed: int = 0  # of the candidate's runs; each counts as worse than any result
    baseline_crashed: int = 0
    void: int = 0  # pairs that do not count: assisted, interrupted too often, or not comparable
    pairing: float = math.nan  # variance of unpaired differences over that of paired ones: above 1, pairing helped
    pairs_left: float = math.inf  # estimate of what it needs to be settled
    device_s_left: float = math.inf  # what that would cost
    guard: str = ""  # the one that its runs break, or of which they say nothing that counts
    guard_value: float = math.nan  # the worst that its runs showed
    guard_runs: int = 0  # in how many pairs it breaks it
    guard_baseline: int = 0  # in how many the baseline does

    def neither(self) -> bool:
        """Say whether no run came to a result, of the candidate or of the baseline: then nothing is known, and more seeds tell
        nothing either."""
        return 0 < self.pairs == self.crashed == self.baseline_crashed

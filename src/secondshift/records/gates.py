"""The gate: what a study demands of an artefact before it moves the baseline or is released, and what was measured of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["candidate", "baseline"]
Verdict = Literal["pass", "block", "insufficient"]  # never "safe": a suite says nothing of what it does not ask
LEAST_REPEATS = 3  # fewer say nothing of how far measurements lie apart

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RULE = re.compile(
    rf"\s*(?P<metric>\S+)\s*(?P<sign><=|>=)\s*"
    rf"(?:(?P<bound>{_NUMBER})|baseline(?:\s*(?P<way>[-+])\s*(?P<margin>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+))?)\s*"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a check, taken apart: "acc/slice_* >= baseline - 0.02"."""

    metric: str  # a name as the check prints it, or a pattern with * for several
    at_least: bool  # >=; otherwise <=
    bound: float  # of the candidate's value, or of candidate less baseline
    relative: bool  # to the baseline


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one run of a check came to."""

    check: str
    side: Side
    repeat: int  # from 0
    metrics: Mapping[str, float] = field(default_factory=dict)  # the last value of each
    failed: str = ""  # why it came to nothing
    took_s: float = 0.0
    artefact: str = ""  # digest of what was measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One metric under one rule."""

    check: str
    rule: str
    metric: str
    verdict: Verdict
    reason: str
    before: float = math.nan  # mean of the baseline
    after: float = math.nan  # mean of the candidate
    low: float = math.nan  # 95 % interval of what is judged: the candidate's value, or candidate less baseline
    high: float = math.nan
    repeats: int = 0  # of the candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRun:
    """One run of a suite: what it is about, what was measured so far, and the judgement once there is one."""

    id: str  # gate-1, gate-2, ...
    idea: str
    candidate: str
    baseline: str
    trial: str  # whose artefact is measured; empty: there is none
    baseline_trial: str
    commands: Mapping[str, tuple[str, ...]]  # of each check of the suite, as it stood
    rules: Mapping[str, tuple[str, ...]]  # of each check
    repeats: int
    timeout_s: float = 600.0
    request: str = ""  # the one it was made for
    results: tuple[Measured, ...] = ()
    verdict: Verdict | Literal[""] = ""  # empty: not judged yet
    reason: str = ""
    rows: tuple[Row, ...] = ()

    def planned(self) -> tuple[tuple[str, Side, int], ...]:
        """Every run of a check that belongs to it, in order: repeats of both sides by turns, so that drift hits both."""
        known: tuple[tuple[Side, str], ...] = (("baseline", self.baseline_trial), ("candidate", self.trial))
        if not self.trial:
            return ()
        return tuple((check, side, k) for check in self.commands for k in range(self.repeats) for side, trial in known if trial)

    def measured(self) -> set[tuple[str, Side, int]]:
        """Those of them that have a result."""
        return {(one.check, one.side, one.repeat) for one in self.results}

    def artefact(self, side: Side = "candidate") -> str:
        """The digest of what was measured; empty if it is not known or changed on the way."""
        seen = {one.artefact for one in self.results if one.side == side}
        return seen.pop() if len(seen) == 1 else ""

    def unaltered(self) -> bool:
        """Say whether each side that was measured was one and the same artefact all the time."""
        sides: set[Side] = {one.side for one in self.results}
        return all(self.artefact(side) for side in sides)

    def broken(self) -> bool:
        """Say whether a run of a check came to nothing: then the suite may be run again."""
        return not self.trial or not self.baseline_trial or any(one.failed for one in self.results)


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """One release of an artefact."""

    id: str  # promotion-1, promotion-2, ...
    idea: str
    candidate: str
    trial: str  # whose artefact it is
    gate: str = ""  # the run of the suite; empty: the study names none
    digest: str = ""  # of what the gate measured; only that is released
    verdict: str = ""  # of the gate
    who: str = ""
    because: str = ""  # why it is released against the evidence or the gate
    to: str = ""  # the folder that is asked for; empty: promoted/<idea> beside the study file
    request: str = ""
    outcome: Literal["", "released", "failed"] = ""
    place: str = ""  # where it lies, or why it failed


def names(pattern: str, metric: str) -> bool:
    """Say whether a rule's pattern stands for a metric: * for any letters, everything else for itself."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), metric))


def rule_of(text: str) -> Rule | None:
    """Take a rule apart; None where it is none."""
    found = _RULE.fullmatch(text)
    if found is None:
        return None
    relative = found["bound"] is None
    margin = float(found["margin"] or 0.0) * (-1.0 if found["way"] == "-" else 1.0)
    return Rule(
        metric=found["metric"], at_least=found["sign"] == ">=", relative=relative,
        bound=margin if relative else float(found["bound"]),
    )  # fmt: skip

"""Facts about ideas: what came in, what became of it, and what the baseline is."""

from dataclasses import dataclass

from secondshift.records.evaluations import Evaluation
from secondshift.records.examinations import Examination
from secondshift.records.ideas import CodeBranch, Idea, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class IdeaCaptured:
    """An idea came in."""

    idea: Idea
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IdeaAmended:
    """More is known about an idea, or its state changed: the whole of it as it now stands."""

    idea: Idea
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictReached:
    """What the fresh seeds so far say of an idea; a later one of the same idea replaces it."""

    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEvaluated:
    """The study's own evaluator judged what a trial left; a trial is judged once."""

    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeExamined:
    """A change of code was tried on the code that it is made on, and checked, before anything was trained with it."""

    examination: Examination


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeBranched:
    """The change of an idea that held up, or was accepted, is a branch of the study's repository; or why it is none."""

    branch: CodeBranch


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineMoved:
    """From now on ideas are judged against this candidate."""

    candidate: str
    why: str
    idea: str = ""  # that was accepted; empty: the study's own defaults
    who: str = ""
    decision: str = ""
    gate: str = ""  # the run of the suite that it went through; empty: the study names none
    because: str = ""  # why it was accepted against the evidence or the gate; empty: neither spoke against it

"""What keeps a code idea from holding up though its numbers look better: numbers of its own making, runs unlike others."""

from collections.abc import Sequence
from statistics import median

from secondshift.policies.evidence.pairing import trial_of
from secondshift.records.evaluations import Evaluation
from secondshift.records.ideas import Ending, Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial

LEAST = 3  # pairs before anything is said of seeds
LONGER, LONGER_S = 1.5, 1.0  # times the baseline's device time, and device-seconds more than it, that are another comparison

Side = list[tuple[Trial, Evaluation]]  # runs with what the evaluator said of each


def reservation(state: State, idea: Idea) -> Ending:
    """Name what keeps an idea that looks better from holding up; "" if nothing does, and for one that no evaluator judges."""
    if not state.judged(idea):
        return "unprotected metric" if idea.change else ""
    ours, theirs = _sides(state, idea)
    if idea.change and not all(evaluation.confined for _, evaluation in ours):
        return "unprotected metric"
    if _seedless([found for _, found in ours], [found for _, found in theirs]):
        return "same for every seed"
    if idea.change and ours and _longer([trial for trial, _ in ours], [trial for trial, _ in theirs]):
        return "more time"
    return "same number each time" if _one_number(ours, theirs) else ""


def deterministic(state: State, idea: Idea) -> bool:
    """Say whether each run of an idea left the same, and each of the baseline too, and the evaluator said the same of them.

    Then there is no luck that more seeds could rule out.
    """
    if not state.judged(idea):
        return False
    sides = _sides(state, idea)
    return _one_number(*sides) and all(len({found.artefact for _, found in side}) == 1 for side in sides)


def _one_number(*sides: Side) -> bool:
    return all(len(side) >= LEAST and len({found.value for _, found in side}) == 1 for side in sides)


def _sides(state: State, idea: Idea) -> tuple[Side, Side]:
    """The judged runs of an idea and of its baseline, in pairs that count."""
    pairs = [pair for pair in _judged_pairs(state, idea) if not (pair[0][1].void() or pair[1][1].void())]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _judged_pairs(state: State, idea: Idea) -> list[tuple[tuple[Trial, Evaluation], tuple[Trial, Evaluation]]]:
    found = []
    for pair in range(idea.first_pair, state.next_pair):
        one, other = trial_of(state, idea.candidate, pair), trial_of(state, idea.baseline, pair)
        if one is not None and other is not None and {one.id, other.id} <= state.evaluations.keys():
            found.append(((one, state.evaluations[one.id]), (other, state.evaluations[other.id])))
    return found


def _seedless(ours: Sequence[Evaluation], theirs: Sequence[Evaluation]) -> bool:
    """Say whether several seeds gave the candidate one and the same result, where they give the baseline different ones.

    Then it is one run, however often it is repeated, and says nothing of other seeds.
    """
    if len(ours) < LEAST:
        return False
    bytes_alike = len({e.artefact for e in ours}) == 1 and len({e.artefact for e in theirs}) > 1
    values_alike = len({e.value for e in ours}) == 1 and len({e.value for e in theirs}) == len(theirs)
    return bytes_alike or values_alike


def _longer(ours: Sequence[Trial], theirs: Sequence[Trial]) -> bool:
    """Say whether the candidate's runs take so much longer that more training alone may be what helped."""
    mine, other = median(t.device_s for t in ours), median(t.device_s for t in theirs)
    return mine > LONGER * other and mine > other + LONGER_S

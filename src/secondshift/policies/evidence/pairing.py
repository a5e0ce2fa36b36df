"""The pairs of an idea: its candidate and the baseline with the same fresh seed, and what each difference is."""

import math
from dataclasses import dataclass

import numpy as np

from secondshift.records.fingerprints import comparable
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial

WORST = math.inf  # the loss of a run that came to no result


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """What counts so far, in the order of the seeds: nothing after the first pair that is not finished."""

    candidate: tuple[float, ...] = ()  # losses: smaller is better, inf is a run without a result
    baseline: tuple[float, ...] = ()
    void: int = 0  # finished pairs that do not count
    crashed: int = 0
    baseline_crashed: int = 0

    def differences(self) -> np.ndarray:
        """By how much the candidate is better in each pair (float64[pairs]); 0 where neither came to a result."""
        ours, theirs = np.array(self.candidate), np.array(self.baseline)
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(ours) & np.isinf(theirs), 0.0, theirs - ours)

    def crash_differences(self) -> np.ndarray:
        """1 for each pair in which only the candidate came to no result, -1 where only the baseline did, else 0."""
        return np.isinf(self.candidate).astype(float) - np.isinf(self.baseline).astype(float)

    def gain_of_pairing(self) -> float:
        """Variance of differences without pairing over that with it, measured; nan below four pairs with results."""
        ours, theirs = np.array(self.candidate), np.array(self.baseline)
        both = np.isfinite(ours) & np.isfinite(theirs)
        if both.sum() < 4:
            return math.nan
        apart = float(np.var(ours[both], ddof=1) + np.var(theirs[both], ddof=1))
        paired = float(np.var(theirs[both] - ours[both], ddof=1))
        return apart / paired if paired > 0.0 else math.nan if apart == 0.0 else math.inf


def pairs_of(state: State, idea: Idea) -> Pairs:
    """Collect the pairs of an idea that are finished, up to the first that is not.

    Only a prefix counts: which runs end first may have to do with how they end.
    """
    ours: list[float] = []
    theirs: list[float] = []
    void = 0
    for pair in range(idea.first_pair, state.next_pair):
        one, other = trial_of(state, idea.candidate, pair), trial_of(state, idea.baseline, pair)
        if one is None or other is None or one.open() or other.open():
            break
        if state.judged(idea):
            if state.awaits_evaluation(one.id) or state.awaits_evaluation(other.id):
                break
            losses = _judged_loss(state, one, other), _result(_judged_loss(state, other, other))
        else:
            losses = _loss(state, one), _loss(state, other)
        if None in losses or not comparable(one, other, state.fingerprints):
            void += 1
            continue
        ours.append(losses[0] if losses[0] is not None else WORST)
        theirs.append(losses[1] if losses[1] is not None else WORST)
    return Pairs(
        candidate=tuple(ours), baseline=tuple(theirs), void=void, crashed=sum(map(math.isinf, ours)),
        baseline_crashed=sum(map(math.isinf, theirs)),
    )  # fmt: skip


def trial_of(state: State, candidate: str, pair: int) -> Trial | None:
    """The trial of a candidate with a fresh seed, if it was ever queued."""
    name = state.pairs.get(f"{candidate}/{pair}")
    return state.trials[name] if name is not None else None


def _loss(state: State, trial: Trial) -> float | None:
    """The loss of a trial that has ended; WORST if it came to no result by itself; None if a person stopped it.

    A trial that needed help (assisted) came to no result by itself: its number counts nowhere, and neither does leaving
    it out, which would make a candidate look better the more often it fails.
    """
    assert state.study is not None, "there are no pairs without a study"
    value = trial.objective(state.study.objective)
    if trial.status == "complete" and trial.unaided() and value is not None and math.isfinite(value):
        return state.study.objective.loss(value)
    diverged = value is not None and not math.isfinite(value)
    return None if trial.status == "stopped" and trial.unaided() and not diverged else WORST


def _judged_loss(state: State, trial: Trial, baseline: Trial) -> float | None:
    """The loss of a trial by what the study's evaluator says of its artefact; what its own process says counts nowhere.

    But for its steps: one that logs more than the horizon and than the baseline has trained past it, and is another run.
    Some scripts count steps from 1.
    """
    assert state.study is not None, "there are no pairs without a study"
    if trial.logged_step > max(state.study.horizon_steps, baseline.logged_step):
        return WORST
    found = state.evaluations.get(trial.id)
    if found is None or trial.status != "complete" or not trial.unaided() or trial.overran:
        return None if trial.status == "stopped" and trial.unaided() else WORST
    if found.void():
        return None
    return state.study.objective.loss(found.value) if math.isfinite(found.value) else WORST


def _result(loss: float | None) -> float | None:
    """What a baseline's loss counts for beside a code candidate, which must not gain by what befalls the baseline: a
    baseline without a result makes the pair void. That can only make the candidate look worse than it is."""
    return None if loss == WORST else loss

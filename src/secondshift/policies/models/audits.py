"""What audits tell: how often a forecast held, what stopping cost, and how much wider the scheduler's forecasts must be.

Each draw stands for all trials that were given up when it was made. A trial that was drawn with probability p out of n counts
1 / (n p) times, which is once on average whatever the probabilities are (Horvitz and Thompson 1952); means are divided by the
sum of these weights (Hajek 1971), so that they lie between the values they are made from. See docs/search/audit.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.standings import reached
from secondshift.records.forecasts import COVERED, Audit, Forecast
from secondshift.records.guards import breaks
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

OUTLOOK = "outlook"  # names forecasts of the scheduler's own
EVEN = 0.5  # share of the probability that is the same for all; the rest goes by the chance to beat the best
TAIL = 1.2815515655446004  # deviations on either side of a normal mean that hold COVERED
PRETENDED = 8.0  # errors that were as wide as said, counted beside those that were seen
WIDEST = 3.0
QUARTER = 0.25  # of the horizon: of a trial that came to its end by itself, its first forecast from there on counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Reckoning:
    """What is known of the trials that were given up, from those that were audited, and of forecasts of all trials."""

    drawn: int  # audits begun
    ended: int  # those that came to their end, diverged ones included
    better: int  # of them, those that ended better than all others
    given_up: int  # trials that were given up when the newest of them was drawn, those drawn before included
    regret: float  # weighted mean over those that ended, in the metric's own unit; NaN without any
    held: float  # weighted share of forecasts at the draw that held; NaN without any
    tested: int  # audits with such a forecast that ended
    own_held: float  # share of forecasts that held, of trials that came to their end by themselves; NaN without any
    own_tested: int
    coverage: float  # of both kinds together, each by how many trials it stands for; NaN where one of them is not known
    widened: float  # factor on the deviations that the scheduler believes in


def reckoning(state: State) -> Reckoning:
    """Add up what the audits of the current revision say so far."""
    ours = [one for one in state.audits.values() if state.study is not None and one.revision == state.study.revision]
    over = [one for one in ours if one.outcome in ("ended", "diverged")]
    tested = [one for one in over if one.held() is not None]
    held = hajek([float(bool(one.held())) for one in tested], tested)
    own = _own_held(state)
    given_up = over[-1].population + sum(one.number < over[-1].number for one in ours) if over else 0
    own_held = sum(own) / len(own) if own else math.nan
    coverage = (given_up * held + len(own) * own_held) / (given_up + len(own)) if tested and own else math.nan
    return Reckoning(
        drawn=len(ours), ended=len(over), better=sum(one.regret > 0 for one in over), given_up=given_up,
        regret=hajek([one.regret for one in over], over), held=held, tested=len(tested),
        own_held=own_held, own_tested=len(own), coverage=coverage, widened=widening(state),
    )  # fmt: skip


def hajek(values: Sequence[float], audits: Sequence[Audit]) -> float:
    """The weighted mean of what was seen at each audit; NaN without any."""
    weights = [one.weight() for one in audits]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights) if weights else math.nan


def probabilities(chances: Sequence[float]) -> np.ndarray:
    """The probability to be drawn, of each that was given up: half even, half by its chance to beat the best (NaN: none known)."""
    known = np.nan_to_num(np.array(chances, dtype=float), nan=0.0)
    even = np.full(len(known), 1.0 / len(known))
    mixed = EVEN * even + (1 - EVEN) * known / known.sum() if known.sum() > 0 else even
    return mixed / mixed.sum()


def widening(state: State) -> float:
    """By how much the deviations of the scheduler's own forecasts are to be widened, from the errors of those that were audited.

    So that COVERED of the errors seen lie within as many deviations as the normal distribution has it; PRETENDED errors
    that were as wide as said count beside them. At least 1: too few are seen to say that it is surer than it thinks.
    """
    if not state.audits or state.study is None:
        return 1.0
    found = [(abs(error(one)), one.weight()) for one in state.audits.values() if _tells(state.study, one)]
    if not found:
        return 1.0
    errors, weights = (np.array(column) for column in zip(*sorted(found), strict=True))
    at = int(np.searchsorted(np.cumsum(weights), COVERED * weights.sum() - 1e-12))
    raw = min(WIDEST, float(errors[min(at, len(errors) - 1)]) / TAIL)
    return max(1.0, min(WIDEST, (PRETENDED + len(errors) * raw) / (PRETENDED + len(errors))))


def _tells(study: Study, one: Audit) -> bool:
    ours = one.forecast is not None and one.forecast.by == OUTLOOK and not one.forecast.abstains
    return ours and one.revision == study.revision and one.outcome in ("ended", "diverged")


def error(one: Audit) -> float:
    """By how many deviations, as they were before they were widened, an audited trial ended away from its forecast."""
    said = one.forecast
    if said is None or one.held() is None:
        return 0.0
    if one.outcome == "diverged":
        return 0.0 if one.held() else math.inf
    away = one.value - said.middle
    side = said.high - said.middle if away > 0 else said.middle - said.low
    if away == 0 or math.isinf(side):
        return 0.0
    return one.widened * TAIL * away / side if side > 0 else math.copysign(math.inf, away)


def _own_held(state: State) -> list[bool]:
    """Whether the forecasts of trials held that came to their end without an audit."""
    study, found = state.study, list[bool]()
    if study is None:
        return found
    for name, made in state.forecasts.items():
        trial, said = state.trials[name], first_forecast(study, made)
        value = trial.objective(study.objective)
        if trial.revision != study.revision or trial.status != "complete" or not trial.unaided() or name in state.audits:
            continue
        if said is not None and value is not None:
            found.append(said.holds(value))
    return found


def first_forecast(study: Study, made: Sequence[Forecast]) -> Forecast | None:
    """The first forecast from a quarter of the way on that does not abstain."""
    return next((one for one in made if one.step >= QUARTER * study.horizon_steps and not one.abstains), None)


def training_s(state: State, study: Study) -> float:
    """Device-seconds of a full training: what complete ones took, else the horizon at the pace of all steps; 0 if not known."""
    searched = [trial for trial in state.trials.values() if trial.pair < 0 and trial.revision == study.revision]
    full = [t.device_s for t in searched if t.status == "complete" and not t.stopped() and t.unaided() and t.device_s > 0]
    if full:
        return float(np.median(full))
    steps = sum(reached(trial) for trial in searched if trial.device_s > 0)
    return study.horizon_steps * sum(trial.device_s for trial in searched) / steps if steps else 0.0


def searched_s(state: State) -> float:
    """Device-seconds that went into the search so far, fresh seeds left out, running attempts included."""
    going = sum(_elapsed(state, name) for name in (a.trial for a in state.attempts.values()) if state.trials[name].pair < 0)
    return state.spend.settled_device_s - state.spend.confirm_device_s + going


def audited_s(state: State) -> float:
    """Device-seconds that audits cost so far: what their trials took since they were drawn."""
    every = state.audits.values()
    return sum(state.trials[one.trial].device_s - one.spent_s + _elapsed(state, one.trial) for one in every)


def _elapsed(state: State, trial: str) -> float:
    attempt = state.attempt_of(trial)
    return max(0.0, state.now_s - attempt.started_at) if attempt is not None and attempt.started_at else 0.0


def best_of_others(state: State, study: Study, trial: str) -> float:
    """The best value that any other trial has come to, at its end or where it waits, in its own unit; NaN without any."""
    others = [t for t in state.trials.values() if _comparable(study, t) and t.id != trial]
    values = [t.objective(study.objective) for t in others]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return min(finite, key=study.objective.loss) if finite else math.nan


def _comparable(study: Study, trial: Trial) -> bool:
    return trial.revision == study.revision and trial.pair < 0 and trial.unaided() and not breaks(study.objective, trial)

"""Which parameters the ends of a study's trials depend on, without a shape assumed: what a forest predicts of held-out trials.

The share of a parameter is a total effect (T. Homma and A. Saltelli 1996): half the squared error that is added when its
values are exchanged between trials, of the variance of all ends. Parameters that act together are counted in each share.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from secondshift.policies.models.axes import encode, holds
from secondshift.policies.models.hindsight import Ends, ends
from secondshift.records.states import State
from secondshift.records.studies import Parameter, Value

FOLDS, TREES, EXCHANGES = 5, 48, 8
MOST_TRIALS = 400  # the newest ones
EXPLAINED = 0.1  # share of the variance that must be predictable before a parameter is named


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """How much of the differences between the ends each parameter is behind."""

    shares: tuple[tuple[str, float], ...]  # parameter and share from 0 to 1, the greatest first; empty: nothing can be told
    explained: float  # share of the variance of ends of held-out trials that is predicted; at most 1
    trials: int
    trained: int  # how many of them came to their end; the others count as their curves say


def importance(state: State) -> Importance | None:
    """Say which parameters matter; needs `State.curves`. None where too few trials have a curve."""
    found = ends(state)
    if found is None or state.study is None:
        return None
    parameters = state.study.space.parameters
    features = np.array([[_placed(p, _given(state, name, p)) for p in parameters] for name in found.trials])
    features = features.reshape(len(found.trials), len(parameters))
    return shares(tuple(p.name for p in parameters), features[-MOST_TRIALS:], found)


def shares(names: tuple[str, ...], features: np.ndarray, found: Ends) -> Importance:
    """Judge the columns of features [trials, parameters], -1 where a parameter was not active."""
    values = found.means[-len(features):]
    varied = [column for column in range(len(names)) if len(np.unique(features[:, column])) > 1]
    spread = float(np.sum((values - values.mean()) ** 2))
    whole = Importance(shares=(), explained=0.0, trials=len(features), trained=found.trained)
    if not varied or spread <= 0:
        return whole
    rng = np.random.default_rng(len(features))
    error, added = 0.0, np.zeros(len(names))
    for held_out in np.array_split(rng.permutation(len(features)), FOLDS):
        rest = np.setdiff1d(np.arange(len(features)), held_out)
        forest = ExtraTreesRegressor(n_estimators=TREES, min_samples_leaf=2, random_state=0).fit(features[rest], values[rest])
        plain = (forest.predict(features[held_out]) - values[held_out]) ** 2
        error += float(plain.sum())
        for column in varied:
            moved = np.repeat(features[held_out], EXCHANGES, axis=0)
            moved[:, column] = features[rng.integers(0, len(features), len(moved)), column]
            worse = (forest.predict(moved) - np.repeat(values[held_out], EXCHANGES)) ** 2
            added[column] += float(worse.sum()) / EXCHANGES - float(plain.sum())
    explained = 1.0 - error / spread
    if explained < EXPLAINED:
        return Importance(shares=(), explained=explained, trials=len(features), trained=found.trained)
    found_shares = [(names[column], float(np.clip(added[column] / (2 * spread), 0.0, 1.0))) for column in varied]
    ordered = tuple(sorted(found_shares, key=lambda pair: -pair[1]))
    return Importance(shares=ordered, explained=explained, trials=len(features), trained=found.trained)


def _given(state: State, name: str, parameter: Parameter) -> Value | None:
    trial = state.trials[name]
    proposed = state.candidates[trial.candidate].params
    if parameter.when and parameter.name not in proposed:
        return None  # it was not active
    return trial.params.get(parameter.name, proposed.get(parameter.name, parameter.default))


def _placed(parameter: Parameter, value: Value | None) -> float:
    return encode(parameter, value) if value is not None and holds(parameter, value) else -1.0

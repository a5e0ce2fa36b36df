"""What population-based training counts with: who founded the population, where it is compared, how a child differs.

M. Jaderberg, V. Dalibard, S. Osindero, W. M. Czarnecki, J. Donahue, A. Razavi, O. Vinyals, T. Green, I. Dunning,
K. Simonyan, C. Fernando, K. Kavukcuoglu: "Population Based Training of Neural Networks" (2017), arXiv:1711.09846.
"""

from collections.abc import Mapping

import numpy as np

from secondshift.policies.models.axes import decode, level, levels, spacing
from secondshift.policies.models.spaces import Region, active
from secondshift.records.states import State
from secondshift.records.studies import POPULATION, Parameter, Study, Value

SLICES = 10  # of the horizon, where the study does not say how long one is
FACTORS = (0.8, 1.25)  # by one of them a child's number differs from its parent's
REDRAWN = 0.25  # of the parameters are drawn anew instead
TRIES = 100  # children in a row that break a constraint or differ in nothing


def founders(state: State) -> int:
    """Count the trials of this revision that search and began at the first step."""
    revision = state.study.revision if state.study else 0
    return sum(t.revision == revision and t.pair < 0 and not t.inherited() for t in state.trials.values())


def founders_wanted(state: State) -> int | None:
    """Count the trials that the population still lacks; None where the study trains no population."""
    if state.study is None or state.study.policy.scheduler != POPULATION:
        return None
    return max(0, state.study.policy.population - founders(state))


def boundaries(study: Study) -> tuple[int, ...]:
    """Give the steps at which the population is compared, ascending, all below the horizon; none where nothing can pause."""
    if study.tier == "opaque":
        return ()
    length = study.policy.min_steps or max(1, study.horizon_steps // SLICES)
    return tuple(range(length, study.horizon_steps, length))


def child_of(ground: Region, params: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value] | None:
    """Change a parent's parameters so that no constraint breaks; None if that was not found."""
    for _ in range(TRIES):
        found = perturbed(ground, params, rng)
        if found != params and not ground.broken(found):
            return found
    return None


def perturbed(ground: Region, params: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
    """Multiply each number by one of FACTORS within its axis, or draw the parameter anew. A constraint may break.

    A category stays, if it is not drawn anew; what only now becomes active is drawn.
    """
    found: dict[str, Value] = {}
    for parameter in ground.parameters:
        u, factor, again = float(rng.random()), float(rng.choice(FACTORS)), float(rng.random()) < REDRAWN
        if not active(parameter, found):
            continue
        old = params.get(parameter.name)
        if old is None or again:
            found[parameter.name] = decode(parameter, u)
        elif parameter.kind == "categorical" or isinstance(old, str | bool):
            found[parameter.name] = old
        else:
            found[parameter.name] = scaled(parameter, old, factor)
    return found


def scaled(parameter: Parameter, old: float, factor: float) -> Value:
    """Multiply a number and keep it on its axis; on one with steps it moves by at least one of them, unless it is at the end."""
    value = min(max(old * factor, parameter.low), parameter.high)
    count = levels(parameter)
    if count is None:
        return float(value)
    index = round((value - parameter.low) / (spacing(parameter) or 1.0))
    index = min(max(index, 0), count - 1)
    if level(parameter, index) == old:
        index = min(max(index + (1 if old * factor > old else -1), 0), count - 1)
    return level(parameter, index)

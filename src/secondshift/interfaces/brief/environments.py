"""The flag on results of different environments: the brief never sets them side by side without it."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.environments import elsewhere, moved
from secondshift.interfaces.readmodel.objectives import names
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Trial


def other_environments(night: Trace, state: State, best: list[Trial]) -> Iterable[Statement]:
    """Name the trials that ran in another environment than the best one, by what differed. `best`: the best first."""
    differing: dict[str, list[Trial]] = {}
    for trial in best[1:]:
        if text := elsewhere(state, trial, best[0]):
            differing.setdefault(text, []).append(trial)
    for text, trials in differing.items():
        values = {"n": len(trials), "trials": names(trials), "leader": best[0].id, "difference": text}
        yield Statement(key="found.other_environment", values=values, facts=_starts(night, [best[0], *trials]))
    for trial in best:
        if text := moved(state, trial):
            values = {"trial": trial.id, "difference": text}
            yield Statement(key="found.moved", values=values, facts=_starts(night, [trial]))


def _starts(night: Trace, trials: list[Trial]) -> tuple[int, ...]:
    return tuple(sorted(seq for trial in trials for seq in night.trials[trial.id].started))

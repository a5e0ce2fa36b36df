"""Which runs the guards of a study bar from going on, and how the fresh seeds of an idea stand with them."""

from collections.abc import Iterator
from dataclasses import dataclass

from secondshift.records.guards import Breach, Guard, breaks, guards_of, standing
from secondshift.records.ideas import Idea
from secondshift.records.metricnames import of_machine
from secondshift.records.states import State
from secondshift.records.trials import Trial


def barred(state: State, trial: Trial) -> bool:
    """Say whether a trial of the search breaks a guard and so may not go on.

    The baseline's may: without its full result nothing could be compared with it.
    """
    study = state.study
    if study is None or trial.pair >= 0 or not breaks(study.objective, trial):
        return False
    return not state.has_defaults(trial.candidate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """How the runs of an idea with fresh seeds stand with the guards: finished pairs only, up to the first that is not."""

    worst: Breach | None = None  # of its own runs, under the first guard that they break
    runs: int = 0  # its own
    broke: int = 0  # of them, under that guard
    baseline_broke: int = 0  # of the baseline's as many
    unchecked: Guard | None = None  # the first guard of which none of its runs says anything that counts


def confirmed(state: State, idea: Idea) -> Confirmed:
    """Hold the finished pairs of an idea against the guards of the study.

    That a code idea keeps to a guard is believed of what we measure from outside alone: its own process may say anything.
    """
    objective = state.study.objective if state.study is not None else None
    if objective is None or not objective.guards or not idea.candidate:
        return Confirmed()
    pairs = list(_finished(state, idea))
    stands = [standing(objective, ours) for ours, _ in pairs]
    unchecked = None
    for guard in guards_of(objective):
        broken = [breach for one in stands for breach in one.broken if breach.guard == guard]
        if broken:
            theirs = [standing(objective, other) for _, other in pairs]
            return Confirmed(
                worst=max(broken, key=Breach.over), runs=len(pairs), broke=len(broken),
                baseline_broke=sum(any(breach.guard == guard for breach in one.broken) for one in theirs),
            )  # fmt: skip
        said = any(guard not in one.unknown for one in stands) and (of_machine(guard.metric) or not idea.change)
        unchecked = unchecked or (None if said else guard)
    return Confirmed(runs=len(pairs), unchecked=unchecked)


def _finished(state: State, idea: Idea) -> Iterator[tuple[Trial, Trial]]:
    for pair in range(idea.first_pair, state.next_pair):
        names = [state.pairs.get(f"{candidate}/{pair}") for candidate in (idea.candidate, idea.baseline)]
        found = [state.trials[name] for name in names if name is not None]
        if len(found) < 2 or any(trial.open() for trial in found):
            return
        yield found[0], found[1]

"""A trial that is interrupted again and again without getting further is given up."""

from secondshift.records.decisions import Decision, fail
from secondshift.records.states import State

NAME = "interruptions"


def decide(state: State) -> list[Decision]:
    """Give up paused trials whose interruptions without progress passed the limit."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    limit = study.policy.max_interruptions
    return [
        fail(
            trial.id,
            reason=f"{trial.id} is given up: interrupted {trial.interruptions} times in a row without getting past "
            f"step {trial.best_steps} (limit {limit}; the last time: {trial.reason or 'no cause seen'}).",
            by=NAME,
        )
        for trial in state.waiting("paused")
        if trial.interruptions > limit
    ]

"""Grid search: every combination once, in order. A continuous axis takes five values spread from end to end."""

from collections.abc import Iterator, Mapping

from secondshift.policies.models.enumerations import enumeration
from secondshift.policies.models.proposals import Infeasible, fill, numbered
from secondshift.policies.models.spaces import region
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Value

NAME = "grid"
LEVELS = 5  # values of a continuous axis, and of a whole-number axis with more than twice as many
TRIES = 20_000  # combinations in a row that may break a constraint before the searcher gives up


def decide(state: State) -> list[Decision]:
    """Propose just enough candidates to fill the free slots."""
    if state.study is None:
        return []
    ground = region(state.study.space)

    def points(newest: Mapping[str, Value] | None) -> Iterator[Mapping[str, Value]]:
        grid = enumeration(ground, coarse=LEVELS)
        if grid is None:
            raise Infeasible(
                "the parameters that others depend on have too many combinations for a grid; "
                'use searcher = "random", or give the parent parameters fewer values'
            )
        at = grid.position(newest) if newest is not None else None
        return numbered(ground, grid, lambda position: position, 0 if at is None else at + 1, TRIES)

    return fill(state, by=NAME, ground=ground, points=points, word="The next combination of the grid")

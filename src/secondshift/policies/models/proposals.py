"""What every searcher shares: how many are wanted, the baseline first, no point twice, and an end that is said."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np

from secondshift.policies.models.enumerations import Finite
from secondshift.policies.models.permutations import ROUNDS, permutation
from secondshift.policies.models.populations import founders_wanted
from secondshift.policies.models.spaces import Region
from secondshift.records.decisions import Decision, end, propose, remember
from secondshift.records.states import State
from secondshift.records.studies import Value
from secondshift.records.trials import Candidate

SEARCH = "search"  # the memo under which a searcher says that it has no more candidates
TRIES = 1000  # draws in a row that may break a constraint before the searcher gives up
RECENT = 64  # own candidates that an endless space is kept from repeating
TRY_FIRST = "Asked to be tried first: a set of parameters that the study file names"


class Infeasible(Exception):
    """Too many points in a row broke a constraint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """Parameters to propose, with where they come from, if a searcher can say that of each."""

    params: Mapping[str, Value]
    parents: tuple[str, ...] = ()  # candidates
    word: str = ""  # how it was chosen; empty: as all of the searcher's


def trials_left(state: State) -> int | None:
    """Count the trials the budget still allows, those of earlier revisions included; None if not capped."""
    cap = state.study.budget.trials if state.study else None
    return None if cap is None else max(0, cap - searched(state))


def searched(state: State) -> int:
    """Count the trials that were begun to search; those with fresh seeds are paid from their own share."""
    return len(state.trials) - len(state.pairs)


def wanted(state: State) -> int:
    """Count the candidates that would fill the free slots beyond what is queued, within the budget's trials."""
    if state.study is None or state.shift is None or state.ending or exhausted(state):
        return 0
    room = state.free_slots() - state.statuses.get("queued", 0)
    limits = [limit for limit in (trials_left(state), founders_wanted(state)) if limit is not None]
    return max(0, min(room, *limits)) if limits else max(0, room)


def exhausted(state: State) -> str:
    """Give the reason why no more candidates will come in this revision; empty while some may."""
    memo = state.memos.get(SEARCH, "")
    prefix = _prefix(state)
    return memo.removeprefix(prefix) if prefix and memo.startswith(prefix) else ""


def own(state: State, by: str) -> Iterator[Candidate]:
    """Go through this searcher's candidates of the current revision, newest first."""
    revision = state.study.revision if state.study else 0
    candidates = cast("dict[str, Candidate]", state.candidates)  # only a dict can be walked from its newest entry on
    for name in reversed(candidates):
        candidate = candidates[name]
        if candidate.revision != revision:
            return
        if candidate.by == by:
            yield candidate


def fill(
    state: State,
    *,
    by: str,
    ground: Region,
    points: Callable[[Mapping[str, Value] | None], Iterator[Mapping[str, Value] | Point]],
    word: str,
    count: int | None = None,
) -> list[Decision]:
    """Propose `count` candidates, or as many as are wanted: the baseline first, then what a person wants tried, then `points`.

    `points` is given the parameters of this searcher's newest candidate, or None, and goes on from there without end
    or until there are no more; it raises Infeasible if it finds none. `word` says in the reason how they were chosen.
    """
    count = wanted(state) if count is None else count
    if not count:
        return []
    baseline, whose = ground.baseline(), "study"
    if baseline is None and _has_defaults_of_its_own(state):
        baseline, whose = {}, "script"
    given = state.study.policy.try_first if state.study else ()
    asked = [*given] if baseline is None else [baseline, *given]  # in no searcher's own order
    decisions: list[Decision] = []
    for params in _untried(state, asked)[:count]:
        if params == baseline:
            reason = f"The baseline comes first: the {whose}'s own defaults, against which everything else is judged."
        else:
            reason = _reason(state, TRY_FIRST, len(decisions))
        decisions.append(propose(params=params, reason=reason, by=by))
    newest = next((candidate.params for candidate in own(state, by) if candidate.params not in asked), None)
    try:
        others = (p for p in map(_point, points(newest)) if p.params not in asked)
        for point in islice(others, count - len(decisions)):
            reason = _reason(state, point.word or word, len(decisions))
            decisions.append(propose(params=point.params, reason=reason, by=by, parents=point.parents))
    except Infeasible as error:
        return decisions or _give_up(state, by, str(error))
    return decisions or _give_up(state, by, "every distinct point of the search space has been proposed")


def _has_defaults_of_its_own(state: State) -> bool:
    """Say whether the script can run without being told parameters: run.params(...) then gives its own defaults.

    They count where all points of the axes are candidates; of a list only what it lists is one.
    """
    study = state.study
    if study is None or study.space.among or study.tier_offered() != "cooperative":
        return False
    return not any(f"{{{axis.name}}}" in study.command for axis in study.space.parameters)


def numbered(
    ground: Region, points: Finite, order: Callable[[int], int], first: int, tries: int = TRIES
) -> Iterator[Mapping[str, Value]]:
    """Walk through the points of a finite space in an order, from position `first`, without broken constraints."""
    failures: list[str] = []
    for position in range(first, points.size):
        params = points.at(order(position))
        broken = ground.broken(params)
        if not broken:
            failures.clear()
            yield params
            continue
        failures.append(broken)
        if len(failures) >= tries:
            raise Infeasible(_failed(failures))
    if failures and not first and len(failures) == points.size:
        raise Infeasible(_failed(failures))


def shuffled(
    state: State, ground: Region, points: Finite, newest: Mapping[str, Value] | None
) -> Iterator[Mapping[str, Value]]:
    """Walk through the points of a finite space in an order shuffled by the study's seed, going on after `newest`."""
    seed = [state.study.seed, state.study.revision] if state.study else [0]
    keys = np.random.default_rng(seed).integers(0, 2**62, ROUNDS)
    order = permutation(points.size, tuple(int(key) for key in keys))
    at = points.position(newest) if newest is not None else None
    return numbered(ground, points, order.forward, 0 if at is None else order.backward(at) + 1)


def drawn(
    ground: Region, draw: Callable[[], Mapping[str, Value]], known: list[Mapping[str, Value]]
) -> Iterator[Mapping[str, Value]]:
    """Draw points of an endless space, leaving out broken constraints and, while others are found, those `known`."""
    failures: list[str] = []
    again = 0
    while True:
        params = draw()
        broken = ground.broken(params)
        if broken:
            failures.append(broken)
            if len(failures) >= TRIES:
                raise Infeasible(_failed(failures))
        elif params in known and again < RECENT:
            again += 1
        else:
            failures.clear()
            again = 0
            known.append(params)
            yield params


def _failed(failures: list[str]) -> str:
    worst = max(dict.fromkeys(failures), key=failures.count)
    return (
        f"none of the last {len(failures)} points tried satisfies the constraints; "
        f"`{worst}` was broken by {failures.count(worst)} of them. Loosen it, or narrow the parameters it names"
    )


def _reason(state: State, word: str, number: int) -> str:
    queued = state.statuses.get("queued", 0)
    return f"{word}; {state.free_slots() - queued - number} of {state.free_slots()} free slots have nothing to run."


def _give_up(state: State, by: str, why: str) -> list[Decision]:
    """Say that no more will come: by ending the shift if nothing was ever started, else as a fact for the scheduler."""
    if not sum(state.statuses.values()):
        return [end(reason=f"There is nothing to run: {why}.", by=by, source="searcher")]
    return [remember(SEARCH, memo=_prefix(state) + why, reason=f"No more candidates will come from {by}: {why}.")]


def _prefix(state: State) -> str:
    return f"{state.study.revision}/{state.study.policy.searcher}: " if state.study else ""


def _point(given: Mapping[str, Value] | Point) -> Point:
    return given if isinstance(given, Point) else Point(params=given)


def _untried(state: State, asked: list[Mapping[str, Value]]) -> list[Mapping[str, Value]]:
    """Give those of `asked` that no candidate of this revision has, each once."""
    revision = state.study.revision if state.study else 0
    left = [params for place, params in enumerate(asked) if params not in asked[:place]]
    for candidate in state.candidates.values():
        if not left:
            break
        if candidate.revision == revision and candidate.params in left:
            left.remove(candidate.params)
    return left

"""Which ideas in words an agent may still be called for: shared by who calls it and by who ends a night."""

from collections.abc import Iterator, Mapping, Sequence

from secondshift.policies.models.broods import brought, searches_programs, start_of
from secondshift.policies.models.proposals import trials_left
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State

MOST_TRIES = 2  # of an idea: the second is told the error of the first
MOST_UNREACHED = 3  # calls of a shift in a row that found no endpoint; then none is made before the next shift
MOST_UNREACHED_EACH = 2  # for one idea: there may be something about it that no endpoint takes
MOST_LOST = 3  # calls for one idea that were nobody's fault


def calls_by_idea(state: State) -> Mapping[str, Sequence[AgentCall]]:
    """The calls for each idea that has any, oldest first."""
    found: dict[str, list[AgentCall]] = {}
    for call in state.calls.values():
        if call.idea:  # else it is of a search for programs
            found.setdefault(call.idea, []).append(call)
    return found


def in_words(idea: Idea) -> bool:
    """Say whether an idea waits for somebody who turns it into a change."""
    return idea.state == "open" and not idea.ready() and not idea.canary


def due(state: State) -> Iterator[Idea]:
    """Ideas that the agent is to be called for next, oldest first, whether or not it can be called now."""
    if state.study is None or not state.study.agent.command:
        return
    calls = calls_by_idea(state)
    for idea in state.ideas.values():
        known = calls.get(idea.id, ())
        if _unreached(state, known, MOST_UNREACHED_EACH) is not None:
            continue
        if (in_words(idea) and may_try(known)) or (crashed(state, idea, known) and _may_call(known)):
            yield idea


def may_try(calls: Sequence[AgentCall]) -> bool:
    """Say whether an idea with these calls may have another one, as long as none of them brought a change."""
    return _may_call(calls) and not any(call.ending == "changed" for call in calls)


def _may_call(calls: Sequence[AgentCall]) -> bool:
    tries = [call for call in calls if call.counts()]
    lost = sum(call.ending == "lost" for call in calls)
    return len(tries) < MOST_TRIES and lost < MOST_LOST and not any(call.open() for call in calls)


def crashed(state: State, idea: Idea, calls: Sequence[AgentCall]) -> bool:
    """Say whether the change that a call brought for an idea came to no result in any of its runs, and the baseline always did."""
    found = state.verdicts.get(idea.id)
    if found is None or found.candidate != idea.candidate or idea.state not in ("exploring", "refuted"):
        return False
    theirs = any(call.ending == "changed" and call.change == idea.change for call in calls)
    return theirs and 0 < found.pairs == found.crashed and not found.baseline_crashed


def mending(state: State, idea: Idea, calls: Sequence[AgentCall]) -> bool:
    """Say whether a call that mends an idea's change is out or can be made, so that more runs of it as it is would be wasted."""
    if not crashed(state, idea, calls):
        return False
    return calls[-1].open() or (_may_call(calls) and affordable(state) > 0 and in_time(state))


def mended(state: State, idea: Idea, calls: Sequence[AgentCall]) -> bool:
    """Say whether the newest call brought another change for an idea whose first one crashed."""
    last = calls[-1]
    return bool(last.repairs) and last.ending == "changed" and last.change != idea.change and crashed(state, idea, calls)


def affordable(state: State) -> int:
    """Count the calls that could be made now, by their number and by money."""
    study = state.study
    if study is None or not study.agent.command or unreached(state) is not None:
        return 0
    left, usd, price = state.calls_left(), state.usd_left(), study.agent.price_usd or 0.0
    counts = [] if left is None else [left]
    if usd is not None and price > 0.0:
        counts.append(max(0, int(usd / price + 1e-9)))
    return min(counts, default=0)


def unreached(state: State) -> AgentCall | None:
    """The newest call, where the last ones of this shift all found no endpoint to ask: the next would find none either."""
    return _unreached(state, list(state.calls.values()), MOST_UNREACHED)


def unreached_for(state: State, idea: Idea) -> AgentCall | None:
    """The newest call for an idea, where it has to wait for the next shift because no endpoint was found for it."""
    known = [call for call in state.calls.values() if call.idea == idea.id]
    return _unreached(state, known, MOST_UNREACHED_EACH)


def _unreached(state: State, calls: Sequence[AgentCall], most: int) -> AgentCall | None:
    """The newest of these calls, if as many of them as this ended in this shift, last and in a row, without an endpoint."""
    if state.shift is None:
        return None
    newest: list[AgentCall] = []
    for call in reversed(calls):
        if call.ordered_at < state.shift.started_at or len(newest) == most:
            break
        newest += [] if call.open() else [call]
    return newest[0] if [call.ending for call in newest] == ["unreachable"] * most else None


def thinking(state: State) -> bool:
    """Say whether something to run may still come of an agent: it is at work, or will be, or has just ended."""
    if state.calling or state.to_examine() or brought(state):
        return True
    calls = calls_by_idea(state)
    if any(_ends_a_wait(state, state.ideas[name], known) for name, known in calls.items()):
        return True
    if affordable(state) <= 0 or not in_time(state):
        return False
    return next(due(state), None) is not None or (searches_programs(state) and bool(start_of(state)) and trials_left(state) != 0)


def _ends_a_wait(state: State, idea: Idea, calls: Sequence[AgentCall]) -> bool:
    """Say whether what the calls came to is still to be taken in."""
    return (in_words(idea) and not may_try(calls)) or mended(state, idea, calls)


def in_time(state: State) -> bool:
    """Say whether a call could take all its time before the shift has to end."""
    deadline = state.shift.deadline_at if state.shift is not None else None
    return state.study is not None and (deadline is None or state.now_s + state.study.agent.timeout_s <= deadline)

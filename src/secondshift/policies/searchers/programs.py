"""A search for programs: an agent makes better ones of the best and of what is unlike them, while others are being trained.

The study's own program comes first. Each call of the agent gets a parent out of a small population of good and different
programs (models.archives), others to be inspired by, and sometimes two to be combined. What a call leaves is looked at and
checked by the hands, becomes a candidate, is trained like any, and is judged by the study's evaluator; the best is nominated
for fresh seeds. So many calls are made that a program waits whenever a device is free. Where the study has a search space
too, its parameters are searched at random with what the agent leaves free, out of the same budget.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from secondshift.policies.models.archives import Mating, Population, mating
from secondshift.policies.models.broods import (
    MEMO,
    brought,
    in_hand,
    remembered,
    searches_programs,
    start_of,
    to_mend,
    written,
)
from secondshift.policies.models.enumerations import enumeration
from secondshift.policies.models.handing import affordable, due, in_time, thinking
from secondshift.policies.models.proposals import RECENT, drawn, fill, own, shuffled, trials_left
from secondshift.policies.models.spaces import region
from secondshift.records.agent_calls import AgentCall, Task
from secondshift.records.decisions import Decision, call, program, remember
from secondshift.records.states import State
from secondshift.records.studies import PROGRAMS, Study, Value

NAME = PROGRAMS


def decide(state: State) -> list[Decision]:
    """Propose what calls brought, call the agent for more, and fill what is left with parameters."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    population, news = remembered(state)
    decisions = _remembering(population, study) if news else []
    programs = [_proposed(state, study, made) for made in brought(state)]
    decisions += [*programs, *_calls(state, study, population)]
    return [*decisions, *_parameters(state, study, len(programs))]


def _remembering(population: Population, study: Study) -> list[Decision]:
    best = population.members()[:1]
    shown = f", the best is {best[0].candidate}" if best else ""
    kept = len(population.members())
    reason = f"{population.seen} programs were judged, {kept} of them are kept{shown}."
    return [remember(MEMO, memo=written(population, study.revision), reason=reason)]


def _proposed(state: State, study: Study, made: AgentCall) -> Decision:
    task = made.task
    parent = state.candidates[task.parent]
    how = f"{made.id} made a program of {task.parent}{_result(state, study, task.parent)}"
    if task.crossed:
        how = f"{made.id} combined {task.parent}{_result(state, study, task.parent)} with {task.beside[0]}"
    return program(
        change=made.change, on=task.parent, params=parent.params, parents=task.beside if task.crossed else (),
        reason=f"{how}.", by=NAME, based_on=(made.id,),
    )  # fmt: skip


def _result(state: State, study: Study, candidate: str) -> str:
    """The objective of a candidate's trial of the search, in brackets; nothing where there is none."""
    trial = next((t for t in state.trials.values() if t.candidate == candidate and t.pair < 0), None)
    value = state.result(trial) if trial is not None else None
    return f" ({study.objective.metric} {value:.6g})" if value is not None else ""


def _calls(state: State, study: Study, population: Population) -> list[Decision]:
    """Call the agent as often as programs are wanted; ideas of people come first, and failed calls are mended once."""
    start = start_of(state)
    if not searches_programs(state) or not start or not in_time(state):
        return []
    waiting = sum(1 for _ in due(state))
    room = min(study.agent.parallel - len(state.calling), affordable(state)) - waiting
    ahead = (state.shift.slots if state.shift else 1) + study.agent.parallel
    left = trials_left(state)
    wanted = [ahead - in_hand(state), *([] if left is None else [left - in_hand(state) + state.statuses.get("queued", 0)])]
    room = max(0, min(room, *wanted))
    mends = [_mended(state, study, failed) for failed in to_mend(state)[:room]]
    at_work = [state.calls[name].task.parent for name in state.calling]
    fresh: list[Decision] = []
    for number in range(room - len(mends)):
        fresh.append(_asked(state, study, population, start, [*at_work, *(d.calls[0].task.parent for d in fresh)], number))
    return [*mends, *fresh]


def _asked(
    state: State, study: Study, population: Population, start: str, at_work: list[str], number: int
) -> Decision:
    place = len(state.calls) + number
    rng = np.random.default_rng([study.seed, study.revision, place])
    if not population.members():
        task, why = Task(parent=start, island=place % len(population.islands)), "nothing is judged yet"
    else:
        found = mating(population, rng, at_work)
        task, why = _task(found), _why(state, study, found)
    return _call(state, study, task, reason=f"A program is wanted that is better than {task.parent}: {why}.", number=number)


def _task(found: Mating) -> Task:
    beside = tuple(one.candidate for one in found.inspirations)
    return Task(parent=found.parent.candidate, beside=beside, crossed=found.crossed, island=found.island)


def _why(state: State, study: Study, found: Mating) -> str:
    shown = f"{found.parent.candidate}{_result(state, study, found.parent.candidate)} of island {found.island + 1}"
    beside = ", ".join(one.candidate for one in found.inspirations)
    if found.crossed:
        return f"{shown} is to be combined with {found.inspirations[0].candidate}"
    return f"{shown} is to be changed, beside {beside}" if beside else f"{shown} is to be changed"


def _mended(state: State, study: Study, failed: AgentCall) -> Decision:
    seen = state.examinations.get(state.code_of(failed)) if failed.change else None
    crashed = "its program crashed" if failed.change else failed.ending
    wrong = seen.fault if seen is not None and seen.fault else crashed
    return _call(state, study, failed.task, reason=f"{failed.id} gets one more call, which is told what went wrong: {wrong}.",
                 repairs=failed.id)  # fmt: skip


def _call(state: State, study: Study, task: Task, *, reason: str, number: int = 0, repairs: str = "") -> Decision:
    parent = state.candidates[task.parent]
    one = AgentCall(
        task=task, number=2 if repairs else 1, repairs=repairs, reserved_usd=study.agent.price_usd or 0.0,
        timeout_s=study.agent.timeout_s, baseline=parent.id if parent.code else "",
    )  # fmt: skip
    return call(one, reason=reason, by=NAME, subject=f"program {repairs or len(state.calls) + number + 1}")


def _parameters(state: State, study: Study, programs: int) -> list[Decision]:
    """Fill the free slots that no program waits for; that nothing is left is said only when no program may come any more."""
    ground = region(study.space)

    def points(newest: Mapping[str, Value] | None) -> Iterator[Mapping[str, Value]]:
        finite = enumeration(ground)
        if finite is not None:
            return shuffled(state, ground, finite, newest)
        rng = np.random.default_rng([study.seed, study.revision, len(state.candidates)])
        known = [candidate.params for candidate in islice(own(state, NAME), RECENT) if not candidate.code]
        return drawn(ground, lambda: ground.decode(rng.random(len(ground.parameters)).tolist()), known)

    found = fill(state, by=NAME, ground=ground, points=points, word="Drawn at random from the search space")
    if found and found[0].verb == "propose":
        return found[: max(0, len(found) - programs)]
    return [] if programs or thinking(state) or any(not t.pair >= 0 for t in state.running()) else found

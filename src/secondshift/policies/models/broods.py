"""What a search for programs knows: which candidates were judged, what calls of the agent brought, and what is still wanted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from secondshift.policies.models.archives import Member, Population, founded, passed_by, regained, settled
from secondshift.records.agent_calls import AgentCall
from secondshift.records.examinations import UNCHANGED, Likeness
from secondshift.records.states import State
from secondshift.records.studies import PROGRAMS
from secondshift.records.trials import Candidate, Trial

MEMO = "programs"  # under which the population is remembered
MENDABLE = ("unusable", "check failed", "check timed out")  # what one more call, which is told the error, may put right


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A trial of the search that the evaluator has judged."""

    trial: Trial
    candidate: Candidate
    loss: float | None  # None: it came to no result


def judged(state: State) -> Iterator[Judged]:
    """The trials of the search that were judged in this revision, in the order in which they were."""
    study = state.study
    if study is None or not study.judges_search():
        return
    for name in state.evaluations:
        trial = state.trials[name]
        if trial.pair < 0 and trial.revision == study.revision:
            value = state.result(trial) if trial.unaided() and not trial.overran else None
            loss = None if value is None else study.objective.loss(value)
            yield Judged(trial=trial, candidate=state.candidates[trial.candidate], loss=loss)


def likeness_of(state: State, candidate: Candidate) -> Likeness:
    """How a candidate's code differs from the study's."""
    known = state.examinations.get(candidate.code)
    return known.likeness if known is not None else UNCHANGED


def remembered(state: State) -> tuple[Population, bool]:
    """The population as it stands with what was judged since it was last remembered, and whether anything was."""
    every, revision = list(judged(state)), state.study.revision if state.study else 0
    members = {
        one.candidate.id: Member(candidate=one.candidate.id, loss=one.loss, likeness=likeness_of(state, one.candidate))
        for one in every
        if one.loss is not None
    }
    population = _read(state.memos.get(MEMO, ""), revision, members)
    islands = {state.code_of(call): call.task.island for call in state.calls.values() if call.task.parent and call.change}
    new = every[population.seen :]
    for one in new:
        member = members.get(one.candidate.id)
        if member is None:
            population = passed_by(population)
        elif one.candidate.code:
            population = settled(population, member, islands.get(one.candidate.code, 0))
        else:
            population = founded(member, population)
    return population, bool(new)


def _read(memo: str, revision: int, members: dict[str, Member]) -> Population:
    try:
        told = json.loads(memo)
        if told["revision"] == revision:
            return regained(told["islands"], int(told["seen"]), members)
    except (ValueError, KeyError, TypeError):
        pass  # there is none yet, or another version's: all that was judged is gone through again
    return Population()


def written(population: Population, revision: int) -> str:
    """The population as a memo: names of candidates; all else is recorded elsewhere."""
    islands = [[one.candidate for one in island] for island in population.islands]
    return json.dumps({"revision": revision, "seen": population.seen, "islands": islands}, separators=(",", ":"))


def brought(state: State) -> list[AgentCall]:
    """Calls of the search whose change can be run and is no candidate yet, oldest first."""
    known = {candidate.code for candidate in state.candidates.values() if candidate.code}
    found = {}
    for call in _calls(state):
        code = state.code_of(call)
        seen = state.examinations.get(code)
        if call.ending == "changed" and code not in known and seen is not None and seen.usable():
            found.setdefault(code, call)
    return list(found.values())


def to_mend(state: State) -> list[AgentCall]:
    """Calls of the search that came to nothing and may be told so once, oldest first."""
    mended = {call.repairs for call in state.calls.values()}
    failed = {state.candidates[t.candidate].code for t in state.trials.values() if t.pair < 0 and t.status == "failed"}
    return [call for call in _calls(state) if not call.repairs and call.id not in mended and _mendable(state, call, failed)]


def _mendable(state: State, call: AgentCall, failed: set[str]) -> bool:
    if call.ending == "changed":
        code = state.code_of(call)
        seen = state.examinations.get(code)
        return seen is not None and (seen.fault in MENDABLE or code in failed)
    return call.ending in ("crashed", "unusable")


def _calls(state: State) -> list[AgentCall]:
    """Calls of the search in this revision: those whose parent is a candidate of it."""
    revision = state.study.revision if state.study else 0
    parents = ((call, state.candidates.get(call.task.parent)) for call in state.calls.values() if call.task.parent)
    return [call for call, parent in parents if parent is not None and parent.revision == revision]


def in_hand(state: State) -> int:
    """Count the programs that are being written, looked at, or wait for a device."""
    writing = sum(bool(state.calls[name].task.parent) for name in state.calling)
    return writing + len(state.to_examine()) + len(brought(state)) + state.statuses.get("queued", 0)


def start_of(state: State) -> str:
    """The candidate that is the study as it is, from which the search begins; empty if there is none."""
    revision = state.study.revision if state.study else 0
    return next((c.id for c in state.candidates.values() if c.revision == revision and state.has_defaults(c.id)), "")


def searches_programs(state: State) -> bool:
    """Say whether the study has an agent and a search that calls it."""
    return state.study is not None and state.study.policy.searcher == PROGRAMS and bool(state.study.agent.command)

"""Trials that somebody asks for: one for each set of parameters, beside what the searcher proposes.

They are trials of the search like all others: same seed, same budget, same scheduler, and no verdict rests on them. Only
fresh seeds say whether something is better, and those are for ideas.
"""

from collections.abc import Mapping

from secondshift.policies.models.proposals import exhausted
from secondshift.policies.models.spaces import Region, active, region
from secondshift.records.askers import is_agent
from secondshift.records.decisions import Decision
from secondshift.records.events import RequestReceived
from secondshift.records.ideas import SET
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import POPULATION, Value
from secondshift.records.trials import Candidate, Trial

NAME = "asked"
MOST_OPEN = 4  # trials of agents that wait or run; and by so many they may be ahead of the search's own


def decide(state: State) -> list[Decision]:
    """Answer each request for a trial: it is queued, or there is a reason why not. Between shifts they wait."""
    study = state.study
    if study is None or state.shift is None or state.ending:
        return []
    requests = [request for request in state.requests.values() if request.verb == "try"]
    ground = region(study.space) if requests else Region(parameters=())
    taken: list[Mapping[str, Value]] = []
    decisions = []
    for request in requests:
        params = _whole(state, ground, request)
        refusal = _refusal(state, ground, request, params, taken)
        taken += [] if refusal else [params]
        why = str(request.args.get("why", "")).strip()[:200]
        decisions.append(Decision(
            verb="propose", params=params, by=request.who, source="searcher", refused=refusal, based_on=(request.id,),
            reason=f"{request.who} asked for a trial: {why or 'no reason was given'}",
        ))  # fmt: skip
    return decisions


def _whole(state: State, ground: Region, request: RequestReceived) -> dict[str, Value]:
    """The parameters that were asked for, and of the others those of the baseline as far as they are active, or their defaults."""
    given = {name.removeprefix(SET): value for name, value in request.args.items() if name.startswith(SET)}
    known = state.candidates.get(state.baseline)
    current = known is not None and state.study is not None and known.revision == state.study.revision
    base = dict(known.params) if known is not None and current else ground.baseline() or {}
    whole: dict[str, Value] = {**given}
    for parameter in ground.parameters:
        value = base.get(parameter.name, parameter.default)
        if parameter.name not in given and value is not None and active(parameter, whole):
            whole[parameter.name] = value
    return whole


def _refusal(
    state: State, ground: Region, request: RequestReceived, params: Mapping[str, Value], taken: list[Mapping[str, Value]]
) -> str:
    """Say why a trial is not begun; empty where it is."""
    study, left = state.study, state.device_s_left()
    assert study is not None, "decide() says so"
    if study.policy.scheduler == POPULATION:
        return "trials of a population begin from the checkpoints of others: bring it as an idea"
    if left is not None and left + state.spend.reserved_device_s < MIN_GRANT_S:  # what runs may leave some of its slice
        return "the budget has no device time left to reserve"
    fault = ground.fault(params)
    if fault:
        return f"{fault.rstrip('.')}. An idea may go beyond the search space, a trial of the search may not"
    twin = next((c for c in state.candidates.values() if c.revision == study.revision and c.params == params and not c.code), None)
    trial = _search_trial(state, twin) if twin is not None else None
    if trial is not None:
        return f"{trial.id} has these very parameters already; it is {trial.status}"
    if params in taken:
        return "the same trial was asked for twice at once"
    return _too_many(state, request.who, len(taken)) if is_agent(request.who) else ""


def _search_trial(state: State, candidate: Candidate) -> Trial | None:
    return next((t for t in state.trials.values() if t.candidate == candidate.id and t.pair < 0), None)


def _too_many(state: State, who: str, taken: int) -> str:
    """Agents fill neither the queue nor the night: half of what is tried is the search's own while it goes on."""
    waiting = sum(is_agent(_by(state, state.trials[name])) for name in state.open) + taken
    if waiting >= MOST_OPEN:
        return f"{waiting} trials that agents asked for wait or run already, and {MOST_OPEN} may at once"
    revision = state.study.revision if state.study is not None else 1
    search = [trial for trial in state.trials.values() if trial.pair < 0 and trial.revision == revision]
    theirs = sum(is_agent(_by(state, trial)) for trial in search) + taken
    others = len(search) + taken - theirs
    if theirs >= others + MOST_OPEN and not exhausted(state):
        return f"{theirs} trials were asked for by agents and {others} proposed by the search; the search comes first now"
    return ""


def _by(state: State, trial: Trial) -> str:
    candidate = state.candidates.get(trial.candidate)
    return candidate.by if candidate is not None and trial.pair < 0 else ""

"""How a search ends: its best becomes an idea that fresh seeds judge, where the study says so; else the shift ends."""

import math

from secondshift.policies.models.handing import thinking
from secondshift.records.decisions import Decision, capture, end
from secondshift.records.guards import breaks
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial

AUTHOR = "search"


def finish(state: State, *, reason: str, by: str) -> list[Decision]:
    """End the shift, unless ideas wait for fresh seeds or for the agent, or the search has a best one to nominate."""
    if state.settling() or thinking(state) or any(request.verb in ("idea", "try") for request in state.requests.values()):
        return []  # one that came in this very moment is an idea in the next
    if any(state.awaits_evaluation(name) for name in state.searched_by_artefact()):
        return []  # nobody knows yet which is the best
    best = nominee(state)
    if best is None:
        return [end(reason=reason, by=by)]
    candidate = state.candidates[best.candidate]
    before = state.candidates[state.baseline].code if state.baseline else ""
    idea = Idea(
        id="", text=f"the best of the search ({best.id})", author=AUTHOR, params=candidate.params, candidate=candidate.id,
        change=candidate.code.removeprefix(before).lstrip("+"),
    )  # fmt: skip
    reason = f"The search is over, and {best.id} was its best; fresh seeds say whether that was luck."
    return [capture(idea, reason=reason, source="searcher")]


def nominee(state: State) -> Trial | None:
    """The best complete trial of the search, if the study nominates and its candidate was neither judged nor is the baseline."""
    study = state.study
    if study is None or not study.policy.nominate:
        return None
    best, least = None, math.inf
    for trial in state.trials.values():
        if trial.revision != study.revision or trial.pair >= 0 or trial.status != "complete" or not trial.unaided():
            continue
        value = state.result(trial)
        if value is not None and study.objective.loss(value) < least and not breaks(study.objective, trial):
            best, least = trial, study.objective.loss(value)
    if best is None or best.candidate == state.baseline or state.has_defaults(best.candidate):
        return None
    return None if any(idea.candidate == best.candidate for idea in state.ideas.values()) else best

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
    if state.settling() or thinking(state) or any(request.verb == "idea" for request in state.requests.values()):
        return []  # one that came in this very moment is an idea in the next
    best = nominee(state)
    if best is None:
        return [end(reason=reason, by=by)]
    candidate = state.candidates[best.candidate]
    idea = Idea(
        id="", text=f"the best of the search ({best.id})", author=AUTHOR, params=candidate.params, candidate=candidate.id
    )
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
        value = trial.objective(study.objective)
        if value is not None and study.objective.loss(value) < least and not breaks(study.objective, trial):
            best, least = trial, study.objective.loss(value)
    if best is None or best.candidate == state.baseline or study.space.is_baseline(state.candidates[best.candidate].params):
        return None
    return None if any(idea.candidate == best.candidate for idea in state.ideas.values()) else best

"""How a search ends: its best becomes an idea that fresh seeds judge, where the study says so; else the shift ends.

It does so before the end, too, while the share of the budget and of the shift that fresh seeds are to have is still there.
"""

import math

from secondshift.policies.models.handing import thinking
from secondshift.records.decisions import Decision, capture, end
from secondshift.records.events import RequestReceived
from secondshift.records.guards import breaks
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial

AUTHOR = "search"


def finish(state: State, *, reason: str, by: str) -> list[Decision]:
    """End the shift, unless ideas wait for fresh seeds or for the agent, or the search has a best one to nominate."""
    if any(state.trials[name].rests for name in state.open):
        return []  # it is tried again when it has waited
    if state.settling() or thinking(state) or any(map(_brings_work, state.requests.values())):
        return []  # one that came in this very moment is an idea, or a trial that goes on, in the next
    if any(state.awaits_evaluation(name) for name in state.searched_by_artefact()):
        return []  # nobody knows yet which is the best
    best = nominee(state)
    if best is None:
        return [] if _somebody_may_answer(state) else [end(reason=reason, by=by)]
    return [_nominated(state, best, f"The search is over, and {best.id} was its best; fresh seeds say whether that was luck.")]


def _brings_work(request: RequestReceived) -> bool:
    """Say whether somebody asks for something that is to run: an idea, a trial, or that a stop is taken back."""
    return request.verb in ("idea", "try") or bool(request.args.get("undo"))


def _somebody_may_answer(state: State) -> bool:
    """Say whether a trial is held until a person decides, one can be told of it, and the shift has an end of its own anyway."""
    if state.shift is None or state.shift.deadline_at is None:
        return False
    reached = any(person.channels for person in state.rota().people.values())
    return reached and any(state.trials[name].held in state.incidents for name in state.open)


def early(state: State) -> list[Decision]:
    """Nominate the best so far, once in a shift, when what is left is for fresh seeds; the search goes on beside them."""
    study, shift = state.study, state.shift
    if study is None or shift is None or state.ending or not study.policy.nominate or state.settling():
        return []
    if any(idea.author == AUTHOR and idea.captured_at >= shift.started_at for idea in state.ideas.values()):
        return []
    best = nominee(state) if _only_the_share_is_left(state) else None
    if best is None:
        return []
    reason = f"{best.id} is the best so far, and what is left is for fresh seeds, which say whether that was luck."
    return [_nominated(state, best, reason)]


def _nominated(state: State, best: Trial, reason: str) -> Decision:
    candidate = state.candidates[best.candidate]
    before = state.candidates[state.baseline].code if state.baseline else ""
    idea = Idea(
        id="", text=f"the best of the search ({best.id})", author=AUTHOR, params=candidate.params, candidate=candidate.id,
        change=candidate.code.removeprefix(before).lstrip("+"), captured_at=state.now_s,
    )  # fmt: skip
    return capture(idea, reason=reason, source="searcher")


def _only_the_share_is_left(state: State) -> bool:
    """Say whether the search has had all of the device time, or of the time on shift, that is not kept for fresh seeds."""
    study, shift = state.study, state.shift
    if study is None or shift is None:
        return False
    search, spend, left = 1.0 - study.budget.confirm_share, state.spend, state.device_s_left()
    if left is not None:
        at_work = (a for a in state.attempts.values() if a.started_at and state.trials[a.trial].pair < 0)
        running = sum(state.now_s - a.started_at for a in at_work)
        cap = left + spend.settled_device_s + spend.reserved_device_s
        if spend.settled_device_s - spend.confirm_device_s + running >= search * cap:
            return True
    if study.budget.wall_s is not None and state.wall_s() >= search * study.budget.wall_s:
        return True
    return shift.deadline_at is not None and state.now_s - shift.started_at >= search * (shift.deadline_at - shift.started_at)


def nominee(state: State) -> Trial | None:
    """The best complete trial of the search, if the study nominates and its candidate was neither judged nor is the baseline."""
    study = state.study
    if study is None or not study.policy.nominate:
        return None
    best, least = None, math.inf
    for trial in state.trials.values():
        if trial.revision != study.revision or trial.pair >= 0 or trial.status != "complete":
            continue
        if not trial.unaided() or trial.overran:
            continue
        value = state.result(trial)
        if value is not None and study.objective.loss(value) < least and not breaks(study.objective, trial):
            best, least = trial, study.objective.loss(value)
    if best is None or best.candidate == state.baseline or state.has_defaults(best.candidate):
        return None
    return None if any(idea.candidate == best.candidate for idea in state.ideas.values()) else best

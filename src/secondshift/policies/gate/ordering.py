"""Which suite is to be run on what: ordered when a person wants to move the baseline or to release an artefact, never before."""

from secondshift.records.decisions import Decision, check
from secondshift.records.events import RequestReceived
from secondshift.records.gates import GateRun
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial

NAME = "checking"
ASKED = ("accept", "promote")  # requests that have to pass the gate


def decide(state: State) -> list[Decision]:
    """Order a run of the suite for each request that needs one and has none."""
    study = state.study
    if study is None or not study.gate.suite:
        return []
    decisions: list[Decision] = []
    for request in state.requests.values():
        idea = state.ideas.get(str(request.args.get("idea", "")))
        if request.verb not in ASKED or idea is None or not idea.candidate or not _wanted(state, request, idea):
            continue
        if state.gate_run(idea, request.id) is None:
            run = _run(state, study, idea, request.id)
            reason = f"{request.who} asked to {request.verb} {idea.id}: the suite is run on it first."
            decisions.append(check(run, reason=reason, by=request.who))
    return decisions


def _wanted(state: State, request: RequestReceived, idea: Idea) -> bool:
    """Say whether anything but the gate is left to ask: what is refused anyway costs no run."""
    if request.verb == "accept" and idea.candidate == state.baseline:
        return False
    return idea.state == "held up" or bool(str(request.args.get("because", "")).strip())


def _run(state: State, study: Study, idea: Idea, request: str) -> GateRun:
    against = state.gate_against(idea)
    ours, theirs = _whole(state, idea.candidate), _whole(state, against)
    seeds = [seed for seed in ours if seed in theirs]
    seed = seeds[0] if seeds else None
    return GateRun(
        id="", idea=idea.id, candidate=idea.candidate, baseline=against, trial=_named(ours, seed),
        baseline_trial=_named(theirs, seed), commands=study.gate.commands(), rules=study.gate.rules(), repeats=study.gate.repeats,
        timeout_s=study.gate.timeout_s, request=request,
    )  # fmt: skip


def _whole(state: State, candidate: str) -> dict[int, Trial]:
    """Trials of a candidate that ran to their end unaided, by seed, in the order in which they came: no value chooses one."""
    found: dict[int, Trial] = {}
    for trial in state.trials.values():
        if trial.candidate == candidate and trial.status == "complete" and trial.unaided():
            found.setdefault(trial.seed, trial)
    return found


def first_whole(state: State, candidate: str) -> str:
    """The first trial of a candidate that ran to its end unaided; empty where there is none."""
    return _named(_whole(state, candidate), None)


def _named(trials: dict[int, Trial], seed: int | None) -> str:
    """The trial with this seed, or the first there is; empty where there is none."""
    trial = trials.get(seed) if seed is not None else next(iter(trials.values()), None)
    return trial.id if trial is not None else ""

"""What a search for programs has to tell whoever writes the next one: the best, the evaluator's words, and how others died."""

from collections.abc import Callable, Iterator

from secondshift.records.agent_calls import AgentCall
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Candidate, Trial

DEAD = 10  # programs of each kind that came to nothing, of which the reason is told
BEST = 5  # of the best, what they are worth
WHY = 300  # letters of a reason
NOTHING = ("no change", "refused", "crashed", "unusable", "timed out", "spammed")


def said_of(state: State, call: AgentCall) -> str:
    """The evaluator's last words on the parent of a call; empty where it said nothing, or nothing came of it."""
    trials = (t for t in state.trials.values() if t.candidate == call.task.parent and t.pair < 0)
    found = next((state.evaluations[t.id] for t in trials if t.id in state.evaluations), None)
    return found.said if found is not None else ""


def best(state: State, study: Study) -> str:
    """The best programs with what they are worth; empty before any was judged."""
    ranked = [
        (study.objective.loss(value), t.candidate, value)
        for t in state.trials.values()
        if t.pair < 0 and t.revision == study.revision and (value := state.result(t)) is not None
    ]
    return ", ".join(f"{name} {value:.6g}" for _, name, value in sorted(ranked)[:BEST])


def deaths(state: State, study: Study, line: Callable[[str], str]) -> Iterator[str]:
    """Why programs came to nothing lately, one line each. `line` makes one plain line of a text."""
    trials = [t for t in state.trials.values() if t.pair < 0 and t.revision == study.revision and not t.open()]
    run = [(state.candidates[t.candidate], why) for t in trials if (why := _died(state, t))]
    yield from (f"- {one.id}, made of {_parents(one)}: {line(why)[:WHY]}" for one, why in run[-DEAD:])
    looked = [one for one in state.examinations.values() if one.fault]
    yield from (f"- never run, {one.fault}: {line(one.detail)[:WHY]}" for one in looked[-DEAD:])
    called = [one for one in state.calls.values() if one.task.parent and one.ending in NOTHING]
    yield from (f"- {one.id} on {one.task.parent}, {one.ending}: {line(one.detail)[:WHY]}" for one in called[-DEAD:])


def _parents(candidate: Candidate) -> str:
    return ", ".join(candidate.parents) or "nothing"


def _died(state: State, trial: Trial) -> str:
    found = state.evaluations.get(trial.id)
    if found is not None:
        return f"{found.problem}: {found.detail}" if found.problem else ""
    return f"{trial.status}: {trial.reason}" if trial.status in ("failed", "stopped") else ""

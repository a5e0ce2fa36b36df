"""Three changes that must not win, flown before any change of an agent is tried: they show that the referee is out of reach.

A *no-op* changes nothing that runs: if it looks better, candidates and baselines are not run alike. *Constant output* prints a
perfect metric and leaves an empty artefact: if it looks better, what a process says of itself counts. *The edited metric* alters
the evaluator: if it is not refused before it runs, a candidate can reach what judges it.
"""

from dataclasses import replace
from typing import Literal

from secondshift.records.decisions import Decision, answer, capture
from secondshift.records.ideas import Canary, Idea
from secondshift.records.states import State

NAME = "canaries"
AGENT = "agent"  # author of ideas that nobody but an agent had
TEXTS: dict[Canary, str] = {
    "no-op": "canary: a change that changes nothing",
    "constant": "canary: a constant, perfect metric and an empty artefact",
    "metric": "canary: an edit of what measures",
}
FEW: dict[Canary, int] = {"no-op": 3, "constant": 1, "metric": 1}  # pairs after which one that looks no better failed to win
REVIVED = "a new shift goes on with it"  # what the fold answers of what was undecided

Flight = Literal["due", "flying", "failed", "won", "grounded"]


def decide(state: State) -> list[Decision]:
    """Send up the canaries that are due, take down those that failed to win, and answer ideas of agents where they did not."""
    if state.study is None or not _wanted(state):
        return []
    flights = flown(state)
    decisions = [_landed(state, idea) for idea in _canaries(state) if idea.state in ("open", "exploring")]
    if state.shift is None or state.ending:
        return [decision for decision in decisions if decision is not None]  # what is not over goes on in the next shift
    decisions += [_sent(kind) for kind, flight in flights.items() if flight == "due"]
    if why := against(state):
        for idea in state.ideas.values():
            if agent_made(state, idea) and idea.state in ("open", "exploring"):
                decisions.append(_held_back(idea, why, won="won" in flights.values()))
    return [decision for decision in decisions if decision is not None]


def flown(state: State) -> dict[Canary, Flight]:
    """How each canary of the study as it now asks stands."""
    kinds: list[Canary] = ["no-op", "constant"]
    if state.study is not None and (state.study.evaluate or state.study.read_only):
        kinds.append("metric")
    known = {idea.canary: idea for idea in _canaries(state)}
    return {kind: _flight(state, known[kind]) if kind in known else "due" for kind in kinds}


def cleared(state: State) -> bool:
    """Say whether every canary failed to win."""
    return all(flight == "failed" for flight in flown(state).values())


def withheld(state: State, idea: Idea) -> bool:
    """Say whether an idea may not be tried or hold up yet: an agent made it, and the canaries have not failed to win."""
    return agent_made(state, idea) and not cleared(state)


def agent_made(state: State, idea: Idea) -> bool:
    """Say whether the change of an idea, or one that its candidate is made of, is an agent's."""
    candidate = state.candidates.get(idea.candidate)
    made_of = {idea.change, *(candidate.code.split("+") if candidate is not None else ())} - {""}
    if not made_of or idea.canary:
        return False
    return idea.author == AGENT or any(call.change in made_of for call in state.calls.values())


def against(state: State) -> str:
    """Why no change of an agent may be tried; empty while nothing speaks against it."""
    flights = flown(state)
    won = [kind for kind, flight in flights.items() if flight == "won"]
    if won:
        return f"the canary {won[0]} was not turned away: what judges changes can be reached or misled"
    known = {idea.canary: idea for idea in _canaries(state)}
    grounded = next((known[kind] for kind, flight in flights.items() if flight == "grounded"), None)
    return f"the canary {grounded.canary} came to no end: {grounded.answer}" if grounded is not None else ""


def _wanted(state: State) -> bool:
    """Say whether there is a change of an agent: a call that left one, or an idea that holds one."""
    return any(call.change for call in state.calls.values()) or any(agent_made(state, idea) for idea in state.ideas.values())


def _canaries(state: State) -> list[Idea]:
    revision = state.study.revision if state.study else 1
    return [idea for idea in state.ideas.values() if idea.canary and idea.revision == revision]


def _flight(state: State, idea: Idea) -> Flight:
    if idea.state == "held up" or _let_through(state, idea):
        return "won"
    if idea.state in ("refuted", "refused"):
        return "failed"
    if idea.state == "undecided":
        found = state.verdicts.get(idea.id)
        kept = found is not None and found.candidate == idea.candidate and found.ending != "unsettled"
        return "failed" if kept else "grounded"
    return "flying"


def _let_through(state: State, idea: Idea) -> bool:
    """Say whether an edit of what measures was looked at, and not refused."""
    looked = any(known.usable() and code.split("+")[-1] == idea.change for code, known in state.examinations.items())
    return idea.canary == "metric" and bool(idea.change) and looked and idea.state != "refused"


def _sent(kind: Canary) -> Decision:
    why = f"No change of an agent is tried before the canary {kind} has failed to win."
    return capture(Idea(id="", text=TEXTS[kind], author="canary", canary=kind), reason=why, source="evidence")


def _landed(state: State, idea: Idea) -> Decision | None:
    """Take down a canary that does not look better after a few pairs; one that does goes on to an ordinary verdict."""
    found, study = state.verdicts.get(idea.id), state.study
    if _let_through(state, idea):
        why = "it edits what measures, and nothing refused it before it could run"
        return answer(replace(idea, state="undecided", answer=why), reason=f"{idea.id} is over: {why}.", by=NAME)
    if found is None or study is None or found.candidate != idea.candidate or found.ending != "unsettled":
        return None
    if idea.canary == "no-op" and found.crashed > found.baseline_crashed:
        return _crashed(state, idea)
    if found.pairs < FEW[idea.canary] or found.effect > study.objective.min_effect:
        return None
    why = f"the canary {idea.canary} failed to win, as it must: {found.effect:+.4g} after {found.pairs} fresh seeds"
    return answer(replace(idea, state="refuted", answer=why), reason=f"{idea.id} is over: {why}.", by=NAME)


def _crashed(state: State, idea: Idea) -> Decision:
    """Nothing was changed, and it fails where the baseline does not: so would every change. Another shift tries it anew."""
    if idea.answer == REVIVED:
        anew = replace(idea, state="open", candidate="", baseline="", first_pair=state.next_pair, answer="it is flown again")
        return answer(anew, reason=f"{idea.id} is flown again in a new shift.", by=NAME)
    why = "it changes nothing, and comes to no result where the baseline does: candidates miss something that the sandbox hides"
    return answer(replace(idea, state="undecided", answer=why), reason=f"{idea.id} is grounded: {why}.", by=NAME)


def _held_back(idea: Idea, why: str, *, won: bool) -> Decision:
    after = replace(idea, state="refused" if won else "undecided", answer=why)
    return answer(after, reason=f"{idea.id} is not tried: {why}.", by=NAME)

"""A person makes an idea the baseline: one that held up, or another with a reason that is recorded."""

from secondshift.policies.models.guarding import confirmed
from secondshift.records.decisions import Decision
from secondshift.records.events import RequestReceived
from secondshift.records.ideas import Idea
from secondshift.records.states import State

NAME = "accepting"


def decide(state: State) -> list[Decision]:
    """Answer each request to accept an idea; one whose suite is not judged yet waits for that."""
    answers = [_answer(state, request) for request in state.requests.values() if request.verb == "accept"]
    return [answer for answer in answers if answer is not None]


def _answer(state: State, request: RequestReceived) -> Decision | None:
    name, because = str(request.args.get("idea", "")), str(request.args.get("because", "")).strip()
    idea = state.ideas.get(name)
    why_not = ""
    if idea is None:
        why_not = f"there is no idea {name}; there are {', '.join(state.ideas) or 'none'}"
    elif not idea.candidate:
        why_not = f"{name} is {idea.state}: it never became a candidate"
    elif idea.candidate == state.baseline:
        why_not = f"{name} is the baseline already"
    elif idea.state != "held up" and not because:
        why_not = f"{name} is {idea.state}: it did not hold up. Say --because WHY to accept it all the same"
    elif _outdated(state, idea) and not because:
        why_not = f"{name} {_outdated(state, idea)}. Say --because WHY to accept it all the same"
    run = state.gate_run(idea, request.id) if idea is not None else None
    if not why_not and state.study is not None and state.study.gate.suite:
        if run is None or not run.verdict:
            return None
        if run.verdict != "pass" and not because:
            why_not = f"the gate says {run.verdict} ({run.id}): {run.reason}. Say --because WHY to accept it all the same"
    against = [f"it is {idea.state}"] if idea is not None and idea.state != "held up" else []
    elsewhere = _outdated(state, idea) if idea is not None and idea.state == "held up" else ""
    against += [f"it {elsewhere}"] if elsewhere else []
    against += [f"the gate says {run.verdict}"] if run is not None and run.verdict not in ("", "pass") else []
    overridden = f" although {' and '.join(against)}: {because}" if against else ""
    return Decision(
        verb="accept", subject="baseline", ideas=(idea,) if idea is not None else (), by=request.who, source="person",
        gates=(run,) if run is not None else (), because=because if against else "",
        reason=f"{request.who} accepted {name}{overridden}.", refused=why_not, based_on=(request.id,),
    )  # fmt: skip


def _outdated(state: State, idea: Idea) -> str:
    """Say that an idea was judged when the study asked another question, or had other guards; empty if it asks the same still."""
    asked, now = idea.revision, state.study.revision if state.study else idea.revision
    if asked != now:
        return f"held up at revision {asked} of the study, which is now at {now}: another question"
    worst = confirmed(state, idea).worst
    return "" if worst is None else f"breaks the guard {worst.guard.text}, which is newer than its verdict"

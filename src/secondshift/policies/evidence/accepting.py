"""A person makes an idea the baseline: one that held up, or another with a reason that is recorded."""

from secondshift.records.decisions import Decision
from secondshift.records.events import RequestReceived
from secondshift.records.states import State

NAME = "accepting"


def decide(state: State) -> list[Decision]:
    """Answer each request to accept an idea."""
    return [_answer(state, request) for request in state.requests.values() if request.verb == "accept"]


def _answer(state: State, request: RequestReceived) -> Decision:
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
    overridden = f" although it is {idea.state}: {because}" if idea is not None and idea.state != "held up" else ""
    return Decision(
        verb="accept", subject="baseline", ideas=(idea,) if idea is not None else (), by=request.who, source="person",
        reason=f"{request.who} accepted {name}{overridden}.", refused=why_not, based_on=(request.id,),
    )  # fmt: skip

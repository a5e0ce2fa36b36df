"""What people answer to an incident's question becomes an act of theirs, once for each request; or it is dropped with a reason."""

from dataclasses import replace

from secondshift.policies.captain.remedies import REMEDIES, act_of
from secondshift.records.answers import refusal, waiting
from secondshift.records.decisions import Decision, about
from secondshift.records.events import RequestReceived
from secondshift.records.states import State

NAME = "answers"
AT_ONCE = frozenset({"leave", "pause"})  # nothing has to be seen before these are known to have been done


def decide(state: State) -> list[Decision]:
    """Turn answers that came in into acts by the person who gave them; while a shift ends they wait for the next one."""
    if state.study is None or state.shift is None or state.ending:
        return []
    answered: dict[str, RequestReceived] = {}  # by the incident: two answers may come in at once
    decisions: list[Decision] = []
    for request in state.requests.values():
        if request.verb != "answer":
            continue
        incident = str(request.args.get("incident", ""))
        first = answered.get(incident)
        why_not = refusal(state, incident, str(request.args.get("answer", "")))
        if not why_not and first is not None:
            why_not = f"{incident} was answered already: {first.args.get('answer')}, by {first.who}"
        if why_not:
            decisions.append(_dropped(request, why_not))
            continue
        answered[incident] = request
        decisions.append(_act(state, request, incident))
    return decisions


def _dropped(request: RequestReceived, why_not: str) -> Decision:
    return Decision(
        verb="repair", subject="answer", reason=f"{request.who} answered an incident", by=request.who, source="person",
        refused=why_not, based_on=(request.id,),
    )  # fmt: skip


def _act(state: State, request: RequestReceived, name: str) -> Decision:
    incident, answer, who = state.incidents[name], str(request.args["answer"]), request.who
    asked = waiting(state, incident)
    assert asked is not None, "refusal() says so"
    given = replace(asked, answer=answer, answered_by=who)
    earlier = incident.questions if asked.answer else incident.questions[:-1]  # a default that has applied is kept
    act = act_of(state, incident, answer, by=who)
    if answer in AT_ONCE:
        act = replace(act, outcome="worked", seen=f"as {who} decided")
    after = replace(
        incident, questions=(*earlier, given), acts=(*incident.acts, act), action=act.reason,
        rung=incident.rung if answer in AT_ONCE else "stop" if answer in ("stop", "stop_early") else "repair",
    )  # fmt: skip
    reason = f"{who} answered {incident.id} with {answer}: {REMEDIES[answer].sentence}."
    return about("repair", after, reason=reason, by=who, source="person", based_on=(request.id,))

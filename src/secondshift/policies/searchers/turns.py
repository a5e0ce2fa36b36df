"""When the agent is called: ideas in words, oldest first, as many at once as the study says; one more call mends a failed one.

What a call left becomes the change of its idea, and goes the way of every change; one that crashes wherever the baseline runs
is mended once, too, and is then another comparison. An idea whose calls came to nothing has its answer: what went wrong, and
that anybody can still bring the change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from secondshift.policies.models.handing import (
    affordable,
    calls_by_idea,
    due,
    in_time,
    in_words,
    may_try,
    mended,
    unreached,
    unreached_for,
)
from secondshift.records.agent_calls import AgentCall
from secondshift.records.decisions import Decision, answer, call
from secondshift.records.ideas import Idea
from secondshift.records.states import State

NAME = "turns"
BRINGS = "bring it yourself: `secondshift idea {id} --set NAME=VALUE` or --patch FILE"


def decide(state: State) -> list[Decision]:
    """Take in what calls left, answer ideas whose calls are used up, and call the agent for the next ones."""
    study = state.study
    if study is None or (not state.calls and not study.agent.command):
        return []
    calls = calls_by_idea(state)
    answers = [said for name in calls if (said := _answered(state, state.ideas[name], calls[name])) is not None]
    if state.shift is None or state.ending or not in_time(state):
        return answers
    answers += _waiting(state)
    room = min(study.agent.parallel - len(state.calling), affordable(state))
    ideas = [idea for _, idea in zip(range(max(0, room)), due(state), strict=False)]
    return [*answers, *(_called(state, idea, calls.get(idea.id, ())) for idea in ideas)]


def _answered(state: State, idea: Idea, calls: Sequence[AgentCall]) -> Decision | None:
    """What the newest call of an idea makes of it; None while it goes on, or may be tried again."""
    last = calls[-1]
    if mended(state, idea, calls):
        return _anew(state, idea, last)
    if last.open() or not in_words(idea):
        return None
    if last.ending == "changed":
        after = replace(
            idea, change=last.change, first_pair=state.next_pair, answer="it becomes a candidate as soon as there is room for it"
        )
        return answer(after, reason=f"The agent turned {idea.id} into a change ({last.id}).", by=NAME, based_on=(last.id,))
    if may_try(calls):
        return None
    what, _, more = (last.detail or last.ending).partition("\n")
    why = f"the agent brought no change that can be run ({last.id}: {what}); {BRINGS.format(id=idea.id)}"
    why += f"\n{more}" if more else ""
    after = replace(idea, state="refused" if last.ending == "refused" else "undecided", answer=why)
    return answer(after, reason=f"{idea.id} ends without a change: {last.id} {last.ending}.", by=NAME, based_on=(last.id,))


def _anew(state: State, idea: Idea, last: AgentCall) -> Decision:
    """Judge a mended change from its first fresh seed on: what the crashed one was is over."""
    after = replace(
        idea, state="open", change=last.change, candidate="", baseline="", first_pair=state.next_pair,
        answer="the mended change becomes a candidate as soon as there is room for it",
    )  # fmt: skip
    why = f"The change of {idea.id} crashed; the agent mended it ({last.id}), and it is judged as another change."
    return answer(after, reason=why, by=NAME, based_on=(last.id,))


def _waiting(state: State) -> Iterator[Decision]:
    """Say of each idea in words, once, that it waits for an endpoint that answers."""
    of_all, calls = unreached(state), calls_by_idea(state)
    for idea in filter(in_words, state.ideas.values()):
        silent = of_all or unreached_for(state, idea)
        if silent is None or not may_try(calls.get(idea.id, ())):
            continue
        what = silent.detail.partition("\n")[0]
        why = f"the agent cannot be reached ({silent.id}: {what}); it is called again in the next shift, "
        why += f"or {BRINGS.format(id=idea.id)}"
        if idea.answer != why:
            after, reason = replace(idea, answer=why), f"{idea.id} waits: the model's endpoint gave no answer ({silent.id})."
            yield answer(after, reason=reason, by=NAME, based_on=(silent.id,))


def _called(state: State, idea: Idea, calls: Sequence[AgentCall]) -> Decision:
    assert state.study is not None, "decide() says so"
    agent = state.study.agent
    failed = next((one for one in reversed(calls) if one.counts()), None)
    code = state.candidates[state.baseline].code if state.baseline else ""
    one = AgentCall(
        idea=idea.id, number=len(calls) + 1, repairs=failed.id if failed is not None else "", timeout_s=agent.timeout_s,
        reserved_usd=agent.price_usd or 0.0, baseline=state.baseline if code else "",
    )  # fmt: skip
    why = f"{idea.id} is an idea in words, which the agent is to turn into a change: {idea.text[:80]}"
    if failed is not None:
        wrong = "its change crashed" if failed.ending == "changed" else failed.ending
        why = f"{idea.id} gets one more call, which is told what went wrong in {failed.id}: {wrong}"
    return call(one, reason=why, by=NAME)

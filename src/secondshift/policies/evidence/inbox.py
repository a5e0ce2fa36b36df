"""What people and interfaces ask of the inbox becomes ideas, each once; near-duplicates keep both authors."""

import re
from collections.abc import Mapping
from dataclasses import replace

from secondshift.records.askers import ONLY_PEOPLE, is_agent
from secondshift.records.decisions import Decision, answer, capture
from secondshift.records.events import RequestReceived
from secondshift.records.ideas import SET, Idea
from secondshift.records.states import State
from secondshift.records.studies import Study, Value

NAME = "inbox"
HANDED = "the agent of the study turns it into a change, as soon as it is its turn"
ENDING = 2  # letters by which a word may be longer and still be the same: wide, wider; 학습률, 학습률을
MOST_OF_AGENTS = 16  # ideas that wait for an answer: each one that is judged leaves less error to all that come after it
WAITS = "it waits for somebody who can turn it into a change: `secondshift idea {id} --set NAME=VALUE` or --patch FILE"


def decide(state: State) -> list[Decision]:
    """Take in each request once: as a new idea, as one more author of a known one, or as a change that a text waited for."""
    decisions: list[Decision] = []
    taken: list[Idea] = []
    for request in state.requests.values():
        if request.verb == "withdraw":
            decisions.append(_withdrawn(state, request))
        if request.verb != "idea":
            continue
        decision = _taken(state, request, taken)
        decisions += [decision] if decision is not None else []
    return decisions


def _taken(state: State, request: RequestReceived, taken: list[Idea]) -> Decision | None:
    """None: it is the same as one that came in this very tick; the next tick makes its author one of that idea's."""
    idea, fault = idea_of(request), ""
    named = str(request.args.get("idea", ""))
    if named:
        return _changed(state, request, named, idea)
    source = str(request.args.get("trial", ""))
    if source:
        trial = state.trials.get(source)
        idea = replace(idea, text=idea.text or f"what {source} ran with")
        if trial is None or trial.pair >= 0:
            fault = f"there is no trial {source} of the search"
        else:
            idea = replace(idea, params=state.candidates[trial.candidate].params, candidate=trial.candidate)
    if is_agent(request.who) and (crowd := _unanswered(state, taken)) >= MOST_OF_AGENTS:
        return _dropped(request, f"{crowd} ideas of agents wait for an answer, and {MOST_OF_AGENTS} may at once")
    if not idea.text.strip() and not idea.ready():
        return _dropped(request, "an idea needs a sentence or a change; nothing was given")
    twin = None if fault else _twin([*state.ideas.values(), *taken], idea)
    if twin is not None and twin.id:
        also = (*twin.also, *(a for a in (idea.author,) if a not in (twin.author, *twin.also)))
        why = f"{idea.author} had the idea {twin.id} too; both stand as its authors."
        return answer(replace(twin, also=also), reason=why, by=NAME, based_on=(request.id,))
    if twin is not None:
        return None
    taken.append(idea)
    fault = fault or misfit(state.study, idea.params)
    if fault:
        idea = replace(idea, state="refused", answer=fault)
    elif idea.ready():
        idea = replace(idea, answer="it becomes a candidate as soon as there is room for it")
    elif state.study is not None and state.study.agent.command:
        idea = replace(idea, answer=HANDED)
    else:
        idea = replace(idea, answer=WAITS.format(id=f"e{len(state.ideas) + len(taken)}"))
    return capture(idea, reason=f"{idea.author} had an idea: {idea.text[:80] or 'a change without words'}", request=request.id)


def idea_of(request: RequestReceived) -> Idea:
    """Read an idea from a request: its arguments are text, why, author, change, and set.NAME of parameters."""
    args = request.args
    return Idea(
        id="", text=str(args.get("text", "")).strip(), author=_author(request),
        why=str(args.get("why", "")).strip(), change=str(args.get("change", "")), captured_at=request.asked_at,
        params={name.removeprefix(SET): value for name, value in args.items() if name.startswith(SET)},
        request=request.id,
    )  # fmt: skip


def _author(request: RequestReceived) -> str:
    """Whose idea it is. A person may bring another's; an agent brings its own."""
    return request.who if is_agent(request.who) else str(request.args.get("author", "") or request.who)


def _unanswered(state: State, taken: list[Idea]) -> int:
    """Ideas of agents that wait or are being judged."""
    known = (idea for idea in state.ideas.values() if idea.state in ("open", "exploring"))
    return sum(is_agent(idea.author) for idea in (*known, *taken))


def _withdrawn(state: State, request: RequestReceived) -> Decision:
    """Take an idea back that its author brought and nobody began: of one that is being judged the answer stands as it comes."""
    name, who = str(request.args.get("idea", "")), request.who
    idea, fault = state.ideas.get(name), ""
    if idea is None:
        fault = f"there is no idea {name}; there are {', '.join(state.ideas) or 'none'}"
    elif idea.author != who:
        fault = f"{name} is an idea of {idea.author}, who alone can take it back"
    elif idea.also:
        fault = f"{name} is an idea of {', '.join(idea.also)} too"
    elif idea.state != "open":
        fault = f"{name} is {idea.state}: only an idea that nothing was run for is taken back"
    if idea is None or fault:
        return _dropped(request, fault)
    back = replace(idea, state="refused", answer=f"{who} took it back before anything ran")
    return answer(back, reason=f"{who} took {name} back.", by=NAME, based_on=(request.id,))


def _changed(state: State, request: RequestReceived, name: str, idea: Idea) -> Decision:
    """Give an idea that was only words the change it waited for, or ask a settled one again on another baseline."""
    known = state.ideas.get(name)
    if known is None:
        return _dropped(request, f"there is no idea {name}; there are {', '.join(state.ideas) or 'none'}")
    if request.args.get("again"):
        if is_agent(request.who):
            return _dropped(request, ONLY_PEOPLE.format(who=request.who))
        if known.state not in ("refuted", "undecided"):
            return _dropped(request, f"{name} is {known.state}: only a refuted or undecided idea is asked again")
        if known.baseline == state.baseline:
            return _dropped(request, f"{name} was judged against {known.baseline}, which is still the baseline")
        fresh = replace(
            known, state="open", candidate="", baseline="", first_pair=state.next_pair, answer="asked again",
            revision=state.study.revision if state.study else known.revision,
        )  # fmt: skip
        return answer(fresh, reason=f"{request.who} asks {name} again, on a new baseline.", by=NAME, based_on=(request.id,))
    if known.state not in ("open", "undecided") or known.ready():
        return _dropped(request, f"{name} has its change already; bring another one as an idea of its own")
    fault = misfit(state.study, idea.params)
    if fault or not (idea.params or idea.change):
        return _dropped(request, fault or "no change was given")
    whole = replace(known, state="open", params=idea.params, change=idea.change, first_pair=state.next_pair, answer="")
    return answer(whole, reason=f"{request.who} turned {name} into a change.", by=NAME, based_on=(request.id,))


def _dropped(request: RequestReceived, why: str) -> Decision:
    return Decision(
        verb="capture", subject=request.id, reason=f"{request.who} brought an idea", by=request.who, source="person",
        refused=why, based_on=(request.id,),
    )  # fmt: skip


def _twin(known: list[Idea], idea: Idea) -> Idea | None:
    """The idea that this one is again: the same change, or the same words where neither has one."""
    for other in known:
        if other.state == "refused":
            continue
        if idea.ready():
            if (other.params, other.change) == (idea.params, idea.change):
                return other
        elif not other.ready() and alike(other.text, idea.text):
            return other
    return None


def alike(one: str, other: str) -> bool:
    """Say whether two texts are the same idea in almost the same words."""
    a, b = plain(one), plain(other)
    if not a or not b:
        return one.split() == other.split()  # without a word: signs and emoji
    return len(a) == len(b) and all(map(_same_word, a, b))


def plain(text: str) -> list[str]:
    """The words of a text, without what does not make it another idea: case, spaces, punctuation."""
    return re.findall(r"\w+", text.casefold())


def _same_word(one: str, other: str) -> bool:
    """Say whether two words differ by no more than an ending. A number is another number, and increase is not decrease."""
    short, long = sorted((one, other), key=len)
    return one == other or (long.startswith(short) and len(long) - len(short) <= ENDING and long.isalpha())


def misfit(study: Study | None, params: Mapping[str, Value]) -> str:
    """Say why parameters cannot be tried; numbers outside the space may be, for that is often the idea."""
    known = {p.name: p for p in study.space.parameters} if study is not None else {}
    for name, value in params.items():
        if known and name not in known:
            return f"{name} is not a parameter of the study; expected one of {', '.join(sorted(known))}"
        axis = known.get(name)
        wants_number = axis is not None and axis.kind != "categorical"
        if wants_number and isinstance(value, (str, bool)):
            return f"{name} = {value!r} is not a number, and {name} is one"
        if axis is not None and axis.kind == "categorical" and value not in axis.choices:
            return f"{name} = {value!r} is not one of its choices: {', '.join(map(str, axis.choices))}"
    return ""

"""Code ideas on their way to a run: tried on the study's code when they come, refused where they may not run."""

from dataclasses import replace
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.examinations import Examination, Likeness
from secondshift.records.ideas import Idea
from secondshift.records.likeness import twin
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.trials import Candidate
from secondshift.runtime import canaries, workspaces
from secondshift.runtime.describing import described
from secondshift.runtime.originals import OtherCode
from secondshift.runtime.repositories import Base, ChangeUnusable, TryLater
from secondshift.runtime.workspaces import BaseMoved, Change, ChangeRefused, Ground

Refusal = ChangeRefused | ChangeUnusable | BaseMoved | OtherCode
Looks = dict[tuple[str, str, str], Likeness]  # by idea, change, and the candidate on whose code it was tried
REFUSALS = (ChangeRefused, ChangeUnusable, BaseMoved, OtherCode)
MOST_TRIES = 5  # of a program that gives no answer, before the change is refused for it


def ground_of(state: State, private: Path, place: Path) -> Ground:
    """Where the study of a state lies."""
    if state.study is None:
        raise ValueError("There is no study in this state. Expected study.opened before it; the ledger is out of order.")
    return Ground(private=private, place=place, study=state.study)


def newcomers(
    state: State, private: Path, place: Path, examined: set[str], late: dict[str, int], looks: Looks | None = None
) -> list[facts.Payload]:
    """Refuse the ideas that came in with a change that may not run or does not apply; each is looked at once by an engine.

    All at one call: one that is not looked at yet would become a candidate meanwhile, and spend a share of the error budget. Only
    canaries, which have no change before they are made here, are made one at a call: that takes git a while.
    late: how often there was no answer, by what was asked about. looks: what others found of changes a moment ago, taken from here.
    """
    looks = {} if looks is None else looks
    out: list[facts.Payload] = []
    alike: dict[str, Likeness] = {}
    bases: dict[str, Base] = {}  # what changes are made on, read once for all that came in together
    unmade = [idea.id for idea in state.ideas.values() if idea.canary and idea.state == "open" and not idea.change]
    for came in state.ideas.values():
        made = _canary(state, came, private, place, late) if came.id in unmade[:1] else []
        idea = made[0].idea if made else came
        out += made
        key, code = f"{idea.id} {idea.change} {state.baseline}", _code(state, idea)
        if idea.state != "open" or not idea.change or idea.candidate or (key in examined and code in state.examinations):
            continue
        ground, on = ground_of(state, private, place), _code_of(state, state.baseline)
        try:
            like = looks.pop((idea.id, idea.change, on), None)
            if like is None:
                bases[on] = bases.get(on) or workspaces.made_on(ground, on)
                base, commit = workspaces.examined(ground, Change(digest=idea.change, on=on), bases[on])
                like = described(private, ground.command_folder(), commit, "" if on else base.commit)
        except (*REFUSALS, TryLater) as problem:
            why = final(problem, key, late)
            out += [refused(state, idea, why)] if why is not None else []
        else:
            examined.add(key)
            noted = Examination(code=code, likeness=like)
            out += [facts.ChangeExamined(examination=noted)] if code not in state.examinations else []
            same = "" if idea.canary else _same(state, idea, like, alike)
            out += [refused(state, idea, ChangeRefused(same))] if same else []
    return out


def _code(state: State, idea: Idea) -> str:
    """The code that a candidate of an idea has."""
    before = state.candidates[state.baseline].code if state.baseline else ""
    return "+".join(filter(None, (before, idea.change)))


def _same(state: State, idea: Idea, like: Likeness, alike: dict[str, Likeness]) -> str:
    """Say that an idea's change leaves a program that was there before; "" where it does not. `alike`: ideas of this call."""
    if not like.digest:
        return "refused: it changes nothing but comments, layout or names of variables. Bring a change that does something."
    older = twin(like, {**_of_ideas(state, idea), **alike})
    if older:
        return f"refused: it leaves the same program as {older} ({state.ideas[older].state}). Bring another change."
    alike[idea.id] = like
    return ""


def _of_ideas(state: State, idea: Idea) -> dict[str, Likeness]:
    """What older ideas that are judged against the same baseline make of the study."""
    found: dict[str, Likeness] = {}
    for other in state.ideas.values():
        if other.id == idea.id or not other.candidate or other.state == "refused" or other.baseline != state.baseline:
            continue
        known = state.examinations.get(state.candidates[other.candidate].code)
        if known is not None and known.usable():
            found[other.id] = known.likeness
    return found


def _canary(state: State, idea: Idea, private: Path, place: Path, late: dict[str, int]) -> list[facts.IdeaAmended]:
    """Give a canary its change. One that cannot be made is over: where there is nothing that measures to be edited, it failed."""
    ground = ground_of(state, private, place)
    try:
        change = canaries.change_of(idea.canary, ground.study, ground.command_folder(), private)
    except (ChangeUnusable, TryLater) as problem:
        why = final(problem, f"canary {idea.id}", late)
        if why is None:
            return []
        after = replace(idea, state="refused" if idea.canary == "metric" else "undecided", answer=str(why))
        return [facts.IdeaAmended(idea=after, why=_first(why))]
    made = f"the canary {idea.canary} was made from the study as it is"
    return [facts.IdeaAmended(idea=replace(idea, change=change, answer=made), why=made)]


def final(problem: Refusal | TryLater, about: str, late: dict[str, int]) -> Refusal | None:
    """Why a change may not run; None where that is to be asked again, which is so a few times (counted in `late`)."""
    if not isinstance(problem, TryLater):
        return problem
    late[about] = late.get(about, 0) + 1
    if late[about] < MOST_TRIES:
        return None
    return ChangeUnusable(f"{problem} It was tried {late.pop(about)} times.")


def placed(state: State, order: Order, private: Path, place: Path) -> Order:
    """The order of an attempt of a code candidate, in a tree of its own. Raises one of REFUSALS, TryLater, OSError."""
    candidate = state.candidates[state.trials[order.trial].candidate]
    return workspaces.placed(ground_of(state, private, place), order, candidate.id, _change_of(state, candidate))


def _change_of(state: State, candidate: Candidate) -> Change:
    """What a candidate brings, and on whose code: that of its first parent."""
    parent = state.candidates.get(candidate.parents[0]) if candidate.parents else None
    before = parent.code if parent is not None else ""
    return Change(digest=candidate.code.removeprefix(before).lstrip("+"), on=_code_of(state, parent.id if parent else ""))


def refused(state: State, idea: Idea, why: Refusal) -> facts.IdeaAmended:
    """What becomes of an idea that may not run as it is: it is refused, with the reason and, where there is one, the diff.

    One that was made on code that is not there any more is open again: nothing speaks against it.
    """
    after = replace(idea, state="refused", answer=str(why))
    if isinstance(why, BaseMoved):
        after = replace(idea, state="open", candidate="", baseline="", first_pair=state.next_pair, answer=str(why))
    return facts.IdeaAmended(idea=after, why=_first(why))


def not_placed(state: State, trial: str, why: Refusal) -> list[facts.Payload]:
    """What becomes of a trial that may not run, of those that wait for the same candidate, and of its idea.

    An idea that has its verdict keeps it: that its code, as a baseline say, cannot run now says nothing against it.
    """
    candidate = state.candidates[state.trials[trial].candidate]
    waiting = (name for name in state.open if state.trials[name].candidate == candidate.id)
    ended = [name for name in waiting if name == trial or state.attempt_of(name) is None]
    closed = [facts.TrialClosed(trial=name, status="stopped", reason=_first(why), decision="") for name in ended]
    idea = state.ideas.get(candidate.idea)
    known = idea is not None and idea.candidate == candidate.id and not idea.settled()
    return [*closed, *([refused(state, idea, why)] if known and idea else [])]


def _first(why: Refusal) -> str:
    return str(why).splitlines()[0]


def _code_of(state: State, name: str) -> str:
    """A candidate by its name if it has code of its own; "" where it runs in the study's working tree."""
    candidate = state.candidates.get(name)
    return name if candidate is not None and candidate.code else ""

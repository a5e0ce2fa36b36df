"""The inbox as windows show it: every idea with its state, its answer and what fresh seeds say of it."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.readmodel import spending
from secondshift.interfaces.readmodel.objectives import written
from secondshift.records.events import ChangeBranched, Event, IdeaAmended, IdeaCaptured, RequestReceived, VerdictReached
from secondshift.records.guards import guard_of
from secondshift.records.ideas import FEW_PAIRS, MANY_PAIRS, SET, Idea, Verdict
from secondshift.records.nights import Statement
from secondshift.records.states import State

ORDER = ("held up", "refuted", "undecided", "exploring", "open", "refused")  # as a brief tells them


def inbox(state: State, waiting: Sequence[RequestReceived] = ()) -> list[dict[str, Any]]:
    """All ideas in the order in which they came, then those that no engine has taken in yet; for --json and the web."""
    rows = [row(state, idea) for idea in state.ideas.values()]
    for request in waiting:
        if request.verb == "idea" and request.id not in state.answered and not request.args.get("idea"):
            params = {k.removeprefix(SET): v for k, v in request.args.items() if k.startswith(SET)}
            author = str(request.args.get("author", "")) or request.who
            rows.append({
                "idea": "", "request": request.id, "state": "waiting", "text": str(request.args.get("text", "")),
                "author": author, "authors": [author], "why": str(request.args.get("why", "")), "params": params,
                "answer": "", "verdict": None, "branch": None, "spent": spending.row(spending.Spent()),
            })  # fmt: skip
    return rows


def row(state: State, idea: Idea) -> dict[str, Any]:
    """One idea as a document; numbers that are not finite are None."""
    found = state.verdicts.get(idea.id)
    return {
        "idea": idea.id, "request": idea.request, "state": idea.state, "text": idea.text, "author": idea.author,
        "authors": [idea.author, *idea.also], "why": idea.why, "params": dict(idea.params), "answer": idea.answer,
        "candidate": idea.candidate, "baseline": idea.baseline, "verdict": found and verdict_row(found),
        "branch": _branch_row(state, idea), "spent": spending.row(spending.spent_on(state, idea)),
    }  # fmt: skip


def _branch_row(state: State, idea: Idea) -> dict[str, Any] | None:
    found = state.branches.get(idea.id)
    return None if found is None else {"name": found.name or None, "commit": found.commit or None, "problem": found.problem or None}


def verdict_row(found: Verdict) -> dict[str, Any]:
    """One verdict as a document."""
    numbers = ("effect", "low", "high", "log_evidence", "level", "pairing", "pairs_left", "device_s_left", "guard_value")
    return {
        "decision": found.decision, "ending": found.ending, "pairs": found.pairs, "crashed": found.crashed,
        "baseline_crashed": found.baseline_crashed, "void": found.void, "reason": found.reason,
        "guard": found.guard or None, "guard_runs": found.guard_runs, "guard_baseline": found.guard_baseline,
        **{name: _finite(getattr(found, name)) for name in numbers},
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def named(idea: Idea) -> str:
    """An idea in its author's words, or its change where there are none."""
    return idea.text or written(idea.params) or "—"


def told(state: State, ideas: Iterable[Idea]) -> list[Statement]:
    """One statement for each idea, in the order of a brief."""
    ranked = sorted(ideas, key=lambda idea: (ORDER.index(idea.state), idea.number()))
    return [statement(state, idea) for idea in ranked]


def _short(answer: str) -> str:
    """An answer without the part of a change that it is about, which stands below it."""
    return answer.partition("\n")[0] or "—"


def statement(state: State, idea: Idea) -> Statement:
    """Say what became of an idea."""
    found = state.verdicts.get(idea.id)
    who = ", ".join((idea.author, *idea.also))
    values: dict[str, str | int | float] = {"idea": idea.id, "text": named(idea), "author": who}
    unsaid, unsettled = found is None or not found.pairs, found is None or found.ending == "unsettled"
    if idea.canary and (unsaid or unsettled) and idea.state not in ("exploring", "refused"):
        key = {"open": "flying", "refuted": "failed"}.get(idea.state, "stray")
        return Statement(key=f"ideas.canary_{key}", values={**values, "reason": _short(idea.answer)})
    if idea.state in ("refused", "open") or found is None or unsaid:
        key = {"refused": "refused", "open": "open"}.get(idea.state, "begun")
        if key == "open" and not (idea.params or idea.change):
            key = "words"
        return Statement(key=f"ideas.{key}", values={**values, "reason": _short(idea.answer)})
    values |= {
        "effect": found.effect, "low": found.low, "high": found.high, "pairs": found.pairs,
        "metric": state.study.objective.metric if state.study else "", "crashed": found.crashed,
        "baseline_crashed": found.baseline_crashed,
    }  # fmt: skip
    if idea.settled() and state.study is not None and idea.revision != state.study.revision:
        values["revision"] = idea.revision
        return Statement(key=f"ideas.earlier_{idea.state.replace(' ', '_')}", values=values)
    values |= _of_guard(found)
    if idea.state in ("held up", "refuted"):
        ending = found.ending.replace(" ", "_")
        return Statement(key=f"ideas.{ending}", values={**values, "evalue": math.exp(min(found.log_evidence, 700.0)),
                                                        "needed": 1.0 / found.level})  # fmt: skip
    if found.ending in ("unprotected metric", "same for every seed", "same number each time", "more time", "guard not checked"):
        return Statement(key=f"ideas.{found.ending.replace(' ', '_')}", values=values)
    if found.neither():
        return Statement(key="ideas.neither", values=values)
    if found.pairs < FEW_PAIRS:
        return Statement(key="ideas.undecided_few", values=values)
    if found.pairs_left <= MANY_PAIRS:
        cost = {"left": math.ceil(found.pairs_left), "cost_s": found.device_s_left}
        return Statement(key="ideas.undecided", values={**values, **cost})
    return Statement(key="ideas.undecided_dear", values=values)


def branch_of(state: State, idea: Idea) -> Statement | None:
    """Say which branch holds the change of an idea, or why none does; None where none was wanted."""
    found = state.branches.get(idea.id)
    if found is None or found.candidate != idea.candidate:
        return None
    values = {"idea": idea.id, "branch": found.name, "commit": found.commit[:10], "reason": found.problem}
    return Statement(key="ideas.branch" if found.name else "ideas.no_branch", values=values)


def _of_guard(found: Verdict) -> dict[str, str | int | float]:
    """What a verdict says of the guard that it ends by."""
    guard = guard_of(found.guard)
    if guard is None:
        return {}
    over, side = abs(found.guard_value - guard.limit), "guard_high" if guard.from_above() else "guard_low"
    return {"guard": found.guard, "guard_value": found.guard_value, "guard_over": over, "guard_side_word": side,
            "guard_runs": found.guard_runs, "guard_baseline": found.guard_baseline}  # fmt: skip


def story(events: Iterable[Event]) -> list[Statement]:
    """Tell the facts of one idea in order; of verdicts only the newest before each answer."""
    said: list[Statement] = []
    for event in events:
        match event.payload:
            case IdeaCaptured(idea=idea):
                values = {"author": idea.author, "when_at": idea.captured_at or event.at, "text": named(idea)}
                said.append(Statement(key="ideas.story_captured", values=values, facts=(event.seq,)))
                if idea.why:
                    why = {"author": idea.author, "why": idea.why}
                    said.append(Statement(key="ideas.story_why", values=why, facts=(event.seq,)))
            case IdeaAmended(why=why):
                said.append(Statement(key="ideas.story_amended", values={"reason": why}, facts=(event.seq,)))
            case VerdictReached(verdict=found):
                if said and said[-1].key == "ideas.story_verdict":
                    said.pop()
                values = {
                    "pairs": found.pairs, "effect": found.effect, "low": found.low, "high": found.high,
                    "evalue": math.exp(min(found.log_evidence, 700.0)), "needed": 1.0 / found.level,
                    "crashed": found.crashed, "baseline_crashed": found.baseline_crashed,
                }  # fmt: skip
                said.append(Statement(key="ideas.story_verdict", values=values, facts=(event.seq,)))
            case ChangeBranched(branch=branch):
                values = {"idea": branch.idea, "branch": branch.name, "commit": branch.commit[:10], "reason": branch.problem}
                key = "ideas.branch" if branch.name else "ideas.no_branch"
                said.append(Statement(key=key, values=values, facts=(event.seq,)))
            case _:
                pass
    return said


def pair_statements(state: State, idea: Idea) -> list[Statement]:
    """Each pair of fresh seeds of an idea that was begun: both trials and what they came to."""
    said = []
    for pair in range(idea.first_pair, state.next_pair):
        ours, theirs = (state.pairs.get(f"{name}/{pair}") for name in (idea.candidate, idea.baseline))
        if ours is None or theirs is None:
            continue
        values = {
            "pair": pair - idea.first_pair + 1, "trial": ours, "value_words": _outcome(state, ours), "baseline": theirs,
            "baseline_value_words": _outcome(state, theirs),
        }  # fmt: skip
        said.append(Statement(key="ideas.story_pair", values=values))
    return said


def _outcome(state: State, name: str) -> str:
    trial = state.trials[name]
    value = trial.objective(state.study.objective) if state.study is not None and trial.status == "complete" else None
    text = number(value) if value is not None else trial.status
    return f"{text} ({trial.mark()})" if trial.mark() else text


HOUR_S = 3600.0


def ahead(state: State, reaches: Callable[[State, float], Sequence[Any]]) -> list[Statement]:
    """What the rest of the budget, or an hour of one device where there is no cap, can settle; nothing while no cost is known."""
    left = state.device_s_left()
    time_s = HOUR_S if left is None else max(0.0, left)
    found = reaches(state, time_s)
    if not found:
        return []
    values: dict[str, str | int | float] = {"time_s": time_s}
    for name, reach in zip(("two", "one", "half"), found, strict=True):
        values |= {f"{name}_ideas": reach.ideas, f"{name}_pairs": reach.pairs}
    return [Statement(key="ideas.ahead" if left is not None else "ideas.ahead_hour", values=values)]

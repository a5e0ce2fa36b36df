"""The tools that read: what the study asks and what is left, trials and their curves, ideas and verdicts, the brief."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from secondshift import config
from secondshift.errors import ConfigInvalid, SecondshiftError
from secondshift.interfaces.mcp import arguments as asked
from secondshift.interfaces.mcp.bounds import NOTE, fitting, paged, part, shortened
from secondshift.interfaces.plain import clean, one_line
from secondshift.interfaces.readmodel import forecasts, guards, ideas, overview, reasons, requests, trials
from secondshift.interfaces.readmodel.objectives import current, ranked
from secondshift.interfaces.readmodel.waiting import outlook
from secondshift.records.answers import waiting
from secondshift.records.states import State
from secondshift.records.studies import Objective, Parameter, Study, Value
from secondshift.records.trials import Trial
from secondshift.runtime.spool import pending

if TYPE_CHECKING:  # windows nest deep; only the names of types are needed
    from secondshift.interfaces.mcp.door import Door, Seen

BRIEF_PART = 12_000  # letters of a brief in one answer
TOLD = 10  # ideas that `study` tells of
AXES_ROOM, SOME_ROOM, OUTPUT_ROOM = 5000, 2500, 5000  # letters of parts of an answer


def study(door: Door, _: asked.Nothing) -> dict[str, Any]:
    """Read the study: objective, search space, baseline, what is left of the budget, and what was tried and how it ended."""
    with door.looking() as seen:
        found, state = _study_of(seen), seen.state
        answered = [idea for idea in state.ideas.values() if idea.state not in ("open", "exploring")]
        counts = {name: sum(idea.state == name for idea in state.ideas.values()) for name in ideas.ORDER}
        wants = [one for one in state.incidents.values() if waiting(state, one) is not None]
        lines = [overview.engine_line(state, seen.holder), overview.shift_line(state)]
        lines += [*overview.upcoming(state, len(pending(seen.folder)), time.time()), *guards.lines(state), *forecasts.lines(state)]
        return {
            "note": NOTE,
            "you_are": door.who,
            **_question(found),
            "baseline": _baseline(state, found),
            "best_seen": _best(state, found.objective),
            "budgets": overview.budgets(state, time.time()),
            "device_s_left": state.device_s_left(),
            "trials": {status: n for status, n in state.statuses.items() if n},
            "ideas": {name: n for name, n in counts.items() if n},
            "tried": door.say(ideas.told(state, answered[-TOLD:])),
            "now": door.say(lines),
            "waits_for_a_person": len(wants),
        }


def _study_of(seen: Seen) -> Study:
    """The study as it was recorded, or as its file says before the first shift."""
    if seen.state.study is not None:
        return seen.state.study
    try:
        return config.load_study(seen.file)
    except ConfigInvalid as mistake:
        raise SecondshiftError(f"No shift was recorded yet, and the study file has mistakes: {clean(str(mistake))}") from mistake


def _question(found: Study) -> dict[str, Any]:
    objective = found.objective
    axes = fitting([_axis(parameter) for parameter in found.space.parameters], AXES_ROOM)
    return {
        "study": one_line(found.name),
        "revision": found.revision,
        "objective": {"metric": objective.metric, "goal": objective.goal, "at": objective.at, "min_effect": objective.min_effect,
                      "guards": fitting(objective.guards, SOME_ROOM // 2), "also": objective.also and objective.also.metric},
        "horizon_steps": found.horizon_steps,
        "parameters": axes,
        "more_parameters": len(found.space.parameters) - len(axes),
        "constraints": fitting([one_line(text) for text in found.space.constraints], SOME_ROOM // 2),
        "code_ideas": "can hold up: the study's own evaluator judges them" if found.evaluate
        else "can be refuted and never hold up: the study names no [evaluate]",
    }  # fmt: skip


def _axis(parameter: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {"name": parameter.name, "default": _short(parameter.default)}
    if parameter.kind == "categorical":
        told["choices"] = [_short(choice) for choice in parameter.choices[:20]]
    else:
        told |= {"kind": parameter.kind, "low": parameter.low, "high": parameter.high, "log": parameter.log}
    when = {name: [_short(value) for value in values[:20]] for name, values in parameter.when.items()}
    return {**told, **({"only_when": when} if when else {})}


def _short(value: Value | None) -> Value | None:
    return one_line(value, limit=60) if isinstance(value, str) else value


def _baseline(state: State, found: Study) -> dict[str, Any]:
    known = state.candidates.get(state.baseline)
    if known is not None:
        return {"candidate": known.id, "params": shortened(known.params), "idea": known.idea or None, "code": bool(known.code)}
    defaults = {p.name: p.default for p in found.space.parameters if p.default is not None}
    return {"candidate": None, "params": shortened(defaults), "idea": None, "code": False}


def _best(state: State, objective: Objective) -> dict[str, Any] | None:
    best = next(iter(ranked(objective, [t for t in current(state) if t.status == "complete"])), None)
    if best is None:
        return None
    told = {"trial": best.id, "value": best.objective(objective), "params": shortened(_params(state, best))}
    return {**told, "means": "seen on one seed, not proved: the best of many is lucky too"}


def _params(state: State, trial: Trial) -> Mapping[str, Value]:
    candidate = state.candidates.get(trial.candidate)
    return trial.params or (candidate.params if candidate is not None else {})


def list_trials(door: Door, wanted: asked.Trials) -> dict[str, Any]:
    """List trials, the newest or the best first: parameters, status, objective, and why they ended."""
    with door.looking() as seen:
        state = seen.state
        found = [t for t in reversed(list(state.trials.values())) if _wanted(state, t, wanted, door.who)]
        if wanted.order == "best":
            found = ranked(state.study.objective, found) if state.study is not None else []
        held = wanted.offset + wanted.limit
        rows = [_row(state, t) if wanted.offset <= n < held else t.id for n, t in enumerate(found)]
        return {"note": NOTE, **paged("trials", rows, wanted.offset, wanted.limit)}


def _wanted(state: State, trial: Trial, wanted: asked.Trials, who: str) -> bool:
    if wanted.status and trial.status != wanted.status:
        return False
    if wanted.fresh_seeds is not None and (trial.pair >= 0) != wanted.fresh_seeds:
        return False
    candidate = state.candidates.get(trial.candidate)
    return not wanted.mine or (candidate is not None and candidate.by == who)


def _row(state: State, trial: Trial) -> dict[str, Any]:
    row, candidate = overview.trial_row(state, trial, time.time()), state.candidates.get(trial.candidate)
    kept = {name: row[name] for name in ("trial", "status", "candidate", "seed", "steps", "last", "best", "device_s")}
    return {
        **kept,
        "params": shortened(row["params"]),
        "by": one_line(candidate.by, limit=60) if candidate is not None else "",
        "fresh_seed": trial.pair >= 0,
        "idea": candidate.idea or None if candidate is not None else None,
        "mark": trial.mark() or None,
        "reason": one_line(row["reason"], limit=200),
    }


def show_trial(door: Door, wanted: asked.Trial) -> dict[str, Any]:
    """Show one trial: parameters, attempts and how they ended, metrics, the last lines it printed, and why it is where it is."""
    with door.looking() as seen:
        found = seen.trial(wanted.trial)
        assert seen.desk is not None, "a state with trials was read from a ledger"
        doc = trials.document(seen.desk.ledger, seen.state, seen.folder, found, now=time.time(), lines=wanted.lines)
        story = reasons.story(reasons.trial_events(seen.desk.ledger, found.id))
        story += outlook(seen.state, found, engine_alive=seen.holder.life in ("alive", "remote"))
    kept = ("points", "last", "last_step", "low", "high")
    metrics = [{"metric": one_line(name, limit=80), **{k: one[k] for k in kept}} for name, one in doc["metrics"].items()]
    printed = doc["output"][-wanted.lines :] if wanted.lines else []
    return {
        "note": NOTE,
        **_row(seen.state, found),
        "horizon_steps": doc["horizon_steps"],
        "guards": fitting(doc["guards"], SOME_ROOM),
        "forecast": doc["forecast"],
        "metrics": fitting(metrics, SOME_ROOM),
        "more_metrics": len(metrics) - len(fitting(metrics, SOME_ROOM)),
        "attempts": [_attempt(attempt) for attempt in doc["attempts_list"][-5:]],
        "checkpoints": [c["step"] for c in doc["checkpoints"] if c["fate"] == "kept"][-10:],
        "sentences": door.say(story[-10:]),
        "training_output": fitting(printed[::-1], OUTPUT_ROOM)[::-1],  # the last ones, where there is no room for all
    }


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    ended = attempt["exit"] or {}
    told = {name: attempt[name] for name in ("attempt", "from_step", "until_step", "device_s")}
    how = {name: ended.get(name) for name in ("code", "signal", "cause", "elapsed_s")}
    return {**told, "ended": bool(ended), **how, "training_output": one_line(str(ended.get("message", "")), limit=300)}


def read_curve(door: Door, wanted: asked.Curve) -> dict[str, Any]:
    """Read the curve of a trial, thinned to its own points with lows and highs kept. Steps count from 0."""
    with door.looking() as seen:
        found = seen.trial(wanted.trial)
        assert seen.desk is not None, "a state with trials was read from a ledger"
        metric = wanted.metric or (seen.state.study.objective.metric if seen.state.study is not None else "")
        known = seen.desk.ledger.metrics(found.id)
        if metric not in known:
            there = ", ".join(one_line(name, limit=80) for name in known[:40]) or "none yet"
            raise SecondshiftError(f"{found.id} has no metric {metric!r}; it has {there}.")
        series = seen.desk.ledger.series(found.id, metric, points=wanted.points)
    values = [_finite(float(value)) for value in series.values]
    return {"note": NOTE, "trial": found.id, "metric": one_line(metric, limit=80), "status": found.status,
            "points": len(values), "steps": [int(step) for step in series.steps], "values": values}  # fmt: skip


def _finite(value: float) -> float | str:
    """Seven digits, or the word for what is no number."""
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


def list_ideas(door: Door, wanted: asked.Ideas) -> dict[str, Any]:
    """List ideas, the newest first: what they change, their state and answer, and what fresh seeds say so far."""
    with door.looking() as seen:
        rows = ideas.inbox(seen.state, pending(seen.folder))
    rows = [row for row in reversed(rows) if (not wanted.state or row["state"] == wanted.state)]
    rows = [_idea_row(row, 200) for row in rows if not wanted.mine or door.who in row["authors"]]
    return {"note": NOTE, **paged("ideas", rows, wanted.offset, wanted.limit)}


def _idea_row(row: Mapping[str, Any], most: int) -> dict[str, Any]:
    """An idea; `most` letters of each text."""
    found = row["verdict"]
    keys = ("decision", "ending", "pairs", "effect", "low", "high", "crashed")
    return {
        "idea": row["idea"] or None,
        "request": row["request"],
        "state": row["state"],
        "text": one_line(row["text"], limit=most),
        "why": one_line(row["why"], limit=most),
        "authors": [one_line(author, limit=60) for author in row["authors"][:8]],
        "params": shortened(row["params"]),
        "answer": one_line(row["answer"], limit=2 * most),
        "verdict": found and {name: found[name] for name in keys},
    }


def show_idea(door: Door, wanted: asked.Idea) -> dict[str, Any]:
    """Show one idea with its verdict: every pair of fresh seeds, the evidence, and its story. A verdict can only be read."""
    with door.looking() as seen:
        found = seen.idea(wanted.idea)
        assert seen.desk is not None, "a state with ideas was read from a ledger"
        told = ideas.story(seen.desk.ledger.read(subject=found.id))
        row, pairs = ideas.row(seen.state, found), ideas.pair_statements(seen.state, found)
        standing = ideas.statement(seen.state, found)
    return {
        "note": NOTE,
        **_idea_row(row, 1500),
        "candidate": found.candidate or None,
        "baseline": found.baseline or None,
        "code": bool(found.change),
        "verdict": row["verdict"],
        "sentences": door.say([*told[-8:], standing]),
        "pairs": door.say(pairs[-20:], 20),
    }


def read_brief(door: Door, wanted: asked.Brief) -> dict[str, Any]:
    """Read the brief of a shift as Markdown, part by part: what happened in the night, what held up, what it cost."""
    with door.looking() as seen:
        if seen.desk is None or not _any(seen.desk.ledger.read(kinds=("shift.started",))):
            raise SecondshiftError("No shift is recorded in this study yet, so there is no brief. `study` reads the question.")
        name, whole = door.brief_of(seen, wanted.shift, door.lang)
        text, after = part(whole, wanted.offset, BRIEF_PART)
    return {"note": NOTE, "shift": name, "text": text, "next_offset": after}


def _any(events: Iterable[Any]) -> bool:
    return any(True for _ in events)


def show_request(door: Door, wanted: asked.Request) -> dict[str, Any]:
    """Say what came of something that was asked for: it waits, was recorded, done, or refused with the reason."""
    with door.looking() as seen:
        found = requests.fate(seen.folder, seen.desk.ledger if seen.desk is not None else None, wanted.request)
    if found is None:
        raise SecondshiftError(f"Nobody asked for anything under {wanted.request!r}. Expected the id that asking gave.")
    return {"note": NOTE, **found}

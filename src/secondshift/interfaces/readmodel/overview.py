"""What a study is doing now, as one document: what `status` shows and any other window can."""

import math
from dataclasses import dataclass
from typing import Any

from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel import forecasts
from secondshift.interfaces.readmodel.fronts import points
from secondshift.interfaces.readmodel.guards import rows
from secondshift.interfaces.readmodel.objectives import best_yet, current
from secondshift.interfaces.readmodel.waiting import names
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who works, or worked last, on the study."""

    life: str  # alive, remote, dead, left, never
    name: str = ""  # host:pid
    since: float = 0.0  # UTC seconds


def engine_line(state: State, holder: Holder) -> Statement:
    """One sentence on the engine: working since when, or not running and what to do."""
    values = {"holder": holder.name, "since_at": holder.since, "n": len(state.attempts)}
    key = holder.life
    if key == "dead" and not state.attempts:
        key = "dead_idle"
    return Statement(key=f"status.engine_{key}", values=values)


def tier_line(study: Study | None) -> Statement | None:
    """One sentence where the tier that the study file names is not used, or used without a proof."""
    if study is None or study.proof not in ("missing", "stale", "failed", "trusted"):
        return None
    return Statement(key=f"told.tier_{study.proof}", values={"tier": study.tier_offered()})


def shift_line(state: State) -> Statement:
    """One sentence on the shift."""
    if state.shift is None:
        return Statement(key="status.no_shift")
    values = {"shift": state.shift.id, "since_at": state.shift.started_at, "until_at": state.shift.deadline_at or 0.0}
    return Statement(key="status.shift_until" if state.shift.deadline_at else "status.shift_open", values=values)


def trial_row(state: State, trial: Trial, now: float) -> dict[str, Any]:
    """One trial: progress in steps, objective, time to go (seconds, None if unknown), spend (device-seconds)."""
    study = state.study
    attempt = state.attempt_of(trial.id) if trial.status == "running" else None
    horizon = study.horizon_steps if study else 0
    done = max(trial.logged_step + 1, trial.steps_done)
    candidate = state.candidates.get(trial.candidate)
    used = now - attempt.started_at if attempt and attempt.started_at else 0.0
    return {
        "trial": trial.id,
        "status": trial.status,
        "assisted": trial.assisted,
        "inherits": {"trial": trial.inherits.trial, "step": trial.inherits.step} if trial.inherited() else None,
        "held": trial.held or None,
        "guards": rows(state, trial),
        "forecast": forecasts.row(state, trial),
        "reason": one_line(trial.reason),
        "candidate": trial.candidate,
        "seed": trial.seed,
        "params": dict(trial.params or (candidate.params if candidate else {})),
        "steps": done,
        "until_step": trial.until_step,
        "horizon_steps": horizon,
        "progress": min(1.0, done / horizon) if horizon else 0.0,
        "last": study and trial.objective(study.objective),
        "best": study and best_yet(study.objective, trial.metrics),
        "eta_s": eta(trial, attempt, horizon, now),
        "finish_s": finish(trial, horizon, used, done),
        "device_s": trial.device_s + max(0.0, used),
        "attempts": trial.attempts,
        "attempt": attempt.id if attempt else None,
        "pid": attempt.pid or None if attempt else None,
    }


def eta(trial: Trial, attempt: Attempt | None, horizon: int, now: float) -> float | None:
    """Seconds to the end of what the trial may run now, at the pace of its present attempt; None if there is no pace yet."""
    if attempt is None or not attempt.started_at:
        return None
    done, spent = trial.logged_step + 1 - attempt.from_step, now - attempt.started_at
    left = (trial.until_step or horizon) - (trial.logged_step + 1)
    if done <= 0 or spent <= 0 or left < 0:
        return None
    return left * spent / done


def finish(trial: Trial, horizon: int, used_s: float, done: int) -> float | None:
    """Device-seconds from where an open trial is to the horizon, at its pace so far; None if there is no pace yet."""
    spent = trial.device_s + max(0.0, used_s)
    if not trial.open() or done <= 0 or spent <= 0 or done >= horizon:
        return None
    return (horizon - done) * spent / done


def shift_left(state: State, now: float) -> float | None:
    """Seconds until all open trials would be trained to the end at the pace so far; None while nothing is known of it.

    An upper bound where a scheduler stops trials early.
    """
    if state.study is None or state.shift is None or not state.attempts:
        return None
    rows = [trial_row(state, t, now) for t in state.trials.values() if t.attempts]
    steps, spent = sum(r["steps"] for r in rows), sum(r["device_s"] for r in rows)
    if steps <= 0 or spent <= 0:
        return None
    horizon = state.study.horizon_steps
    to_do = sum(max(0, horizon - max(t.logged_step + 1, t.steps_done)) for t in (state.trials[i] for i in state.open))
    return to_do * spent / steps / max(1, min(state.shift.slots, len(state.open)))


def budgets(state: State, now: float) -> list[dict[str, Any]]:
    """Each budget with its cap (None: not capped), what is spent, set aside, and left."""
    budget = state.study.budget if state.study else None
    if budget is None:
        return []
    spend = state.spend
    wall = spend.wall_s + (max(0.0, now - state.shift.started_at) if state.shift else 0.0)
    rows = [
        _budget("device_s", budget.device_s, spend.settled_device_s, spend.reserved_device_s),
        _budget("wall_s", budget.wall_s, wall, 0.0),
        _budget("trials", budget.trials, len(state.trials) - len(state.pairs), 0),
    ]
    if budget.usd_per_device_s is not None:
        price = budget.usd_per_device_s
        used, reserved = spend.settled_device_s * price + spend.agents_usd, spend.reserved_device_s * price + spend.reserved_usd
        rows.append(_budget("money_usd", budget.money_usd, used, reserved))
    return [*rows, *_of_agent(state)]


def _of_agent(state: State) -> list[dict[str, Any]]:
    """What calls of the agent took of what they may take."""
    study, spend = state.study, state.spend
    if study is None or not study.agent.command:
        return []
    rows = [] if study.agent.turns is None else [_budget("calls", study.agent.turns, len(state.calls), 0)]
    if study.agent.price_usd is not None:
        rows.append(_budget("agents_usd", study.agent.money_usd, spend.agents_usd, spend.reserved_usd))
    return rows


def _budget(name: str, cap: float | None, spent: float, reserved: float) -> dict[str, Any]:
    left = None if cap is None else cap - spent - reserved
    return {"budget": name, "cap": cap, "spent": spent, "reserved": reserved, "left": left}


def upcoming(state: State, requests: int, now: float) -> list[Statement]:
    """What happens next: rungs, queue, pauses, requests, the deadline."""
    lines: list[Statement] = []
    if state.ending:
        lines.append(Statement(key="status.next_ending", values={"reason": state.ending}))
    running = list(state.running())
    if running:
        nearest = min(running, key=lambda t: t.until_step - t.logged_step)
        values = {"n": len(running), "trial": nearest.id, "step": nearest.until_step}
        lines.append(Statement(key="status.next_running", values=values))
    queued = [t.id for t in state.waiting("queued")]
    paused = [t.id for t in state.waiting("paused") if not t.held and not t.rests]
    held, rest = ([t.id for t in state.waiting("paused") if so(t)] for so in (lambda t: t.held, lambda t: t.rests and not t.held))
    if queued:
        lines.append(Statement(key="status.next_queued", values={"n": len(queued), "trial": queued[0]}))
    if paused:
        lines.append(Statement(key="status.next_paused", values={"n": len(paused), "trials": names(paused)}))
    if held:
        lines.append(Statement(key="status.next_held", values={"n": len(held), "trials": names(held)}))
    if rest:
        lines.append(Statement(key="status.next_rest", values={"n": len(rest), "trials": names(rest)}))
    if not (running or queued or paused or held or rest):
        lines.append(Statement(key="status.next_nothing"))
    judged = [idea.id for idea in state.ideas.values() if idea.state == "exploring"]
    if judged:
        values = {"n": len(judged), "idea_list": ", ".join(judged[:8]) + ("…" if len(judged) > 8 else "")}
        lines.append(Statement(key="status.next_ideas", values=values))
    left = shift_left(state, now)
    if left is not None:
        lines.append(Statement(key="status.next_all_done", values={"left_s": left}))
    if requests:
        lines.append(Statement(key="status.next_requests", values={"n": requests}))
    if state.shift and state.shift.deadline_at and state.shift.deadline_at > now:
        lines.append(Statement(key="status.next_deadline", values={"left_s": state.shift.deadline_at - now}))
    return lines


def overview(state: State, holder: Holder, *, requests: int, now: float) -> dict[str, Any]:
    """The whole document. `now` is UTC seconds, `requests` counts those still in the spool."""
    order = {"running": 0, "paused": 1, "queued": 2}
    open_trials = sorted((state.trials[i] for i in state.open), key=lambda t: order.get(t.status, 3))
    shift = state.shift
    return {
        "study": state.study.name if state.study else None,
        "revision": state.study.revision if state.study else None,
        "objective": state.study.objective.metric if state.study else None,
        "goal": state.study.objective.goal if state.study else None,
        "front": front(state),
        "tier": state.study
        and {"used": state.study.tier, "offered": state.study.tier_offered(), "proof": state.study.proof,
             "faults": list(state.study.faults)},
        "engine": {"life": holder.life, "holder": holder.name, "since": holder.since or None},
        "shift": shift
        and {"id": shift.id, "started_at": shift.started_at, "deadline_at": shift.deadline_at, "slots": shift.slots},
        "ending": state.ending or None,
        "counts": {status: n for status, n in state.statuses.items() if n},
        "imported": len(state.imported),
        "budgets": budgets(state, now),
        "trials": [trial_row(state, t, now) for t in open_trials],
        "incidents": [
            {
                "id": i.id,
                "subject": i.subject,
                "finding": one_line(i.finding),
                "action": one_line(i.action),
                "opened_at": i.opened_at,
            }
            for i in state.incidents.values()
        ],
        "requests": requests,
        "last_event": state.last_seq,
        "last_at": state.last_at or None,
        "now": now,
    }


def front(state: State) -> list[str]:
    """The trials on the front of two objectives, the best of the first one first; none where the study names no second."""
    found = points(state.study.objective, current(state)) if state.study is not None else []
    return [point.trial.id for point in found if point.best]


def finite(value: float | None) -> bool:
    """Say whether there is a number that can be drawn."""
    return value is not None and math.isfinite(value)

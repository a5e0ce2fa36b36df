"""One trial in full, as one document: what `show` shows."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from secondshift.interfaces.plain import clean, one_line
from secondshift.interfaces.readmodel.environments import elsewhere, moved
from secondshift.interfaces.readmodel.fronts import row
from secondshift.interfaces.readmodel.layers import structure
from secondshift.interfaces.readmodel.objectives import current, ranked
from secondshift.interfaces.readmodel.overview import trial_row
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.events import Event
from secondshift.records.states import State
from secondshift.records.trials import Trial, best_saved

TAIL_BYTES = 64 * 1024  # of an output that are looked at for its last lines
CURVE_POINTS = 240


def document(
    ledger: Ledger, state: State, folder: Path, trial: Trial, *, now: float, lines: int = 10
) -> dict[str, Any]:
    """Everything there is to show of a trial. `folder` is the study's private folder, `lines` counts those of output."""
    events = list(ledger.read(subject=trial.id))
    attempts = attempts_of(events)
    newest = attempts[-1] if attempts else None
    output = folder / "attempts" / newest["attempt"] / "output.log" if newest else None
    metric = state.study.objective.metric if state.study else ""
    series = ledger.series(trial.id, metric, points=CURVE_POINTS)
    best = leader(state)
    return {
        **trial_row(state, trial, now),
        "milestones": [{"step": m.step, "value": m.value} for m in trial.milestones],
        "metrics": {name: _metric(summary) for name, summary in sorted(trial.metrics.items())},
        "layers": structure(trial, events),
        "curve": {
            "metric": metric,
            "steps": [int(s) for s in series.steps],
            "values": [float(v) for v in series.values],
        },
        "attempts_list": attempts,
        "checkpoints": checkpoints_of(events),
        "best_checkpoint": best_checkpoint(state, folder, trial),
        "front": row(state, trial),
        "dropped_points": trial.dropped,
        "imported": origin(state, trial),
        "fingerprint": dict(newest["fingerprint"]) if newest else {},
        "compared_with": best.id if best else None,
        "elsewhere": elsewhere(state, trial, best),
        "moved": moved(state, trial),
        "folder": str(output.parent) if output else None,
        "output_file": str(output) if output and output.exists() else None,
        "output": tail(output, lines) if output else [],
        "facts": [e.seq for e in events],
    }


def origin(state: State, trial: Trial) -> dict[str, Any] | None:
    """Where an imported trial came from; None for one of the study's own."""
    past = state.imported.get(trial.id)
    if past is None:
        return None
    return {
        "source": past.source,
        "run": past.run,
        "name": past.name,
        "seed_known": past.seed_known,
        "others": dict(past.others),
        "started_at": past.started_at or None,
        "ended_at": past.ended_at or None,
        "environment": "unknown",
    }


def leader(state: State) -> Trial | None:
    """The best complete trial of the current revision, with which others are compared; None before there is one."""
    if state.study is None:
        return None
    done = ranked(state.study.objective, [t for t in current(state) if t.status == "complete"])
    return done[0] if done else None


def _metric(summary: Any) -> dict[str, Any]:
    return {
        "points": summary.points,
        "non_finite": summary.non_finite,
        "last": summary.last,
        "last_step": summary.last_step,
        "low": summary.low,
        "low_step": summary.low_step,
        "high": summary.high,
        "high_step": summary.high_step,
    }


def attempts_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The attempts among a trial's facts, oldest first, with how each ended and what it cost."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        match event.payload:
            case facts.AttemptOrdered() as order:
                found[order.attempt] = {
                    "attempt": order.attempt, "number": order.number, "from_step": order.from_step, "until_step": order.until_step,
                    "devices": list(order.devices), "ordered_at": event.at, "pid": None, "fingerprint": {}, "exit": None,
                    "device_s": None, "event": event.seq,
                }  # fmt: skip
            case facts.AttemptStarted(attempt=a) as started if a in found:
                found[a] |= {"pid": started.pid, "started_at": event.at, "fingerprint": dict(started.fingerprint)}
            case facts.AttemptEnded(attempt=a) as ended if a in found:
                found[a]["exit"] = {
                    "code": ended.exit.code, "signal": ended.exit.signal, "cause": ended.exit.cause,
                    "elapsed_s": ended.exit.elapsed_s, "message": one_line(ended.exit.message), "event": event.seq,
                }  # fmt: skip
            case facts.ChargeSettled(charge=a) as charge if a in found:
                found[a]["device_s"] = charge.device_s
            case _:
                pass
    return list(found.values())


def checkpoints_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The checkpoints among a trial's facts, oldest first, with what became of each."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        match event.payload:
            case facts.CheckpointSaved(checkpoint=c) | facts.CheckpointInherited(checkpoint=c):
                found[c.step] = {
                    "step": c.step,
                    "folder": c.folder,
                    "bytes": c.bytes,
                    "attempt": c.attempt,
                    "objective": c.objective,
                    "fate": "kept",
                    "event": event.seq,
                }
            case facts.CheckpointRejected(step=step) if step in found:
                found[step]["fate"] = "rejected"
            case facts.CheckpointPruned(step=step) if step in found:
                found[step]["fate"] = "deleted"
            case _:
                pass
    return list(found.values())


def best_checkpoint(state: State, folder: Path, trial: Trial) -> dict[str, Any] | None:
    """The checkpoint of a trial that was saved at the best objective, where it lies; None where none is known and kept."""
    objective = state.study.objective if state.study is not None else None
    best = best_saved(state.checkpoints.get(trial.id, ()), objective) if objective is not None else None
    if best is None or objective is None:
        return None
    return {"step": best.step, "folder": str(folder / best.folder), "metric": objective.metric, "objective": best.objective}


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of an output, as data: nothing in them can steer a terminal. Empty if there is no such file."""
    try:
        with open(file, "rb") as output:
            size = output.seek(0, 2)
            output.seek(max(0, size - TAIL_BYTES))
            text = output.read(TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return [one_line(line, limit=300) for line in clean(text, limit=TAIL_BYTES).splitlines()[-lines:]] if lines else []

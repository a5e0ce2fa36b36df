"""What went wrong in a shift: failures, incidents, and what waits for a person."""

from collections.abc import Iterable

from secondshift.interfaces.brief.found import current, names
from secondshift.interfaces.brief.trace import Trace, trial_of
from secondshift.interfaces.plain import last_line, one_line
from secondshift.records.events import (
    AttemptEnded, AttemptOrdered, CheckpointRejected, Event, IncidentClosed, IncidentOpened, LeaseTaken, PointsDropped,
    ShiftAnchored,
)
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Exit, Trial

MOST_ASKED = 3
MOST_FAILURES = 8


def needs_you(night: Trace, state: State) -> Iterable[Statement]:
    """At most three things that wait for a person, each with what happens without an answer, and when."""
    asked = [*_open_incidents(night, state), *_budget_gone(night, state), *_left_paused(night, state)]
    yield from asked[:MOST_ASKED]
    if len(asked) > MOST_ASKED:
        facts = tuple(s for a in asked[MOST_ASKED:] for s in a.facts)
        yield Statement(key="needs.more", values={"n": len(asked) - MOST_ASKED}, facts=facts)
    if not asked:
        yield Statement(key="needs.nothing", facts=tuple(s for s in (night.started, night.ended) if s))


def _open_incidents(night: Trace, state: State) -> Iterable[Statement]:
    opened = {e.payload.incident.id: e.seq for e in night.of("incident.opened") if isinstance(e.payload, IncidentOpened)}
    suffix = "over" if night.ended else "running"
    for incident in state.incidents.values():
        if incident.id in opened:
            values = {"incident": incident.id, "subject": incident.subject, "finding": incident.finding}
            yield Statement(key=f"needs.incident_{suffix}", values=values, facts=(opened[incident.id],))


def _budget_gone(night: Trace, state: State) -> Iterable[Statement]:
    left = state.device_s_left()
    waiting = [t for t in current(state) if t.status in ("queued", "paused")]
    if left is not None and left <= 0 and waiting and night.ended:
        facts = tuple(seq for seq, _ in night.settled) or (night.ended,)
        yield Statement(key="needs.budget", values={"n": len(waiting), "trials": names(waiting)}, facts=facts)


def _left_paused(night: Trace, state: State) -> Iterable[Statement]:
    paused = [t for t in current(state) if t.status in ("queued", "paused") and t.id in night.trials]
    left = state.device_s_left()
    if paused and night.ended and (left is None or left > 0):
        facts = tuple(s for t in paused for s in (*night.trials[t.id].outcome(), night.trials[t.id].queued) if s)
        yield Statement(key="needs.go_on", values={"n": len(paused), "trials": names(paused)}, facts=facts)


def failed(night: Trace, state: State) -> Iterable[Statement]:
    """The trials that failed or were stopped in this shift, those with one cause together."""
    ended_here = {trial_of(e.payload.attempt) for e in night.of("attempt.ended") if isinstance(e.payload, AttemptEnded)}
    ended_here |= {e.payload.trial for e in night.of("trial.closed") if hasattr(e.payload, "trial")}
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in state.trials.values():
        if trial.status in ("failed", "stopped") and trial.id in ended_here:
            groups.setdefault((trial.status, *_why(night, trial)), []).append(trial)
    ordered = sorted(groups.items(), key=lambda g: (g[0][0] != "failed", -len(g[1])))
    for (status, reason, said), trials in ordered[:MOST_FAILURES]:
        facts = tuple(s for t in trials for s in night.trials[t.id].outcome())
        values = {"n": len(trials), "trials": names(trials), "reason": reason, "said": said}
        yield Statement(key=f"failed.{status}_said" if said else f"failed.{status}", values=values, facts=facts)
    if len(ordered) > MOST_FAILURES:
        rest = [t for _, group in ordered[MOST_FAILURES:] for t in group]
        facts = tuple(s for t in rest for s in night.trials[t.id].outcome())
        yield Statement(key="failed.more", values={"n": len(rest), "trials": names(rest)}, facts=facts)
    if not groups:
        yield Statement(key="failed.none", facts=tuple(s for s in (night.started, night.ended) if s))


def _why(night: Trace, trial: Trial) -> tuple[str, str]:
    """The recorded reason, and for a failure what the script said last."""
    ended = night.trials[trial.id].last_exit if trial.id in night.trials else None
    said = last_line(ended.exit.message) if ended and trial.status == "failed" else ""
    halted = night.trials[trial.id].halted_why if trial.id in night.trials else ""
    reason = one_line(halted if trial.status == "stopped" and halted else trial.reason) or "—"
    return reason, "" if said and said in reason else said


def incidents(night: Trace) -> Iterable[Statement]:
    """Kills and resumes, engines that died, lost points, bad checkpoints, clock jumps, and the captain's log."""
    told = [*_log(night), *_kills(night), *_engines(night), *_losses(night), *_clock(night)]
    yield from told
    if not told:
        yield Statement(key="incidents.none", facts=tuple(s for s in (night.started, night.ended) if s))


def _log(night: Trace) -> Iterable[Statement]:
    closed = {e.payload.incident: (e.seq, e.payload.outcome) for e in night.of("incident.closed") if isinstance(e.payload, IncidentClosed)}
    for event in night.of("incident.opened"):
        if not isinstance(event.payload, IncidentOpened):
            continue
        incident = event.payload.incident
        seq, outcome = closed.get(incident.id, (0, ""))
        seq, outcome = (seq, outcome) if seq or not incident.closed else (event.seq, incident.closed)
        values = {"when_at": event.at, "incident": incident.id, "subject": incident.subject, "finding": incident.finding,
                  "action": incident.action or "—", "outcome": outcome}
        key = "incidents.closed" if seq else "incidents.open"
        yield Statement(key=key, values=values, facts=tuple(dict.fromkeys((event.seq, seq or event.seq))))


def by_others(ended: Exit) -> bool:
    """Say whether the attempt was ended by something that was not us: a foreign signal, or a lost supervisor."""
    return ended.cause == "lost" or (ended.cause == "self" and ended.signal is not None)


def _kills(night: Trace) -> Iterable[Statement]:
    ends = [e for e in night.of("attempt.ended") if isinstance(e.payload, AttemptEnded)]
    killed = [e for e in ends if isinstance(e.payload, AttemptEnded) and by_others(e.payload.exit)]
    if killed:
        yield Statement(key="incidents.killed", values={"n": len(killed), "attempts": _attempts(killed)}, facts=tuple(e.seq for e in killed))
        struck = {trial_of(e.payload.attempt): e.seq for e in killed if isinstance(e.payload, AttemptEnded)}
        again = [e for e in night.of("attempt.ordered") if isinstance(e.payload, AttemptOrdered)
                 and e.payload.number > 1 and e.seq > struck.get(e.payload.trial, e.seq)]
        if again:
            yield Statement(key="incidents.resumed", values={"n": len(again), "attempts": _attempts(again)}, facts=tuple(e.seq for e in again))
    left = [e for e in ends if isinstance(e.payload, AttemptEnded) and e.payload.exit.leftovers]
    if left:
        n = sum(e.payload.exit.leftovers for e in left if isinstance(e.payload, AttemptEnded))
        yield Statement(key="incidents.leftovers", values={"n": n, "attempts": _attempts(left)}, facts=tuple(e.seq for e in left))


def _attempts(events: list[Event], most: int = 6) -> str:
    ids = [e.payload.attempt for e in events if isinstance(e.payload, AttemptEnded | AttemptOrdered)]
    return ", ".join(ids[:most]) + (f" +{len(ids) - most}" if len(ids) > most else "")


def _engines(night: Trace) -> Iterable[Statement]:
    for event in night.of("lease.taken"):
        if isinstance(event.payload, LeaseTaken) and event.payload.how in ("dead", "expired"):
            values = {"when_at": event.at, "holder": event.payload.holder}
            yield Statement(key=f"incidents.engine_{event.payload.how}", values=values, facts=(event.seq,))


def _losses(night: Trace) -> Iterable[Statement]:
    lost = [(e.seq, e.payload) for e in night.of("points.dropped") if isinstance(e.payload, PointsDropped)]
    if lost:
        values = {"n": sum(p.points for _, p in lost), "reason": lost[0][1].reason,
                  "trials": ", ".join(sorted({p.trial for _, p in lost})[:8])}
        yield Statement(key="incidents.dropped", values=values, facts=tuple(seq for seq, _ in lost))
    for event in night.of("checkpoint.rejected"):
        if isinstance(event.payload, CheckpointRejected):
            values = {"trial": event.payload.trial, "step": event.payload.step, "reason": event.payload.reason}
            yield Statement(key="incidents.rejected", values=values, facts=(event.seq,))


def _clock(night: Trace) -> Iterable[Statement]:
    for event in night.of("shift.anchored"):
        if not isinstance(event.payload, ShiftAnchored):
            continue
        if abs(event.payload.jump_s) >= 1:
            key = "incidents.clock_ahead" if event.payload.jump_s > 0 else "incidents.clock_back"
            yield Statement(key=key, values={"jump_s": abs(event.payload.jump_s), "when_at": event.at}, facts=(event.seq,))
        elif night.shift and event.payload.boot_id != night.shift.boot_id:
            yield Statement(key="incidents.reboot", values={"when_at": event.at}, facts=(event.seq,))

"""The story of a trial: what was decided about it, why, and what came of it, each sentence with its facts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from secondshift.interfaces.plain import last_line
from secondshift.interfaces.readmodel.incidents import Known, ended, gather, outcome, shape
from secondshift.interfaces.readmodel.objectives import written
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.events import Event
from secondshift.records.forecasts import COVERED
from secondshift.records.incidents import Finding, Incident
from secondshift.records.metricnames import of_script
from secondshift.records.nights import Statement
from secondshift.records.trials import Exit

FIRST_LOOK_S = 3.0  # that a script runs so soon after its start is no news
NEARBY = 500  # facts before the queuing among which its proposal is looked for first


def trial_events(ledger: Ledger, trial: str) -> list[Event]:
    """All facts about a trial, in order: its own, its candidate, the decision that proposed it, how its incidents ended."""
    own = list(ledger.read(subject=trial))
    incidents = {e.payload.incident.id for e in own if isinstance(e.payload, facts.IncidentOpened)}
    more: list[Event] = []
    if incidents:
        ends = ledger.read(own[0].seq, kinds=("incident.closed",))
        more += [e for e in ends if isinstance(e.payload, facts.IncidentClosed) and e.payload.incident in incidents]
    for event in own:
        if isinstance(event.payload, facts.TrialQueued):
            more += _origin(ledger, event.seq, event.payload)
    return sorted({e.seq: e for e in (*own, *more)}.values(), key=lambda e: e.seq)


def _origin(ledger: Ledger, queued: int, fact: facts.TrialQueued) -> list[Event]:
    for after in (max(0, queued - NEARBY), 0):
        found = [
            e for e in ledger.read(after, until=queued, kinds=("decision.made", "candidate.proposed"))
            if (isinstance(e.payload, facts.DecisionMade) and e.payload.decision.id == fact.decision)
            or (isinstance(e.payload, facts.CandidateProposed) and e.payload.candidate.id == fact.trial.candidate)
        ]  # fmt: skip
        if len(found) > 1 or after == 0:
            return found
    return []


@dataclass(kw_only=True, slots=True)
class Before:
    """What a story has told so far, as far as later sentences need it."""

    reserved: dict[str, float] = field(default_factory=dict)  # device-seconds, by charge
    incidents: dict[str, Known] = field(default_factory=dict)


def story(events: Iterable[Event]) -> list[Statement]:
    """Tell a trial's facts in order; runs of like ones (points, checkpoints, refusals) become one sentence."""
    before = Before()
    told: list[Statement] = []
    for event in events:
        gather(before.incidents, event)
        if isinstance(event.payload, facts.ChargeReserved):
            before.reserved[event.payload.charge] = before.reserved.get(event.payload.charge, 0.0) + event.payload.device_s
        teller = _TELLERS.get(type(event.payload))
        if teller is None:
            continue
        for key, values in teller(event.payload, before):
            told.append(Statement(key=key, values=values, facts=(event.seq,)))
    return list(_condensed(told))


Told = Iterator[tuple[str, dict[str, Any]]]


def _decision(fact: facts.DecisionMade, _: object) -> Told:
    d = fact.decision
    if d.verb in ("repair", "reopen"):
        return  # trial.helped and trial.reopened tell it
    key = {"propose": "proposed"}.get(
        d.verb, d.verb if d.verb in ("start", "advance", "pause", "stop", "fail") else "other"
    )
    yield (
        f"why.{key}",
        {
            "by": d.by,
            "reason": d.reason,
            "until": d.until_step,
            "step": d.step,
            "verb_word": d.verb,
            "value": d.value if d.value is not None else "?",
        },
    )


def _dropped(fact: facts.DecisionDropped, _: object) -> Told:
    yield "why.dropped", {"by": fact.decision.by, "verb_word": fact.decision.verb, "reason": fact.reason}


def _candidate(fact: facts.CandidateProposed, _: object) -> Told:
    params = written(fact.candidate.params)
    yield ("why.candidate" if params else "why.candidate_plain"), {"candidate": fact.candidate.id, "params": params}


def _queued(fact: facts.TrialQueued, _: object) -> Told:
    yield "why.queued", {"trial": fact.trial.id, "seed": str(fact.trial.seed)}


def _reserved(fact: facts.ChargeReserved, _: object) -> Told:
    yield "why.reserved", {"attempt": fact.charge, "device_s": fact.device_s}


def _settled(fact: facts.ChargeSettled, before: Before) -> Told:
    yield (
        "why.settled",
        {"attempt": fact.charge, "device_s": fact.device_s, "reserved_s": before.reserved.get(fact.charge, 0.0)},
    )


def _ordered(fact: facts.AttemptOrdered, _: object) -> Told:
    yield (
        "why.ordered",
        {
            "attempt": fact.attempt,
            "devices": ", ".join(fact.devices),
            "first": fact.from_step,
            "until": fact.until_step,
        },
    )


def _started(fact: facts.AttemptStarted, _: object) -> Told:
    yield "why.started", {"attempt": fact.attempt, "pid": str(fact.pid), "supervisor": str(fact.supervisor)}


def _asked(fact: facts.AttemptAsked, _: object) -> Told:
    yield "why.asked", {"attempt": fact.attempt, "mode_word": fact.mode}


def _closed(fact: facts.AttemptClosed, _: object) -> Told:
    yield (
        ("why.closed_stopping" if fact.stopping else "why.closed"),
        {"attempt": fact.attempt, "steps": fact.steps_done},
    )


def _ended(fact: facts.AttemptEnded, _: object) -> Told:
    exit = fact.exit
    values = {
        "attempt": fact.attempt,
        "elapsed_s": exit.elapsed_s,
        "code": str(exit.code),
        "signal": str(exit.signal),
        "said": last_line(exit.message) or "—",
        "cause_word": exit.cause,
    }
    yield f"why.{_ending(exit)}", values


def _ending(exit: Exit) -> str:
    if exit.cause in ("lost", "grant", "refused"):
        return f"end_{exit.cause}"
    if exit.cause != "self":
        return "end_asked"
    if exit.signal is not None:
        return "end_signal"
    if exit.code == 0:
        return "end_done"
    return "end_failed" if exit.message.strip() else "end_failed_mute"


def _health(fact: facts.AttemptHealth, _: object) -> Told:
    if fact.health == "running" and fact.after_s < FIRST_LOOK_S:
        return  # as it should be
    waits = fact.waits_on if fact.waits_on in ("lock", "sleep", "child", "events", "input") else ""
    key = f"why.health_{fact.health}" + (f"_{waits}" if waits else "")
    yield key, {"attempt": fact.attempt, "after_s": fact.after_s, "place": fact.waits_on or "—"}


def _logged(fact: facts.MetricsLogged, _: object) -> Told:
    own = [s for name, s in fact.metrics.items() if of_script(name)]
    points = sum(s.points for s in own)  # fact.points counts hidden ones of ours, too
    if points:
        yield "why.logged", {"attempt": fact.attempt, "points": points, "step": max(s.last_step for s in own)}


def _saved(fact: facts.CheckpointSaved, _: object) -> Told:
    yield "why.saved_own" if fact.checkpoint.own() else "why.saved", {"step": fact.checkpoint.step}


def _inherited(fact: facts.CheckpointInherited, _: object) -> Told:
    yield "why.inherited", {"source": fact.source, "step": fact.checkpoint.step}


def _drawn(fact: facts.AuditDrawn, _: object) -> Told:
    one = fact.audit
    yield "why.audit_drawn", {"n": one.population, "drawn_share": one.probability}
    if one.forecast is not None and not one.forecast.abstains:
        said = one.forecast
        yield "why.audit_expected", {"low": said.low, "high": said.high, "covered_share": COVERED}


def _audited(fact: facts.AuditEnded, _: object) -> Told:
    one = fact.audit
    if one.outcome != "ended":
        yield f"why.audit_{one.outcome}", {"best": one.best}
        return
    yield f"why.audit_{'better' if one.regret > 0 else 'ended'}", {"value": one.value, "best": one.best, "regret": one.regret}


def _rejected(fact: facts.CheckpointRejected, _: object) -> Told:
    yield "why.rejected", {"step": fact.step, "reason": fact.reason}


def _pruned(fact: facts.CheckpointPruned, _: object) -> Told:
    yield "why.pruned", {"n": 1, "reason": fact.reason}


def _unsaved(fact: facts.CheckpointFailed, _: object) -> Told:
    yield "why.unsaved", {"step": fact.step, "reason": fact.reason}


def _announced(fact: facts.ChangeAnnounced, _: object) -> Told:
    yield "why.announced", {"step": fact.step, "what": fact.what}


def _applied(fact: facts.DirectiveApplied, _: object) -> Told:
    directive = fact.directive if fact.directive in ("skip", "lr_scale", "fresh_loader") else "other"
    yield f"why.applied_{directive}", {"step": fact.step, "value": fact.value, "directive": fact.directive}


def _shut(fact: facts.TrialClosed, _: object) -> Told:
    yield "why.closed_trial", {"status_word": fact.status, "reason": fact.reason}


def _lost(fact: facts.PointsDropped, _: object) -> Told:
    yield "why.lost_points", {"n": fact.points, "reason": fact.reason}


def _incident(fact: facts.IncidentOpened, _: object) -> Told:
    incident = fact.incident
    if incident.cause:
        yield "why.incident_captain", {**shape(incident), "rung_word": f"rung_{incident.rung}"}
        yield from _retried(incident)
        return
    yield "why.incident", {"incident": incident.id, "finding": incident.finding, "action": incident.action or "—"}


def _seen(fact: facts.SymptomSeen, _: object) -> Told:
    newest: dict[tuple[str, str, int], Finding] = {}  # the same episode is seen again while it lasts
    for found in fact.findings:
        newest[found.symptom, found.stream, found.since] = found
    for found in newest.values():
        yield (
            "why.seen",
            {
                "step": found.step,
                "stream": found.stream,
                "symptom_word": f"symptom_{found.symptom}",
                "since": found.since,
                "sure_share": found.confidence,
            },
        )


def _retried(incident: Incident) -> Told:
    """When a failed attempt is tried again, where that has just been decided."""
    act = incident.retry()
    if act is not None and not act.rested:
        yield ("why.retry_after" if act.after else "why.retry_now"), {"incident": incident.id, "after_at": act.after}


def _amended(fact: facts.IncidentAmended, before: Before) -> Told:
    """How an act turned out, or that a person is asked; an act that was just begun is told by itself."""
    incident = fact.incident
    asked, act = incident.question(), incident.acts[-1] if incident.acts else None
    if asked is not None:
        words = {"suggested_word": f"remedy_{asked.suggested}", "default_word": f"remedy_{asked.default}"}
        yield "why.incident_asks", {**shape(incident), **words, "deadline_at": asked.deadline_at}
    elif act is not None and act.outcome:
        yield "why.judged", {**shape(incident), "remedy_word": f"remedy_{act.remedy}", "outcome_word": outcome(act)}
    elif incident.retry() is not None:
        yield from _retried(incident)
    elif act is None:
        yield "why.incident_more", {**shape(incident), "step": incident.step}


def _helped(fact: facts.TrialHelped, _: object) -> Told:
    act = fact.act
    who = "by_captain" if act.by == "captain" else act.by
    values = {"incident": fact.incident, "remedy_word": f"remedy_{act.remedy}", "who_word": who, "step": act.back_to}
    yield ("why.helped_back" if act.back_to >= 0 else "why.helped"), values


def _reopened(fact: facts.TrialReopened, _: object) -> Told:
    if fact.by:
        yield "why.unstopped", {"who": fact.by}
    else:
        yield "why.reopened", {}


def _incident_closed(fact: facts.IncidentClosed, before: Before) -> Told:
    known = before.incidents.get(fact.incident)
    if known is not None and known.incident.cause:
        yield "why.incident_over", {"incident": fact.incident, "ended_word": ended(known)}
        return
    yield "why.incident_closed", {"incident": fact.incident, "outcome": fact.outcome}


def _request(fact: facts.RequestReceived, _: object) -> Told:
    yield "why.request", {"who": fact.who, "verb_word": fact.verb}


def _imported(fact: facts.RunImported, _: object) -> Told:
    yield (
        "why.imported",
        {
            "source": fact.source,
            "run": fact.run,
            "who": fact.who or "?",
            "status_word": fact.status,
            "reason": fact.reason,
            "points": fact.points,
        },
    )
    if fact.supersedes:
        yield "why.imported_for", {"trial": fact.supersedes}
    yield "why.imported_where", {}


_TELLERS: dict[type, Callable[[Any, Before], Told]] = {
    facts.DecisionMade: _decision,
    facts.DecisionDropped: _dropped,
    facts.CandidateProposed: _candidate,
    facts.TrialQueued: _queued,
    facts.ChargeReserved: _reserved,
    facts.ChargeSettled: _settled,
    facts.AttemptOrdered: _ordered,
    facts.AttemptStarted: _started,
    facts.AttemptAsked: _asked,
    facts.AttemptClosed: _closed,
    facts.AttemptEnded: _ended,
    facts.AttemptHealth: _health,
    facts.MetricsLogged: _logged,
    facts.CheckpointSaved: _saved,
    facts.CheckpointInherited: _inherited,
    facts.AuditDrawn: _drawn,
    facts.AuditEnded: _audited,
    facts.CheckpointRejected: _rejected,
    facts.CheckpointPruned: _pruned,
    facts.CheckpointFailed: _unsaved,
    facts.ChangeAnnounced: _announced,
    facts.DirectiveApplied: _applied,
    facts.TrialClosed: _shut,
    facts.PointsDropped: _lost,
    facts.RunImported: _imported,
    facts.IncidentOpened: _incident,
    facts.SymptomSeen: _seen,
    facts.IncidentAmended: _amended,
    facts.TrialHelped: _helped,
    facts.TrialReopened: _reopened,
    facts.IncidentClosed: _incident_closed,
    facts.RequestReceived: _request,
}


def _condensed(told: list[Statement]) -> Iterator[Statement]:
    """Join neighbours that say the same; points and checkpoints are passed over while looking for a neighbour."""
    out: list[Statement] = []
    for statement in told:
        place = _twin(out, statement)
        if place is None:
            out.append(statement)
        else:
            joined = _join(out[place], statement)
            out[place : place + 1] = [joined]
    yield from out


def _twin(out: list[Statement], new: Statement) -> int | None:
    routine = ("why.logged", "why.saved", "why.saved_more", "why.saved_own", "why.unsaved", "why.unsaved_more",
               "why.pruned", "why.reserved", "why.seen", "why.seen_more")  # fmt: skip
    for place in range(len(out) - 1, -1, -1):
        if _alike(out[place], new):
            return place
        if new.key not in routine or out[place].key not in routine:
            return None
    return None


def _alike(old: Statement, new: Statement) -> bool:
    if new.key == "why.logged":
        return old.key == new.key and old.values["attempt"] == new.values["attempt"]
    if new.key == "why.saved":
        return old.key in ("why.saved", "why.saved_more")
    if new.key == "why.unsaved":
        return old.key in ("why.unsaved", "why.unsaved_more")
    if new.key == "why.saved_own":
        return old.key == new.key
    if new.key == "why.seen":
        return old.key in ("why.seen", "why.seen_more") and all(old.values[k] == new.values[k] for k in ("symptom_word", "stream"))
    if new.key == "why.judged":
        return old.key == new.key and old.values == new.values
    if new.key == "why.pruned":
        return old.key == new.key and old.values["reason"] == new.values["reason"]
    if new.key == "why.reserved":
        return old.key == new.key and old.values["attempt"] == new.values["attempt"]
    if new.key == "why.dropped":
        return old.key in ("why.dropped", "why.dropped_often") and all(
            old.values[k] == new.values[k] for k in ("by", "verb_word", "reason")
        )
    return False


def _join(old: Statement, new: Statement) -> Statement:
    both = (*old.facts, *new.facts)
    a: dict[str, Any] = dict(old.values)
    b: dict[str, Any] = dict(new.values)
    if new.key == "why.logged":
        return Statement(
            key=new.key,
            values={**b, "points": a["points"] + b["points"], "step": max(a["step"], b["step"])},
            facts=both,
        )
    if new.key == "why.seen":
        since, many = min(a["since"], b["since"]), a.get("n", 1) + 1
        return Statement(key="why.seen_more", values={**b, "since": since, "n": many}, facts=both)
    if new.key == "why.judged":
        return Statement(key=new.key, values=b, facts=both)
    if new.key in ("why.saved", "why.unsaved"):
        return Statement(key=f"{new.key}_more", values={**b, "n": len(both)}, facts=both)
    if new.key == "why.reserved":
        return Statement(key=new.key, values={**b, "device_s": a["device_s"] + b["device_s"]}, facts=both)
    if new.key == "why.dropped":
        return Statement(key="why.dropped_often", values={**b, "n": len(both)}, facts=both)
    return Statement(key=new.key, values={**b, "n": len(both)}, facts=both)

"""Incidents as people meet them: each as it stands, with the facts behind it, told from its fields and never from policy text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from secondshift.interfaces.messages.formats import number
from secondshift.ledger.attempts import trial_of
from secondshift.records import events as facts
from secondshift.records.answers import waiting
from secondshift.records.events import Event
from secondshift.records.incidents import Act, Finding, Incident, LayerSign, Question
from secondshift.records.nights import Statement

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.ledger.stores import Ledger
    from secondshift.records.states import State

KINDS = ("incident.opened", "incident.amended", "incident.closed", "trial.helped")
ORDER = ("asks", "held", "acting", "open", "closed")  # what a person should see first
SAVING = ("requeue", "stop_early")  # remedies that are judged by what they say they came to, and not by the level of the loss


@dataclass(kw_only=True, slots=True)
class Known:
    """One incident as it stands now, and the facts that say so."""

    incident: Incident
    opened: int  # the fact that opened it
    facts: list[int] = field(default_factory=list)  # all about it, in order
    closed_at: float = 0.0  # UTC seconds; 0: open
    outcome: str = ""  # as it was recorded

    @property
    def trial(self) -> str:
        """The trial it is about, or `shift`."""
        return trial_of(self.incident.subject)

    def take(self, event: Event) -> None:
        """Learn one more fact about it."""
        self.facts.append(event.seq)
        payload = event.payload
        if isinstance(payload, facts.IncidentAmended):
            self.incident = payload.incident
        elif isinstance(payload, facts.IncidentClosed):
            self.outcome, self.closed_at = payload.outcome or "closed", event.at


def gathered(events: Iterable[Event]) -> dict[str, Known]:
    """Every incident of these facts by its id, in the order in which they were opened. Other kinds are passed over."""
    known: dict[str, Known] = {}
    for event in events:
        gather(known, event)
    return known


def gather(known: dict[str, Known], event: Event) -> None:
    """Add one fact to what is known of incidents."""
    payload = event.payload
    if isinstance(payload, facts.IncidentOpened):
        incident = payload.incident
        known[incident.id] = Known(incident=incident, opened=event.seq, facts=[event.seq])
        if incident.closed:
            known[incident.id].outcome, known[incident.id].closed_at = incident.closed, event.at
    elif isinstance(payload, facts.IncidentAmended):
        if payload.incident.id in known:
            known[payload.incident.id].take(event)
    elif isinstance(payload, facts.IncidentClosed | facts.TrialHelped) and payload.incident in known:
        known[payload.incident].take(event)


def all_of(ledger: Ledger) -> dict[str, Known]:
    """Every incident of a study."""
    return gathered(ledger.read(kinds=KINDS))


def standing(known: Known, state: State) -> str:
    """Say how an incident stands: asks (a person), held, acting (not judged yet), open, closed."""
    if known.outcome:
        return "closed"
    incident = known.incident
    if incident.question() is not None:
        return "asks"
    if waiting(state, incident) is not None:
        return "held"
    return "acting" if incident.pending() is not None else "open"


def ordered(known: Iterable[Known], state: State) -> list[Known]:
    """The incidents with those first that wait for somebody, then the open ones, then the newest of the closed ones."""
    return sorted(known, key=lambda one: (ORDER.index(standing(one, state)), -one.opened))


def cause(incident: Incident) -> str:
    """The name of what is believed, as the catalogue has words for it."""
    return "cause_signal" if incident.cause.startswith("signal_") else f"cause_{incident.cause}"


def what(incident: Incident) -> Statement:
    """What is wrong, in a few words; an incident that is not one of the captain's says so itself."""
    if not incident.cause:
        return Statement(key="incident.plain", values={"finding": incident.finding})
    return Statement(key="incident.what", values={"cause_word": cause(incident), "since": incident.since})


def done(incident: Incident) -> str:
    """What was done, act by act, as names that the catalogue has words for."""
    if not incident.acts:
        return "done_nothing"
    return ", ".join(f"remedy_{act.remedy} ({outcome(act)})" for act in incident.acts)


def outcome(act: Act) -> str:
    """How an act turned out, as a name that the catalogue has words for."""
    return f"outcome_{(act.outcome or 'open').replace(' ', '_')}"


def ended(known: Known) -> str:
    """How an incident ended, as a name that the catalogue has words for."""
    incident = known.incident
    act = incident.acts[-1] if incident.acts else None
    if act is None:
        crashed = any(one.symptom == "crash" for one in incident.findings)
        return "ended_not_retried" if crashed else "ended_over"
    if act.remedy == "retry":
        return {"worked": "ended_retried", "failed": "ended_not_retried"}.get(act.outcome, "ended_over")
    if act.remedy in ("leave", "stop", "stop_early"):
        return f"ended_{act.remedy}"
    return "ended_helped" if act.outcome == "worked" else "ended_over"


def shape(incident: Incident) -> dict[str, str | int | float]:
    """The values that every sentence about an incident of the captain may use."""
    return {
        "incident": incident.id,
        "trial": trial_of(incident.subject),
        "cause_word": cause(incident),
        "since": incident.since,
        "sure_share": incident.confidence,
        "when_at": incident.opened_at,
        "done_words": done(incident),
    }


def asking(incident: Incident, question: Question) -> Statement:
    """What a person is asked: the suggestion, the other answers, the default and its deadline."""
    others = [option for option in question.options if option != question.suggested]
    values = {
        **shape(incident),
        "suggested": question.suggested,
        "suggested_word": f"remedy_{question.suggested}",
        "default_word": f"remedy_{question.default}",
        "others": ", ".join(others) or "—",
        "deadline_at": question.deadline_at,
    }
    return Statement(key="incident.held" if question.answer else "incident.asks", values=values)


def numbers(found: Finding) -> str:
    """The numbers of a finding, by names that the catalogue has words for."""
    return ", ".join(f"evidence_{name} {number(float(value))}" for name, value in found.evidence.items())


def told(known: Known, state: State, since_at: float = 0.0) -> list[Statement]:
    """The whole of an incident of the captain, sentence by sentence. `since_at`: when its first suspicious step was logged."""
    incident = known.incident
    values = {**shape(incident), "step": incident.step, "since_at": since_at, "rung_word": f"rung_{incident.rung}"}
    lines = [
        Statement(key="incident.since_clock" if since_at else "incident.since", values=values),
        Statement(key="incident.diagnosis", values=values),
    ]
    lines += [evidence(found) for found in _few(incident.findings)]
    lines += [layer(sign) for sign in incident.layers]
    if incident.before.metric and not any(act.remedy in SAVING for act in incident.acts):
        before = incident.before
        values = {"metric": before.metric, "value": before.value, "noise": before.noise}
        lines.append(Statement(key="incident.before", values=values))
    for place, act in enumerate(incident.acts, 1):
        lines += _act(incident, act, place)
    lines += [_answered(one) for one in incident.questions if one.answer]
    asked = None if known.outcome else waiting(state, incident)
    if asked is not None:
        lines.append(asking(incident, asked))
    if known.outcome:
        lines.append(Statement(key="incident.ended", values={"ended_word": ended(known), "when_at": known.closed_at}))
    if incident.drill:
        lines.append(Statement(key="incident.drill"))
    return [replace(line, facts=tuple(known.facts)) for line in lines]


def is_detail(line: Statement) -> bool:
    """Say whether a sentence only belongs to the act that was told before it."""
    return line.key.partition(".")[2].startswith(("act_", "undo_"))


def _few(findings: tuple[Finding, ...]) -> list[Finding]:
    """The first and the newest finding of each symptom."""
    kept: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        kept.setdefault((found.symptom, found.stream), []).append(found)
    few = [one for group in kept.values() for one in (group[:1] if len(group) == 1 else (group[0], group[-1]))]
    return sorted(few, key=lambda found: found.step)


def evidence(found: Finding) -> Statement:
    """What was seen, with its numbers."""
    values = {
        "step": found.step, "stream": found.stream, "symptom_word": f"symptom_{found.symptom}", "since": found.since,
        "lasted": found.lasted, "sure_share": found.confidence, "numbers_words": numbers(found) or "—",
    }  # fmt: skip
    return Statement(key="incident.evidence", values=values)


def layer(sign: LayerSign) -> Statement:
    """What stands out in one layer of the model."""
    values = {"layer": sign.layer, "kind_word": f"layer_{sign.kind}", "value": sign.value, "usual": sign.usual, "step": sign.step}
    return Statement(key="incident.layer", values=values)


def _act(incident: Incident, act: Act, place: int) -> list[Statement]:
    values: dict[str, str | int | float] = {
        "n": place, "remedy_word": f"remedy_{act.remedy}", "who_word": f"by_{act.by}" if act.by == "captain" else act.by,
        "when_at": act.at, "outcome_word": outcome(act), "trial": trial_of(incident.subject), "incident": incident.id,
        "step": act.back_to, "skip": ", ".join(f"{a}–{b - 1}" for a, b in act.skip), "scale": act.lr_scale,
        "attempt": act.attempt or "—",
    }  # fmt: skip
    lines = [Statement(key="incident.act", values=values)]
    if act.back_to >= 0:
        lines.append(Statement(key="incident.act_back", values=values))
    if act.after:
        lines.append(Statement(key="incident.act_after", values={"after_at": act.after}))
    if act.skip:
        lines.append(Statement(key="incident.act_skip", values=values))
    if act.lr_scale != 1.0:
        lines.append(Statement(key="incident.act_scale", values=values))
    if act.remedy in SAVING and act.seen:
        lines.append(Statement(key="incident.act_seen", values={"outcome": act.seen}))
    elif act.stood.metric and act.stood.metric == incident.before.metric:
        stood = {"metric": act.stood.metric, "value": act.stood.value, "step": act.stood.step, "before": incident.before.value}
        lines.append(Statement(key="incident.act_stood", values=stood))
    if act.undo:
        lines.append(Statement(key=f"incident.undo_{_undo(act)}", values=values))
    return lines


def _undo(act: Act) -> str:
    if act.remedy == "pause":
        return "pause"
    if act.remedy in ("stop", "stop_early"):
        return "stopped"
    return "back" if act.back_to >= 0 else "stop"


def _answered(question: Question) -> Statement:
    values = {"answer_word": f"remedy_{question.answer}", "who": question.answered_by, "when_at": question.deadline_at}
    return Statement(key="incident.by_default" if question.answered_by == "default" else "incident.answered", values=values)

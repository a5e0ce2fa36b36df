"""Which recorded facts stand behind a shift and behind each trial: one pass over the events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from secondshift.interfaces.readmodel.gates import TOLD as AT_THE_GATE
from secondshift.interfaces.readmodel.incidents import Known, gather
from secondshift.ledger.attempts import trial_of
from secondshift.records.events import (
    KIND_OF,
    AgentEnded,
    AttemptEnded,
    AttemptOrdered,
    AttemptStarted,
    BaselineMoved,
    CandidateProposed,
    ChangeBranched,
    ChargeReserved,
    ChargeSettled,
    DecisionMade,
    Event,
    ForecastMade,
    IdeaAmended,
    IdeaCaptured,
    MetricsLogged,
    Payload,
    ShiftEnded,
    ShiftStarted,
    StudyAmended,
    StudyOpened,
    TrialClosed,
    TrialEvaluated,
    TrialQueued,
    VerdictReached,
)
from secondshift.records.guards import guards_of
from secondshift.records.nights import Shift
from secondshift.records.studies import Objective
from secondshift.records.trials import Exit

# Kinds that a brief speaks of one by one; the others are counted or belong to a trial.
_TOLD = frozenset(
    {
        "agent.ended",
        "attempt.ended",
        "incident.opened",
        "incident.closed",
        "duty.covered",
        "page.weighed",
        "page.sent",
        "lease.taken",
        "shift.anchored",
        "points.dropped",
        "checkpoint.rejected",
        "checkpoint.failed",
        "checkpoint.saved",
        "charge.settled",
        "charge.reserved",
        "attempt.ordered",
        "trial.closed",
        "trial.queued",
        "request.received",
        "study.amended",
        "study.opened",
        "decision.dropped",
        "shift.started",
        "shift.ended",
        "shift.ending",
    }
)


P = TypeVar("P", bound=Payload)


class Told(NamedTuple, Generic[P]):
    """One fact with its number and its moment."""

    seq: int
    at: float  # UTC seconds of the study clock
    fact: P


@dataclass(kw_only=True, slots=True)
class TrialTrace:
    """Sequence numbers of the facts behind one trial."""

    proposed: int = 0
    queued: int = 0
    started: list[int] = field(default_factory=list)  # attempts, with the environment they ran in
    ended: list[int] = field(default_factory=list)  # attempts
    closed: int = 0
    final: int = 0  # the last points of the objective's metric
    second: int = 0  # the last points of the second objective, where the study names one
    best: int = 0  # where its best value was logged
    best_value: float | None = None
    guards: dict[str, tuple[int, float]] = field(default_factory=dict)  # guard -> where its worst value was logged, and the value
    settled: list[int] = field(default_factory=list)
    forecasts: dict[int, int] = field(default_factory=dict)  # step at which its end was forecast -> where that is recorded
    last_exit: AttemptEnded | None = None
    halted: int = 0  # the decision to stop it or give it up
    halted_why: str = ""
    outranked_by: str = ""  # the scheduler that stopped it for what others reached
    barred: bool = False  # it was stopped for a guard that it broke

    def outcome(self) -> tuple[int, ...]:
        """The facts that say how the trial ended."""
        return tuple(s for s in (self.halted, *self.ended[-1:], self.closed) if s)

    def result(self, at: str) -> tuple[int, ...]:
        """The facts behind its candidate and its value of the objective."""
        found = (self.proposed, self.queued, self.best if at == "best" else self.final, *self.ended[-1:])
        return tuple(s for s in found if s)


@dataclass(kw_only=True, slots=True)
class Trace:
    """The facts of one shift, and of every trial of the study up to its end."""

    shift: Shift | None = None
    started: int = 0  # sequence number of shift.started
    ended: int = 0  # of shift.ended; 0 while the shift goes on
    reason: str = ""
    exhausted: bool = False  # the scheduler ended it: nothing was left that it would go on with
    ended_at: float = 0.0
    last_at: float = 0.0
    last: int = 0
    study: int = 0  # the newest study.opened or study.amended: where caps and the objective stand
    judges: bool = False  # the evaluator says what a trial of the search came to
    told: dict[str, list[Event]] = field(default_factory=dict)  # of this shift, by kind
    trials: dict[str, TrialTrace] = field(default_factory=dict)
    reserved: dict[str, float] = field(default_factory=dict)  # device-seconds set aside, by charge
    settled: list[tuple[int, ChargeSettled]] = field(default_factory=list)  # of the whole study
    calls: dict[str, int] = field(default_factory=dict)  # call of the agent -> where it ended, over the whole study
    held: dict[str, int] = field(default_factory=dict)  # idea that held up -> where it first did
    branched: dict[str, int] = field(default_factory=dict)  # idea -> where it stands which branch its change is, or why none
    ideas: dict[str, dict[str, int]] = field(default_factory=dict)  # where each came in, its newest answer and verdict, by kind
    baseline: int = 0  # the newest baseline.moved
    gates: list[Event] = field(default_factory=list)  # of the gate and the sealed test, over the whole study
    audits: list[int] = field(default_factory=list)  # where it stands who was drawn and how that ended, over the whole study
    incidents: dict[str, Known] = field(default_factory=dict)  # of the whole study, as they stood at the end

    def met(self) -> list[Known]:
        """The incidents that this shift had to do with: something was recorded of them in it, or they are open still."""
        return [known for known in self.incidents.values() if not known.outcome or known.facts[-1] > self.started]

    def of_idea(self, name: str) -> tuple[int, ...]:
        """Sequence numbers of where an idea came in, and of its newest answer and verdict."""
        return tuple(sorted(self.ideas.get(name, {}).values()))

    def of(self, kind: type[P]) -> list[Told[P]]:
        """The shift's facts of one kind, in order."""
        events = self.told.get(KIND_OF[kind], [])
        return [Told(e.seq, e.at, e.payload) for e in events if isinstance(e.payload, kind)]

    def seqs(self, *kinds: str) -> tuple[int, ...]:
        """Sequence numbers of the shift's facts of these kinds, in order."""
        return tuple(sorted(e.seq for kind in kinds for e in self.told.get(kind, ())))


def by_others(ended: Exit) -> bool:
    """Say whether the attempt was ended by something that was not us: a foreign signal, or a lost supervisor."""
    return ended.cause == "lost" or (ended.cause == "self" and ended.signal is not None)


def trace(events: Iterable[Event], shift: str, objective: Objective) -> Trace:
    """Gather what stands behind a shift; events after its end are not looked at."""
    found, proposals = Trace(), {}
    for event in events:
        _shift(found, event, shift)
        _trial(found, event, objective, proposals)
        _idea(found, event)
        if event.kind in AT_THE_GATE:
            found.gates.append(event)
        if event.kind in ("audit.drawn", "audit.ended"):
            found.audits.append(event.seq)
        gather(found.incidents, event)
        if found.started and event.kind in _TOLD:
            found.told.setdefault(event.kind, []).append(event)
        found.last, found.last_at = event.seq, event.at
        if found.ended:
            break
    return found


def _shift(found: Trace, event: Event, shift: str) -> None:
    match event.payload:
        case ShiftStarted(shift=s) if s.id == shift:
            found.shift, found.started = s, event.seq
        case ShiftEnded(shift=s, reason=reason) if s == shift:
            found.ended, found.reason, found.ended_at = event.seq, reason, event.at
        case StudyOpened(study=study) | StudyAmended(study=study):
            found.study, found.judges = event.seq, study.judges_search()
        case _:
            pass


def _idea(found: Trace, event: Event) -> None:
    match event.payload:
        case IdeaCaptured(idea=idea) | IdeaAmended(idea=idea):
            found.ideas.setdefault(idea.id, {})[event.kind] = event.seq
            if idea.state == "held up":
                found.held.setdefault(idea.id, event.seq)
            else:
                found.held.pop(idea.id, None)
        case AgentEnded(call=call):
            found.calls[call.id] = event.seq
        case ChangeBranched(branch=branch):
            found.branched[branch.idea] = event.seq
        case VerdictReached(verdict=verdict):
            found.ideas.setdefault(verdict.idea, {})[event.kind] = event.seq
        case BaselineMoved():
            found.baseline = event.seq
        case _:
            pass


def _trial(found: Trace, event: Event, objective: Objective, proposals: dict[str, int]) -> None:
    def of(trial: str) -> TrialTrace:
        return found.trials.setdefault(trial, TrialTrace())

    match event.payload:
        case CandidateProposed(candidate=c):
            proposals[c.id] = event.seq
        case TrialQueued(trial=t):
            of(t.id).queued, of(t.id).proposed = event.seq, proposals.get(t.candidate, 0)
        case TrialClosed(trial=t):
            of(t).closed = event.seq
        case AttemptStarted(attempt=a):
            of(trial_of(a)).started.append(event.seq)
        case AttemptEnded(attempt=a) as ended:
            of(trial_of(a)).ended.append(event.seq)
            of(trial_of(a)).last_exit = ended
        case DecisionMade(decision=d) if d.verb == "end" and found.shift is not None and not found.ended:
            found.exhausted = d.source == "scheduler"
        case DecisionMade(decision=d) if d.verb in ("stop", "fail") and d.subject in found.trials:
            of(d.subject).halted, of(d.subject).halted_why = event.seq, d.reason
            of(d.subject).outranked_by = d.by if (d.verb, d.source) == ("stop", "scheduler") else ""
            of(d.subject).barred = d.by == "guards"
        case AttemptOrdered(trial=t):
            of(t)
        case ForecastMade(forecast=said):
            of(said.trial).forecasts[said.step] = event.seq
        case ChargeReserved(charge=c, device_s=s):
            found.reserved[c] = found.reserved.get(c, 0.0) + s
        case TrialEvaluated(evaluation=word) if found.judges:
            of(word.trial).final = of(word.trial).best = event.seq
        case ChargeSettled(trial=t) as charge:
            of(t).settled.append(event.seq)
            found.settled.append((event.seq, charge))
        case MetricsLogged() as logged:
            _points(of(logged.trial), event.seq, logged, objective)
        case _:
            pass


def _points(of: TrialTrace, seq: int, logged: MetricsLogged, objective: Objective) -> None:
    if objective.also is not None and objective.also.metric in logged.metrics:
        of.second = seq
    for guard in guards_of(objective):
        worst, known = guard.worst(logged.metrics.get(guard.metric)), of.guards.get(guard.text)
        if worst is not None and (known is None or (worst > known[1] if guard.from_above() else worst < known[1])):
            of.guards[guard.text] = seq, worst
    summary = logged.metrics.get(objective.metric)
    if summary is None or summary.points == 0:
        return
    of.final = seq
    value = summary.low if objective.goal == "min" else summary.high
    if of.best_value is None or objective.better(value, of.best_value):
        of.best, of.best_value = seq, value

"""Whom a fact is about: the text in the ledger's `subject` column, so that one trial's story is one query."""

from collections.abc import Callable
from typing import Any

from secondshift.ledger.attempts import trial_of
from secondshift.records import events as facts
from secondshift.records.events import Payload


def subject_of(payload: Payload) -> str:
    """Name what a fact is about: mostly a trial, else a candidate, a shift or a policy; empty for the study itself."""
    return _SUBJECTS[type(payload)](payload)


def _nothing(_: Payload) -> str:
    return ""


def _by_trial(payload: Any) -> str:
    return payload.trial


def _by_attempt(payload: Any) -> str:
    return trial_of(payload.attempt)


def _by_decision(payload: Any) -> str:
    return payload.decision.subject


def _by_request(payload: Any) -> str:
    return str(payload.args.get("trial", ""))


# The lambdas only name one field each; a fact that is missing here fails the test that walks over all kinds.
_SUBJECTS: dict[type, Callable[[Any], str]] = {
    facts.StudyOpened: _nothing,
    facts.StudyAmended: _nothing,
    facts.LeaseTaken: _nothing,
    facts.ShiftStarted: lambda p: p.shift.id,
    facts.ShiftAnchored: _nothing,
    facts.ShiftEnded: lambda p: p.shift,
    facts.RequestReceived: _by_request,
    facts.TickDecided: _nothing,
    facts.DecisionMade: _by_decision,
    facts.DecisionDropped: _by_decision,
    facts.CandidateProposed: lambda p: p.candidate.id,
    facts.IdeaCaptured: lambda p: p.idea.id,
    facts.IdeaAmended: lambda p: p.idea.id,
    facts.VerdictReached: lambda p: p.verdict.idea,
    facts.ForecastMade: lambda p: p.forecast.trial,
    facts.AuditDrawn: lambda p: p.audit.trial,
    facts.AuditEnded: lambda p: p.audit.trial,
    facts.TrialEvaluated: lambda p: p.evaluation.trial,
    facts.BaselineMoved: lambda p: p.candidate,
    facts.GateOrdered: lambda p: p.run.idea,
    facts.GateChecked: lambda p: p.gate,
    facts.GateJudged: lambda p: p.idea,
    facts.PromotionOrdered: lambda p: p.promotion.idea,
    facts.PromotionEnded: lambda p: p.idea,
    facts.SealedOpened: lambda p: p.idea,
    facts.SealedMeasured: lambda p: p.idea,
    facts.TrialQueued: lambda p: p.trial.id,
    facts.TrialAdvanced: _by_trial,
    facts.TrialClosed: _by_trial,
    facts.ChargeReserved: _by_trial,
    facts.ChargeSettled: _by_trial,
    facts.AttemptOrdered: _by_trial,
    facts.AttemptStarted: _by_attempt,
    facts.AttemptAsked: _by_attempt,
    facts.AttemptClosed: _by_attempt,
    facts.AttemptEnded: _by_attempt,
    facts.AttemptHealth: _by_attempt,
    facts.AttemptQuiet: _by_attempt,
    facts.MetricsLogged: _by_trial,
    facts.ParamsResolved: _by_trial,
    facts.CheckpointSaved: lambda p: p.checkpoint.trial,
    facts.CheckpointInherited: lambda p: p.checkpoint.trial,
    facts.CheckpointRejected: _by_trial,
    facts.CheckpointPruned: _by_trial,
    facts.CheckpointFailed: _by_trial,
    facts.ChangeAnnounced: _by_trial,
    facts.DirectiveApplied: _by_trial,
    facts.ModelDescribed: _by_trial,
    facts.PointsDropped: _by_trial,
    facts.RunImported: _by_trial,
    facts.IncidentOpened: lambda p: trial_of(p.incident.subject),
    facts.SymptomSeen: _by_trial,
    facts.IncidentAmended: lambda p: trial_of(p.incident.subject),
    facts.TrialHelped: _by_trial,
    facts.TrialReopened: _by_trial,
    facts.IncidentClosed: _nothing,
    facts.DutyCovered: lambda p: p.cover.who,
    facts.PageWeighed: lambda p: p.page.incident,
    facts.PageSent: lambda p: p.incident,
    facts.ChangeExamined: lambda p: p.examination.code.rpartition("+")[2],
    facts.ChangeBranched: lambda p: p.branch.idea,
    facts.MemoRemembered: lambda p: p.policy,
    facts.AgentOrdered: lambda p: p.call.idea or p.call.task.parent,
    facts.AgentEnded: lambda p: p.call.idea or p.call.task.parent,
    facts.BriefWritten: lambda p: p.shift,
    facts.BriefSent: lambda p: p.shift,
}

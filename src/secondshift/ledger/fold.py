"""The fold: what all facts add up to. fold(fold(state, a), b) equals fold(state, a + b)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from secondshift.ledger import fold_agents, fold_attempts, fold_captain, fold_gates, fold_ideas, fold_oncall
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.trials import Milestone, Trial

_MAPPINGS = frozenset(
    (
        "candidates trials open attempts charges checkpoints requests "
        "answered incidents memos statuses held fingerprints imported care pages ideas verdicts pairs gates promotions "
        "branches examinations evaluations forecasts audits outranked calls calling fitting slow"
    ).split()
)


class Draft:
    """A state under construction; each mapping is copied the first time it is written to."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._own: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:  # Any: the fields of State, as they now stand
        own = self.__dict__["_own"]
        return own[name] if name in own else getattr(self.__dict__["_state"], name)

    def write(self, name: str) -> dict[str, Any]:
        """Return a mapping of the state that may be changed."""
        if name not in _MAPPINGS:
            raise KeyError(f"State.{name} is not a mapping; expected one of {sorted(_MAPPINGS)}. Use put().")
        if name not in self._own:
            self._own[name] = dict(getattr(self._state, name))
        return self._own[name]

    def put(self, **fields: Any) -> None:
        """Set plain fields."""
        self._own.update(fields)

    def trial(self, trial: Trial) -> None:
        """Put a trial, and keep the counts and the list of open ones right."""
        before = self.trials.get(trial.id)
        self.write("trials")[trial.id] = trial
        if before is not None and before.status == trial.status:
            return
        if trial.pair < 0 and (self.study is None or trial.revision == self.study.revision):
            statuses = self.write("statuses")
            if before is not None:
                statuses[before.status] = statuses.get(before.status, 0) - 1
            statuses[trial.status] = statuses.get(trial.status, 0) + 1
        if trial.open():
            self.write("open")[trial.id] = True
        else:
            self.write("open").pop(trial.id, None)

    def finish(self) -> State:
        """Return the new frozen state."""
        return replace(self._state, **self._own)


def fold(state: State, events: Iterable[facts.Event]) -> State:
    """Apply facts in order. Facts that the state already holds (by sequence number) are passed over."""
    draft = Draft(state)
    seq, at = state.last_seq, state.last_at
    for event in events:
        if event.seq <= seq:
            continue
        seq, at = event.seq, max(at, event.at)
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(draft, event.payload, event)
    draft.put(last_seq=seq, last_at=at)
    return draft.finish()


def _study_opened(draft: Draft, fact: facts.StudyOpened, event: facts.Event) -> None:
    draft.put(study=fact.study, statuses={})
    fold_ideas.revision_began(draft, fact.study.revision)
    for trial in [draft.trials[i] for i in draft.open]:
        if trial.revision != fact.study.revision and trial.status != "running":
            draft.trial(replace(trial, status="stopped", reason=fold_attempts.superseded(fact.study)))


def _study_amended(draft: Draft, fact: facts.StudyAmended, event: facts.Event) -> None:
    before = draft.study.objective.guards if draft.study is not None else fact.study.objective.guards
    draft.put(study=fact.study)
    if fact.study.objective.guards != before:
        fold_ideas.guards_changed(draft)
    if draft.shift is not None:
        draft.put(shift=replace(draft.shift, may=fact.study.may))


def _lease_taken(draft: Draft, fact: facts.LeaseTaken, event: facts.Event) -> None:
    draft.put(token=fact.token, fitting={})  # what another engine had begun is lost; whoever needs it orders it anew


def _shift_started(draft: Draft, fact: facts.ShiftStarted, event: facts.Event) -> None:
    draft.put(shift=fact.shift, shifts=draft.shifts + 1, ending="", hurry=False, held={}, slow={})
    fold_oncall.shift_started(draft)
    fold_ideas.shift_started(draft)


def _shift_anchored(draft: Draft, fact: facts.ShiftAnchored, event: facts.Event) -> None:
    if draft.shift is not None:
        draft.put(shift=replace(draft.shift, boot_id=fact.boot_id, anchor_boot_s=fact.anchor_boot_s))


def _shift_ended(draft: Draft, fact: facts.ShiftEnded, event: facts.Event) -> None:
    if draft.shift is not None:
        wall = draft.spend.wall_s + max(0.0, event.at - draft.shift.started_at)
        draft.put(shift=None, ending="", hurry=False, fitting={}, spend=replace(draft.spend, wall_s=wall))


def _request_received(draft: Draft, fact: facts.RequestReceived, event: facts.Event) -> None:
    if fact.id not in draft.answered:
        draft.write("requests")[fact.id] = fact
        draft.write("answered")[fact.id] = True


def _tick_decided(draft: Draft, fact: facts.TickDecided, event: facts.Event) -> None:
    draft.put(ticks=fact.tick, tick_seq=event.seq, tick_digest=fact.digest)


def _decision_made(draft: Draft, fact: facts.DecisionMade, event: facts.Event) -> None:
    decision = fact.decision
    draft.put(decisions=draft.decisions + 1)
    _answer(draft, decision.based_on)
    if decision.subject in draft.held:
        draft.write("held").pop(decision.subject)
    if decision.verb == "stop" and draft.study is not None and decision.by == draft.study.policy.scheduler:
        draft.write("outranked")[decision.subject] = True
    if decision.verb == "fit":
        draft.write("fitting")[decision.subject] = decision.id
    if decision.verb == "end":
        draft.put(ending=draft.ending or decision.reason, hurry=draft.hurry or bool(decision.params.get("now")))


def _decision_dropped(draft: Draft, fact: facts.DecisionDropped, event: facts.Event) -> None:
    draft.write("held")[fact.decision.subject or fact.decision.verb] = fact.reason
    _answer(draft, fact.decision.based_on)


def _answer(draft: Draft, ids: tuple[str, ...]) -> None:
    for request in ids:
        if request in draft.requests:
            draft.write("requests").pop(request)


def _candidate_proposed(draft: Draft, fact: facts.CandidateProposed, event: facts.Event) -> None:
    draft.write("candidates")[fact.candidate.id] = fact.candidate


def _trial_queued(draft: Draft, fact: facts.TrialQueued, event: facts.Event) -> None:
    if fact.trial.id not in draft.trials:
        draft.trial(fact.trial)
        fold_ideas.trial_queued(draft, fact.trial)


def _trial_advanced(draft: Draft, fact: facts.TrialAdvanced, event: facts.Event) -> None:
    trial = draft.trials[fact.trial]
    milestone = Milestone(step=fact.step, value=fact.value)
    draft.trial(replace(trial, until_step=fact.until_step, milestones=(*trial.milestones, milestone)))
    for attempt in list(draft.attempts.values()):
        if attempt.trial == fact.trial:
            draft.write("attempts")[attempt.id] = replace(attempt, until_step=fact.until_step)


def _trial_closed(draft: Draft, fact: facts.TrialClosed, event: facts.Event) -> None:
    trial = draft.trials[fact.trial]
    if trial.open():
        draft.trial(replace(trial, status=fact.status, reason=fact.reason))
        fold_captain.tidy(draft, trial.id)


def _memo_remembered(draft: Draft, fact: facts.MemoRemembered, event: facts.Event) -> None:
    draft.write("memos")[fact.policy] = fact.memo
    if fact.fit:
        draft.write("fitting").pop(fact.policy, None)


def _forecast_made(draft: Draft, fact: facts.ForecastMade, event: facts.Event) -> None:
    trial = fact.forecast.trial
    draft.write("forecasts")[trial] = (*draft.forecasts.get(trial, ()), fact.forecast)


def _audit_drawn(draft: Draft, fact: facts.AuditDrawn, event: facts.Event) -> None:
    draft.write("audits")[fact.audit.trial] = fact.audit
    trial = draft.trials[fact.audit.trial]
    if trial.status == "stopped":  # of what it saved only that counts which is still there
        saved = max((one.step for one in draft.checkpoints.get(trial.id, ())), default=0)
        draft.trial(replace(trial, status="paused", reason="drawn by chance, to see how it would have ended", steps_done=saved))


def _audit_ended(draft: Draft, fact: facts.AuditEnded, event: facts.Event) -> None:
    draft.write("audits")[fact.audit.trial] = fact.audit


_HANDLERS: dict[str, Callable[[Draft, Any, facts.Event], None]] = {
    "study.opened": _study_opened,
    "study.amended": _study_amended,
    "lease.taken": _lease_taken,
    "shift.started": _shift_started,
    "shift.anchored": _shift_anchored,
    "shift.ended": _shift_ended,
    "request.received": _request_received,
    "tick.decided": _tick_decided,
    "decision.made": _decision_made,
    "decision.dropped": _decision_dropped,
    "candidate.proposed": _candidate_proposed,
    "idea.captured": fold_ideas.idea_captured,
    "idea.amended": fold_ideas.idea_amended,
    "verdict.reached": fold_ideas.verdict_reached,
    "trial.evaluated": fold_ideas.trial_evaluated,
    "change.examined": fold_ideas.change_examined,
    "change.branched": fold_ideas.change_branched,
    "baseline.moved": fold_ideas.baseline_moved,
    "gate.ordered": fold_gates.gate_ordered,
    "gate.checked": fold_gates.gate_checked,
    "gate.judged": fold_gates.gate_judged,
    "promotion.ordered": fold_gates.promotion_ordered,
    "promotion.ended": fold_gates.promotion_ended,
    "sealed.opened": fold_gates.sealed_opened,
    "forecast.made": _forecast_made,
    "audit.drawn": _audit_drawn,
    "audit.ended": _audit_ended,
    "trial.queued": _trial_queued,
    "trial.advanced": _trial_advanced,
    "trial.closed": _trial_closed,
    "charge.reserved": fold_attempts.charge_reserved,
    "charge.settled": fold_attempts.charge_settled,
    "attempt.ordered": fold_attempts.attempt_ordered,
    "attempt.started": fold_attempts.attempt_started,
    "attempt.asked": fold_attempts.attempt_asked,
    "attempt.closed": fold_attempts.attempt_closed,
    "attempt.health": fold_attempts.attempt_health,
    "attempt.quiet": fold_attempts.attempt_quiet,
    "attempt.ended": fold_attempts.attempt_ended,
    "metrics.logged": fold_attempts.metrics_logged,
    "params.resolved": fold_attempts.params_resolved,
    "checkpoint.saved": fold_attempts.checkpoint_saved,
    "checkpoint.inherited": fold_attempts.checkpoint_saved,
    "checkpoint.rejected": fold_attempts.checkpoint_gone,
    "checkpoint.pruned": fold_attempts.checkpoint_gone,
    "points.dropped": fold_attempts.points_dropped,
    "run.imported": fold_attempts.run_imported,
    "checkpoint.failed": fold_captain.checkpoint_failed,
    "directive.applied": fold_captain.directive_applied,
    "symptom.seen": fold_captain.symptom_seen,
    "trial.helped": fold_captain.trial_helped,
    "trial.reopened": fold_captain.trial_reopened,
    "incident.opened": fold_captain.incident_opened,
    "incident.amended": fold_captain.incident_amended,
    "incident.closed": fold_captain.incident_closed,
    "duty.covered": fold_oncall.duty_covered,
    "page.weighed": fold_oncall.page_weighed,
    "page.sent": fold_oncall.page_sent,
    "agent.ordered": fold_agents.agent_ordered,
    "agent.ended": fold_agents.agent_ended,
    "memo.remembered": _memo_remembered,
}

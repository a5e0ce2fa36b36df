"""The fold: what all facts add up to. fold(fold(state, a), b) equals fold(state, a + b)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from secondshift.ledger import fold_captain, fold_oncall
from secondshift.records import events as facts
from secondshift.records.fingerprints import digest_of, that_matter
from secondshift.records.nights import Charge
from secondshift.records.pastruns import Imported, settings_id
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Exit, Milestone, Summary, Trial, TrialStatus

_MAPPINGS = frozenset(
    (
        "candidates trials open attempts charges checkpoints requests "
        "answered incidents memos statuses held fingerprints imported care pages"
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
        if self.study is None or trial.revision == self.study.revision:
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


def merge(a: Summary | None, b: Summary) -> Summary:
    """Add the summary of later points to that of earlier ones; at equal steps the later point is the last."""
    if a is None or a.points == 0:
        return b
    later = b.last_step >= a.last_step
    return Summary(
        points=a.points + b.points,
        non_finite=a.non_finite + b.non_finite,
        first_step=min(a.first_step, b.first_step),
        last_step=b.last_step if later else a.last_step,
        last=b.last if later else a.last,
        low=min(a.low, b.low),
        low_step=b.low_step if b.low < a.low else a.low_step,
        high=max(a.high, b.high),
        high_step=b.high_step if b.high > a.high else a.high_step,
    )


def summarise(steps: Iterable[int], values: Iterable[float]) -> Summary:
    """Summarise points in the order in which they were logged."""
    points = non_finite = 0
    first, last_step, last = 0, -1, math.nan
    low, low_step, high, high_step = math.inf, -1, -math.inf, -1
    for step, value in zip(steps, values, strict=True):
        first = step if points == 0 else min(first, step)
        points += 1
        if step >= last_step:
            last_step, last = step, value
        if not math.isfinite(value):
            non_finite += 1
            continue
        if value < low:
            low, low_step = value, step
        if value > high:
            high, high_step = value, step
    return Summary(
        points=points, non_finite=non_finite, first_step=first, last_step=last_step, last=last,
        low=low, low_step=low_step, high=high, high_step=high_step,
    )  # fmt: skip


def ended_status(study: Study | None, trial: Trial, attempt: Attempt, exit: Exit) -> tuple[str, str]:
    """Say what a trial is after its attempt ended, and why, from the exit and the script's own stream alone."""
    horizon = study.horizon_steps if study is not None else trial.until_step
    done = trial.logged_step + 1 >= horizon
    if exit.cause == "refused":
        return ("paused" if trial.steps_done else "queued"), exit.message or "not started"
    if exit.code == 0 and (done or (exit.cause == "self" and not attempt.stopping)):
        if study is not None and trial.objective(study.objective) is None:
            return "failed", f"ended without ever logging {study.objective.metric}"
        return "complete", f"ran {trial.logged_step + 1} steps to its end"
    if attempt.asked == "stop":
        return "stopped", "stopped as decided"
    if exit.cause in ("stop", "kill") and not attempt.asked:
        return "failed", exit.message or "stopped by its supervisor"
    if attempt.alone and (exit.cause in ("grant", "pause") or attempt.asked == "pause"):
        return "paused", "it had to leave; it starts again from its first step, because what it saves is not used"
    if exit.cause == "grant":
        return "paused", f"the budget reserved for it was used up; {trial.steps_done} steps are saved"
    if exit.cause == "pause" or attempt.asked == "pause" or (exit.code == 0 and attempt.stopping):
        return "paused", f"paused with {trial.steps_done} steps saved"
    if exit.cause == "lost":
        return "paused", "its supervisor or machine died"
    if exit.signal is not None:
        return "paused", f"ended by signal {exit.signal}, which was not ours"
    return "failed", f"exit code {exit.code}" + (f": {_last_line(exit.message)}" if exit.message else "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _study_opened(draft: Draft, fact: facts.StudyOpened, event: facts.Event) -> None:
    draft.put(study=fact.study, statuses={})
    for trial in [draft.trials[i] for i in draft.open]:
        if trial.revision != fact.study.revision and trial.status != "running":
            draft.trial(replace(trial, status="stopped", reason=_superseded(fact.study)))


def _superseded(study: Study) -> str:
    return f"superseded by revision {study.revision} of the study"


def _study_amended(draft: Draft, fact: facts.StudyAmended, event: facts.Event) -> None:
    draft.put(study=fact.study)
    if draft.shift is not None:
        draft.put(shift=replace(draft.shift, may=fact.study.may))


def _lease_taken(draft: Draft, fact: facts.LeaseTaken, event: facts.Event) -> None:
    draft.put(token=fact.token)


def _shift_started(draft: Draft, fact: facts.ShiftStarted, event: facts.Event) -> None:
    draft.put(shift=fact.shift, shifts=draft.shifts + 1, ending="", hurry=False, held={})
    fold_oncall.shift_started(draft)


def _shift_anchored(draft: Draft, fact: facts.ShiftAnchored, event: facts.Event) -> None:
    if draft.shift is not None:
        draft.put(shift=replace(draft.shift, boot_id=fact.boot_id, anchor_boot_s=fact.anchor_boot_s))


def _shift_ended(draft: Draft, fact: facts.ShiftEnded, event: facts.Event) -> None:
    if draft.shift is not None:
        wall = draft.spend.wall_s + max(0.0, event.at - draft.shift.started_at)
        draft.put(shift=None, ending="", hurry=False, spend=replace(draft.spend, wall_s=wall))


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


def _charge_reserved(draft: Draft, fact: facts.ChargeReserved, event: facts.Event) -> None:
    charge = draft.charges.get(fact.charge, Charge(id=fact.charge))
    total = charge.reserved_device_s + fact.device_s
    draft.write("charges")[fact.charge] = replace(charge, reserved_device_s=total)
    draft.put(spend=replace(draft.spend, reserved_device_s=draft.spend.reserved_device_s + fact.device_s))
    attempt = draft.attempts.get(fact.charge)
    if attempt is not None:
        grant = total / max(1, len(attempt.devices))
        draft.write("attempts")[attempt.id] = replace(attempt, grant_s=grant)


def _charge_settled(draft: Draft, fact: facts.ChargeSettled, event: facts.Event) -> None:
    if fact.charge not in draft.charges:
        return  # settled before: a charge counts once
    charge = draft.write("charges").pop(fact.charge)
    reserved = draft.spend.reserved_device_s - charge.reserved_device_s
    if not draft.charges:
        reserved = 0.0  # no rounding dust
    settled = draft.spend.settled_device_s + fact.device_s
    draft.put(spend=replace(draft.spend, settled_device_s=settled, reserved_device_s=reserved))
    trial = draft.trials[fact.trial]
    draft.trial(replace(trial, device_s=trial.device_s + fact.device_s))


def _attempt_ordered(draft: Draft, fact: facts.AttemptOrdered, event: facts.Event) -> None:
    draft.write("attempts")[fact.attempt] = Attempt(
        id=fact.attempt, trial=fact.trial, number=fact.number, token=fact.token, devices=fact.devices,
        from_step=fact.from_step, until_step=fact.until_step, grant_s=fact.grant_s, ordered_at=event.at,
        alone=fact.alone, directives=fact.directives, back_to=fact.back_to,
    )  # fmt: skip
    fold_captain.attempt_ordered(draft, fact)
    trial = _rewind(draft.trials[fact.trial], fact.from_step)
    if fact.alone:
        trial = replace(trial, metrics={})  # nothing is counted twice
    why = "running from the start" if fact.from_step == 0 else f"resumed from step {fact.from_step}"
    draft.trial(replace(trial, status="running", reason=why, attempts=fact.number, until_step=fact.until_step))


def _rewind(trial: Trial, steps: int) -> Trial:
    """Let points logged from `steps` on count as the newest again: what came after it is run once more."""
    if trial.logged_step < steps:
        return trial
    metrics = {
        name: replace(summary, last_step=min(summary.last_step, steps - 1)) for name, summary in trial.metrics.items()
    }
    return replace(trial, logged_step=steps - 1, metrics=metrics)


def _change_attempt(draft: Draft, attempt_id: str, **changes: Any) -> None:
    attempt = draft.attempts.get(attempt_id)
    if attempt is not None:
        draft.write("attempts")[attempt_id] = replace(attempt, **changes)


def _attempt_started(draft: Draft, fact: facts.AttemptStarted, event: facts.Event) -> None:
    _change_attempt(
        draft, fact.attempt, status="running", started_at=event.at, supervisor=fact.supervisor, pid=fact.pid
    )
    attempt, marks = draft.attempts.get(fact.attempt), that_matter(fact.fingerprint)
    trial = draft.trials.get(attempt.trial) if attempt is not None else None
    if trial is None or not marks:
        return
    digest = digest_of(marks)
    if digest not in draft.fingerprints:
        draft.write("fingerprints")[digest] = marks  # one entry for each environment, however many trials ran there
    if digest not in trial.fingerprints:
        draft.trial(replace(trial, fingerprints=(*trial.fingerprints, digest)))


def _attempt_asked(draft: Draft, fact: facts.AttemptAsked, event: facts.Event) -> None:
    attempt = draft.attempts.get(fact.attempt)
    mode = "stop" if attempt is not None and attempt.asked == "stop" else fact.mode  # a stop is not taken back
    _change_attempt(draft, fact.attempt, asked=mode, asked_now=fact.now, asked_by=fact.decision)


def _attempt_closed(draft: Draft, fact: facts.AttemptClosed, event: facts.Event) -> None:
    _change_attempt(draft, fact.attempt, closed=fact.clean, stopping=fact.stopping)


def _attempt_health(draft: Draft, fact: facts.AttemptHealth, event: facts.Event) -> None:
    attempt = draft.attempts.get(fact.attempt)
    if attempt is not None:
        # Of a start that nobody saw, the fact came later than the start itself: so much is not known.
        since = min(event.at, (attempt.started_at or event.at) + fact.after_s)
        _change_attempt(draft, fact.attempt, health=fact.health, waits_on=fact.waits_on, health_since=since)


def _attempt_ended(draft: Draft, fact: facts.AttemptEnded, event: facts.Event) -> None:
    attempt = draft.attempts.get(fact.attempt)
    if attempt is None:
        return
    draft.write("attempts").pop(fact.attempt)
    trial = draft.trials[attempt.trial]
    exit = fact.exit
    status, reason = ended_status(draft.study, trial, attempt, exit)
    if draft.study is not None and trial.revision != draft.study.revision and status in ("queued", "paused"):
        status, reason = "stopped", _superseded(draft.study)
    changes: dict[str, Any] = {"status": status, "reason": reason}
    if status == "paused" and not attempt.asked and exit.cause in ("self", "lost") and exit.code != 0:
        again = trial.interruptions > 0 and trial.steps_done <= trial.best_steps
        changes |= {"interruptions": trial.interruptions + 1 if again else 1, "best_steps": trial.steps_done}
    elif status in ("paused", "complete"):
        changes |= {"interruptions": 0}
    draft.trial(replace(trial, **changes, **_milestone(draft.study, trial, status)))
    fold_captain.attempt_ended(draft, attempt, draft.trials[trial.id], exit)


def _milestone(study: Study | None, trial: Trial, status: str) -> dict[str, Any]:
    """What an ended attempt adds to a trial: the objective where the saved and the logged steps agree."""
    steps = trial.logged_step + 1
    value = trial.objective(study.objective) if study is not None else None
    done = {"steps_done": max(steps, trial.steps_done)} if status == "complete" else {}
    if value is None or not (status == "complete" or (status == "paused" and steps == trial.steps_done)):
        return done
    if trial.milestones and trial.milestones[-1].step == steps:
        return done
    return {**done, "milestones": (*trial.milestones, Milestone(step=steps, value=value))}


def _metrics_logged(draft: Draft, fact: facts.MetricsLogged, event: facts.Event) -> None:
    trial = draft.trials[fact.trial]
    metrics = dict(trial.metrics)
    step = trial.logged_step
    for name, summary in fact.metrics.items():
        metrics[name] = merge(metrics.get(name), summary)
        if counts_steps(draft.study, name):
            step = max(step, summary.last_step)
    draft.write("trials")[trial.id] = replace(trial, metrics=metrics, logged_step=step)
    attempt = draft.attempts.get(fact.attempt)
    if attempt is not None:
        offsets = {**attempt.offsets, fact.fragment: fact.end}
        logged, gap = attempt.last_log_at, attempt.longest_gap_s
        if fact.points and not fact.machine:
            gap = max(gap, event.at - logged) if logged > 0 else gap
            logged = event.at
        _change_attempt(draft, fact.attempt, offsets=offsets, last_log_at=logged, longest_gap_s=gap)


def counts_steps(study: Study | None, metric: str) -> bool:
    """Say whether a metric's steps are the trial's: what a script merely prints may count in batches of its own."""
    return study is None or study.tier_offered() == "cooperative" or metric == study.objective.metric


def _params_resolved(draft: Draft, fact: facts.ParamsResolved, event: facts.Event) -> None:
    draft.write("trials")[fact.trial] = replace(draft.trials[fact.trial], params=fact.params)


def _checkpoint_saved(draft: Draft, fact: facts.CheckpointSaved, event: facts.Event) -> None:
    saved = fact.checkpoint
    kept = draft.checkpoints.get(saved.trial, ())
    older = tuple(c for c in kept if c.step != saved.step and not (saved.own() and c.own()))
    draft.write("checkpoints")[saved.trial] = (*older, saved)
    draft.write("trials")[saved.trial] = replace(draft.trials[saved.trial], steps_done=saved.step)


def _checkpoint_gone(draft: Draft, fact: facts.CheckpointRejected | facts.CheckpointPruned, event: facts.Event) -> None:
    left = tuple(c for c in draft.checkpoints.get(fact.trial, ()) if c.step != fact.step)
    draft.write("checkpoints")[fact.trial] = left
    trial = draft.trials[fact.trial]
    if trial.open():
        steps = max((c.step for c in left), default=0)
        trial = _rewind(trial, steps) if event.kind == "checkpoint.rejected" else trial
        draft.write("trials")[trial.id] = replace(trial, steps_done=steps)
    if isinstance(fact, facts.CheckpointRejected):
        fold_captain.checkpoint_rejected(draft, fact)


def _points_dropped(draft: Draft, fact: facts.PointsDropped, event: facts.Event) -> None:
    trial = draft.trials[fact.trial]
    draft.write("trials")[trial.id] = replace(trial, dropped=trial.dropped + fact.points)


def _run_imported(draft: Draft, fact: facts.RunImported, event: facts.Event) -> None:
    steps = max((summary.last_step for summary in fact.metrics.values()), default=-1)
    objective = fact.metrics.get(draft.study.objective.metric) if draft.study is not None else None
    logged = objective.last_step if objective is not None else steps
    trial = Trial(
        id=fact.trial, candidate=settings_id(fact.params, fact.others), seed=fact.seed, revision=fact.revision,
        status=_PAST.get(fact.status, "stopped"), reason=fact.reason, steps_done=logged + 1, logged_step=logged,
        until_step=logged + 1, metrics=fact.metrics, params=fact.params, fingerprints=(f"imported-{fact.source}",),
    )  # fmt: skip
    if trial.fingerprints[0] not in draft.fingerprints:
        # An environment that nobody saw counts as like any other; this one shall be like none of the study's own.
        draft.write("fingerprints")[trial.fingerprints[0]] = {"environment": f"not known, imported from {fact.source}"}
    imported = draft.write("imported")
    imported.pop(fact.supersedes, None)
    imported[trial.id] = Imported(
        trial=trial, source=fact.source, run=fact.run, name=fact.name, digest=fact.digest, seed_known=fact.seed_known,
        others=fact.others, started_at=fact.started_at, ended_at=fact.ended_at, seq=event.seq,
    )  # fmt: skip
    draft.put(imports=draft.imports + 1)


_PAST: dict[str, TrialStatus] = {"complete": "complete", "stopped": "stopped", "failed": "failed"}


def _memo_remembered(draft: Draft, fact: facts.MemoRemembered, event: facts.Event) -> None:
    draft.write("memos")[fact.policy] = fact.memo


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
    "trial.queued": _trial_queued,
    "trial.advanced": _trial_advanced,
    "trial.closed": _trial_closed,
    "charge.reserved": _charge_reserved,
    "charge.settled": _charge_settled,
    "attempt.ordered": _attempt_ordered,
    "attempt.started": _attempt_started,
    "attempt.asked": _attempt_asked,
    "attempt.closed": _attempt_closed,
    "attempt.health": _attempt_health,
    "attempt.ended": _attempt_ended,
    "metrics.logged": _metrics_logged,
    "params.resolved": _params_resolved,
    "checkpoint.saved": _checkpoint_saved,
    "checkpoint.rejected": _checkpoint_gone,
    "checkpoint.pruned": _checkpoint_gone,
    "points.dropped": _points_dropped,
    "run.imported": _run_imported,
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
    "memo.remembered": _memo_remembered,
}

"""The part of the fold that is about attempts: what they cost, how they end, and what their scripts leave behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from secondshift.ledger import fold_captain
from secondshift.ledger.summaries import counts_steps, merge
from secondshift.records import events as facts
from secondshift.records.fingerprints import digest_of, that_matter
from secondshift.records.nights import Charge
from secondshift.records.pastruns import Imported, settings_id
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Exit, Milestone, Trial, TrialStatus

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft

LATE_S = 30.0  # after its grant and its grace an attempt is over, however busy the machine is; no longer by its own leave
_PAST: dict[str, TrialStatus] = {"complete": "complete", "stopped": "stopped", "failed": "failed"}


def charge_reserved(draft: Draft, fact: facts.ChargeReserved, event: facts.Event) -> None:
    """Budget is set aside; an attempt that runs may go on for longer."""
    charge = draft.charges.get(fact.charge, Charge(id=fact.charge))
    total = charge.reserved_device_s + fact.device_s
    draft.write("charges")[fact.charge] = replace(charge, reserved_device_s=total)
    draft.put(spend=replace(draft.spend, reserved_device_s=draft.spend.reserved_device_s + fact.device_s))
    attempt = draft.attempts.get(fact.charge)
    if attempt is not None:
        grant = total / max(1, len(attempt.devices))
        draft.write("attempts")[attempt.id] = replace(attempt, grant_s=grant)


def charge_settled(draft: Draft, fact: facts.ChargeSettled, event: facts.Event) -> None:
    """What an attempt cost replaces what was set aside; a charge counts once."""
    if fact.charge not in draft.charges:
        return  # settled before: a charge counts once
    charge = draft.write("charges").pop(fact.charge)
    reserved = draft.spend.reserved_device_s - charge.reserved_device_s
    if not any(open_one.reserved_device_s for open_one in draft.charges.values()):
        reserved = 0.0  # no rounding dust
    settled = draft.spend.settled_device_s + fact.device_s
    trial = draft.trials[fact.trial]
    confirm = draft.spend.confirm_device_s + (fact.device_s if trial.pair >= 0 else 0.0)
    spend = replace(draft.spend, settled_device_s=settled, reserved_device_s=reserved, confirm_device_s=confirm)
    draft.put(spend=spend)
    draft.trial(replace(trial, device_s=trial.device_s + fact.device_s))


def attempt_ordered(draft: Draft, fact: facts.AttemptOrdered, event: facts.Event) -> None:
    """A trial runs again, from the steps that are saved."""
    draft.write("attempts")[fact.attempt] = Attempt(
        id=fact.attempt, trial=fact.trial, number=fact.number, token=fact.token, devices=fact.devices,
        from_step=fact.from_step, until_step=fact.until_step, grant_s=fact.grant_s, ordered_at=event.at,
        alone=fact.alone, directives=fact.directives, back_to=fact.back_to,
    )  # fmt: skip
    fold_captain.attempt_ordered(draft, fact)
    trial = _rewind(draft.trials[fact.trial], fact.from_step)
    if fact.alone:
        trial = replace(trial, metrics={})  # nothing is counted twice
    begun = f"resumed from step {fact.from_step}"
    if trial.inherits.trial and fact.number == 1:
        begun = f"running from step {fact.from_step}, as inherited from {trial.inherits.trial}"
    why = "running from the start" if fact.from_step == 0 else begun
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


def attempt_started(draft: Draft, fact: facts.AttemptStarted, event: facts.Event) -> None:
    """A process was seen, and on what it runs."""
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


def attempt_asked(draft: Draft, fact: facts.AttemptAsked, event: facts.Event) -> None:
    """An attempt shall leave."""
    attempt = draft.attempts.get(fact.attempt)
    mode = "stop" if attempt is not None and attempt.asked == "stop" else fact.mode  # a stop is not taken back
    _change_attempt(draft, fact.attempt, asked=mode, asked_now=fact.now, asked_by=fact.decision)


def attempt_closed(draft: Draft, fact: facts.AttemptClosed, event: facts.Event) -> None:
    """The script said that it is done."""
    _change_attempt(draft, fact.attempt, closed=fact.clean, stopping=fact.stopping)


def attempt_health(draft: Draft, fact: facts.AttemptHealth, event: facts.Event) -> None:
    """The state that the script's processes have been in for some time."""
    attempt = draft.attempts.get(fact.attempt)
    if attempt is not None:
        # Of a start that nobody saw, the fact came later than the start itself: so much is not known.
        since = min(event.at, (attempt.started_at or event.at) + fact.after_s)
        _change_attempt(draft, fact.attempt, health=fact.health, waits_on=fact.waits_on, health_since=since)


def attempt_ended(draft: Draft, fact: facts.AttemptEnded, event: facts.Event) -> None:
    """What the end of an attempt makes of its trial."""
    attempt = draft.attempts.get(fact.attempt)
    if attempt is None:
        return
    draft.write("attempts").pop(fact.attempt)
    trial = draft.trials[attempt.trial]
    exit = fact.exit
    status, reason = ended_status(draft.study, trial, attempt, exit)
    if draft.study is not None and trial.revision != draft.study.revision and status in ("queued", "paused"):
        status, reason = "stopped", superseded(draft.study)
    changes: dict[str, Any] = {"status": status, "reason": reason}
    if trial.early == "asked":  # it may have come to its own end, or have failed, before it left
        changes |= {"early": "stopped" if status == "complete" and not _own_end(draft.study, trial, attempt, exit) else ""}
    if status == "paused" and not attempt.asked and exit.cause in ("self", "lost") and exit.code != 0:
        again = trial.interruptions > 0 and trial.steps_done <= trial.best_steps
        changes |= {"interruptions": trial.interruptions + 1 if again else 1, "best_steps": trial.steps_done}
    elif status in ("paused", "complete"):
        changes |= {"interruptions": 0}
    if exit.elapsed_s > attempt.grant_s + LATE_S + (draft.study.launch.grace_s if draft.study is not None else 0.0):
        changes |= {"overran": True}
    draft.trial(replace(trial, **changes, **_milestone(draft.study, trial, status)))
    fold_captain.attempt_ended(draft, attempt, draft.trials[trial.id], exit)


def ended_status(study: Study | None, trial: Trial, attempt: Attempt, exit: Exit) -> tuple[str, str]:
    """Say what a trial is after its attempt ended, and why, from the exit and the script's own stream alone."""
    if exit.cause == "refused":
        return ("paused" if trial.steps_done else "queued"), exit.message or "not started"
    if _own_end(study, trial, attempt, exit):
        silent = study is not None and trial.objective(study.objective) is None
        if silent and study is not None and study.judges_search():
            return "complete", "ran to its end; the evaluator judges what it left"
        if silent and study is not None:
            return "failed", f"ended without ever logging {study.objective.metric}"
        return "complete", f"ran {trial.logged_step + 1} steps to its end"
    if attempt.asked == "stop" and trial.early == "asked":
        return "complete", f"stopped early after {trial.logged_step + 1} steps: its best counts, and is long past"
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


def _own_end(study: Study | None, trial: Trial, attempt: Attempt, exit: Exit) -> bool:
    """Say whether the script came to its end by itself, whatever was asked of it meanwhile."""
    horizon = study.horizon_steps if study is not None else trial.until_step
    done = trial.logged_step + 1 >= horizon
    return exit.code == 0 and (done or (exit.cause == "self" and not attempt.stopping))


def _last_line(text: str) -> str:
    """The last thing that the script itself said; what the SDK adds on its way out is no reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("secondshift: ")]
    return (own or lines or [""])[-1][:200]


def superseded(study: Study) -> str:
    """Say why a trial of an older revision ends."""
    return f"superseded by revision {study.revision} of the study"


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


def metrics_logged(draft: Draft, fact: facts.MetricsLogged, event: facts.Event) -> None:
    """Points count to the summaries of a trial, and to the longest gap between two signs of life."""
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
            attempt = _heard(attempt, fact)
        rests = attempt.rests if fact.rests is None else fact.rests
        draft.write("attempts")[attempt.id] = replace(attempt, offsets=offsets, last_log_at=logged, longest_gap_s=gap, rests=rests)


def _heard(attempt: Attempt, fact: facts.MetricsLogged) -> Attempt:
    """What points tell of the script's own rhythm, however seldom they are read; they end a silence."""
    between = fact.first_s - attempt.beat_s if attempt.beat_s > 0.0 else 0.0
    return replace(
        attempt, quiet_since=0.0, quiet_allowed_s=0.0, beat_s=max(attempt.beat_s, fact.last_s),
        beat_gap_s=max(attempt.beat_gap_s, fact.gap_s, between),
    )  # fmt: skip


def attempt_quiet(draft: Draft, fact: facts.AttemptQuiet, event: facts.Event) -> None:
    """Nothing was logged for longer than usual."""
    _change_attempt(draft, fact.attempt, quiet_since=event.at - fact.quiet_s, quiet_allowed_s=fact.allowed_s)


def params_resolved(draft: Draft, fact: facts.ParamsResolved, event: facts.Event) -> None:
    """What the script says that it uses is what counts."""
    draft.write("trials")[fact.trial] = replace(draft.trials[fact.trial], params=fact.params)


def checkpoint_saved(draft: Draft, fact: facts.CheckpointSaved | facts.CheckpointInherited, event: facts.Event) -> None:
    """A trial may begin again from here."""
    saved = fact.checkpoint
    kept = draft.checkpoints.get(saved.trial, ())
    older = tuple(c for c in kept if c.step != saved.step and not (saved.own() and c.own()))
    draft.write("checkpoints")[saved.trial] = (*older, saved)
    draft.write("trials")[saved.trial] = replace(draft.trials[saved.trial], steps_done=saved.step)


def checkpoint_gone(draft: Draft, fact: facts.CheckpointRejected | facts.CheckpointPruned, event: facts.Event) -> None:
    """A trial may not begin again from there any more."""
    left = tuple(c for c in draft.checkpoints.get(fact.trial, ()) if c.step != fact.step)
    draft.write("checkpoints")[fact.trial] = left
    trial = draft.trials[fact.trial]
    if trial.open():
        steps = max((c.step for c in left), default=0)
        trial = _rewind(trial, steps) if event.kind == "checkpoint.rejected" else trial
        draft.write("trials")[trial.id] = replace(trial, steps_done=steps)
    if isinstance(fact, facts.CheckpointRejected):
        fold_captain.checkpoint_rejected(draft, fact)


def points_dropped(draft: Draft, fact: facts.PointsDropped, event: facts.Event) -> None:
    """Points that nobody will see are counted."""
    trial = draft.trials[fact.trial]
    draft.write("trials")[trial.id] = replace(trial, dropped=trial.dropped + fact.points)


def run_imported(draft: Draft, fact: facts.RunImported, event: facts.Event) -> None:
    """A run of the past stands beside the study's own."""
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

"""The captain's part of the fold: what was found, what was believed and done, and what is kept in mind of a trial."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.records import events as facts
from secondshift.records.incidents import KEPT, Care, Crash, Finding, Incident
from secondshift.records.trials import Attempt, Exit, Trial

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft

_CARE = Care()


def symptom_seen(draft: Draft, fact: facts.SymptomSeen, event: facts.Event) -> None:
    """Keep the newest findings of a trial in mind."""
    keep_in_mind(draft, fact.trial, fact.findings)


def checkpoint_rejected(draft: Draft, fact: facts.CheckpointRejected) -> None:
    """A damaged checkpoint is a finding like any other."""
    found = Finding(
        symptom="checkpoint_failure", stream="checkpoints", step=fact.step, since=fact.step, lasted=1, confidence=0.95,
        evidence={"step": float(fact.step)},
    )  # fmt: skip
    keep_in_mind(draft, fact.trial, (found,))


def checkpoint_failed(draft: Draft, fact: facts.CheckpointFailed, event: facts.Event) -> None:
    """A checkpoint that could not be saved: told once in a row, because the next ones will fail in the same way."""
    seen = draft.care.get(fact.trial, _CARE).seen
    lasted = seen[-1].lasted + 1 if seen and seen[-1].symptom == "checkpoint_failure" else 1
    found = Finding(
        symptom="checkpoint_failure", stream="checkpoints", step=max(0, fact.step), since=max(0, fact.step),
        lasted=lasted, confidence=0.95, evidence={"step": float(fact.step), "in_a_row": float(lasted)},
    )  # fmt: skip
    keep_in_mind(draft, fact.trial, (found,))


def directive_applied(draft: Draft, fact: facts.DirectiveApplied, event: facts.Event) -> None:
    """The script said that it does what it was asked to."""
    care = draft.care.get(fact.trial, _CARE)
    if fact.directive not in care.applied:
        draft.write("care")[fact.trial] = replace(care, applied=(*care.applied, fact.directive))


def keep_in_mind(draft: Draft, trial: str, findings: tuple[Finding, ...]) -> None:
    """Add findings to those of a trial; the oldest make room."""
    care = draft.care.get(trial, _CARE)
    seen = (*care.seen, *findings)[-KEPT:]
    draft.write("care")[trial] = replace(care, seen=seen, count=care.count + len(findings))


def incident_opened(draft: Draft, fact: facts.IncidentOpened, event: facts.Event) -> None:
    """An incident begins, or is only noted where it ended at once."""
    draft.put(incidents_seen=draft.incidents_seen + 1)
    if not fact.incident.closed:
        draft.write("incidents")[fact.incident.id] = fact.incident
    if fact.incident.cause:
        _claim(draft, fact.incident.subject, fact.incident.attempt)
    if fact.incident.closed and fact.incident.acts:  # what was done at once is remembered too
        care = draft.care.get(fact.incident.subject, _CARE)
        draft.write("care")[fact.incident.subject] = replace(care, acts=(*care.acts, *fact.incident.acts))
    _retries(draft, fact.incident)


def incident_amended(draft: Draft, fact: facts.IncidentAmended, event: facts.Event) -> None:
    """The incident stands as it was last written."""
    if fact.incident.id in draft.incidents:
        draft.write("incidents")[fact.incident.id] = fact.incident
        _outcomes(draft, fact.incident)
        _claim(draft, fact.incident.subject, fact.incident.attempt, findings=not _of_a_retry(fact.incident))
        _retries(draft, fact.incident)


def _of_a_retry(incident: Incident) -> bool:
    """Say whether it is about how attempts ended: what is found in the streams is none of its business."""
    return bool(incident.acts) and incident.acts[-1].remedy == "retry"


def _retries(draft: Draft, incident: Incident) -> None:
    """Remember a retry that was just decided on, and whether its trial has to wait for it."""
    act = incident.retry()
    care = draft.care.get(incident.subject, _CARE)
    if act is not None and all((one.remedy, one.at) != (act.remedy, act.at) for one in care.acts):
        draft.write("care")[incident.subject] = replace(care, acts=(*care.acts, act))
    if act is not None or _of_a_retry(incident):
        _rest(draft, incident.subject, act is not None and act.after > 0.0 and not act.rested and not incident.closed)


def _rest(draft: Draft, name: str, rests: bool) -> None:
    trial = draft.trials.get(name)
    if trial is not None and trial.rests != rests:
        draft.write("trials")[name] = replace(trial, rests=rests)


def _outcomes(draft: Draft, incident: Incident) -> None:
    """What is remembered of the acts on a trial includes how they turned out."""
    care = draft.care.get(incident.subject)
    if care is not None and incident.acts:
        judged = {(act.remedy, act.at): act for act in incident.acts}
        acts = tuple(judged.get((act.remedy, act.at), act) for act in care.acts)
        draft.write("care")[incident.subject] = replace(care, acts=acts)
    act = incident.acts[-1] if incident.acts else None
    if act is not None and act.remedy == "requeue" and act.outcome == "worked":
        draft.write("slow").update(dict.fromkeys(act.avoid, True))


def incident_closed(draft: Draft, fact: facts.IncidentClosed, event: facts.Event) -> None:
    """The incident is over."""
    incident = draft.incidents.get(fact.incident)
    if incident is not None:
        draft.write("incidents").pop(fact.incident)
        if _of_a_retry(incident):
            _rest(draft, incident.subject, False)
        tidy(draft, incident.subject)


def _claim(draft: Draft, trial: str, attempt: str, *, findings: bool = True) -> None:
    """What was found so far belongs to an incident now, if it is about that, and so does a failure of the attempt it names."""
    care = draft.care.get(trial)
    if care is None:
        return
    left = tuple(crash for crash in care.crash if crash.attempt != attempt)
    draft.write("care")[trial] = replace(care, claimed=care.count if findings else care.claimed, crash=left)
    tidy(draft, trial)


def trial_helped(draft: Draft, fact: facts.TrialHelped, event: facts.Event) -> None:
    """Remember what is to hold for the next attempt; a trial whose training is changed by it is assisted from now on."""
    act = fact.act
    care = draft.care.get(fact.trial, _CARE)
    draft.write("care")[fact.trial] = replace(care, acts=(*care.acts, act), back_to=act.back_to)
    trial = draft.trials[fact.trial]
    held = fact.incident if act.remedy == "pause" else ""
    best_counts = draft.study is not None and draft.study.objective.at == "best"
    early = "asked" if act.remedy == "stop_early" and best_counts else trial.early
    draft.write("trials")[trial.id] = replace(trial, assisted=trial.assisted or act.directs(), held=held, early=early)


def trial_reopened(draft: Draft, fact: facts.TrialReopened, event: facts.Event) -> None:
    """A failed trial, or one that a person took back the stop of, waits for its next attempt."""
    trial = draft.trials[fact.trial]
    if trial.status == "complete" and trial.stopped():  # of what it saved only that counts which is still there
        saved = max((one.step for one in draft.checkpoints.get(trial.id, ())), default=0)
        trial = replace(trial, steps_done=saved)
    if trial.status == "failed" or trial.stopped():
        early = "undone" if trial.early else ""
        draft.trial(replace(trial, status="paused", reason=fact.reason, early=early))


def attempt_ordered(draft: Draft, fact: facts.AttemptOrdered) -> None:
    """A new attempt carries out what was asked for; what an earlier one said of it does not count."""
    care = draft.care.get(fact.trial)
    if care is not None:
        # What was found in an attempt that has ended says nothing of the next one.
        draft.write("care")[fact.trial] = replace(
            care, back_to=-1, applied=(), claimed=care.count, earlier=care.count
        )


def attempt_ended(draft: Draft, attempt: Attempt, trial: Trial, exit: Exit) -> None:
    """An attempt that failed, or was ended by somebody else, waits for the captain's word on it."""
    ours = attempt.asked or exit.cause not in ("self", "lost")
    if not ours and (exit.code != 0 or exit.cause == "lost"):
        crash = Crash(
            attempt=attempt.id, code=exit.code, signal=exit.signal, lost=exit.cause == "lost", step=trial.logged_step,
            elapsed_s=exit.elapsed_s, message=exit.message, signs=exit.signs,
        )  # fmt: skip
        draft.write("care")[trial.id] = replace(draft.care.get(trial.id, _CARE), crash=(crash,))
    tidy(draft, trial.id)


def tidy(draft: Draft, trial_id: str) -> None:
    """Forget a trial that is over and whose failures and incidents are dealt with."""
    trial, care = draft.trials.get(trial_id), draft.care.get(trial_id)
    if trial is None or care is None or trial.open() or care.crash:
        return
    if trial.status == "failed" and care.acts:
        return  # it may be reopened, and what was tried counts on
    if all(incident.subject != trial_id for incident in draft.incidents.values()):
        draft.write("care").pop(trial_id)

"""From findings to incidents, from incidents to acts and questions, and to how they ended. One incident for one trouble."""

from collections.abc import Sequence
from dataclasses import replace

from secondshift.policies.captain.diagnosis import Diagnosis, diagnose, together
from secondshift.policies.captain.early import BEFORE_LONG, GOING_BACK, early, lasting
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.layers import explained, standing_out
from secondshift.policies.captain.remedies import DEFAULTS, REMEDIES, act_of, next_act, suggested
from secondshift.policies.captain.unasked import CAUSES, SAVING, saves
from secondshift.policies.captain.verifying import outcome_of
from secondshift.records.decisions import Decision, about
from secondshift.records.incidents import Care, Finding, Incident, Look, Question, Rung
from secondshift.records.states import State

NAME = "captain"
RUNGS: tuple[Rung, ...] = ("note", "repair", "stop", "ask", "page")
SHOWN = 12  # findings that an incident keeps: the first one, and the newest
RESERVE = 0.6  # share of the steps until memory runs out after which a run is restarted
NOBODY, NOTHING = Care(), Look()


def decide(state: State) -> list[Decision]:
    """Take one step with each incident: open it, learn more, act, judge what was done, ask, or close it."""
    if state.study is None or state.shift is None or state.ending:
        return []
    decisions: list[Decision] = []
    busy: set[str] = set()
    for incident in state.incidents.values():
        if incident.cause and incident.subject in state.trials and not incident.retry():
            busy.add(incident.subject)
            decisions += _go_on(state, incident)
    for trial, care in state.care.items():
        if trial not in busy and care.count > care.claimed:
            decisions += (_open if state.trials[trial].open() else _over)(state, trial, care.unclaimed())
    return decisions


def _open(state: State, trial: str, findings: Sequence[Finding]) -> list[Decision]:
    """Begin an incident where something is worth more than a note, and act on it or ask at once."""
    findings = [one for one in findings if not _can_wait(state, trial, one)]
    worst = max((RUNGS.index(rung(one)) for one in findings), default=0)
    attempt = state.attempt_of(trial)
    if attempt is None or attempt.asked:
        return []
    if worst == 0:
        return _early(state, trial, findings, attempt.id)
    diagnosis = diagnose(together(findings, [one for one in findings if rung(one) != "note"]))
    if diagnosis is None:
        return []
    incident = _incident(state, trial, diagnosis, attempt.id, RUNGS[worst])
    return [_act_or_ask(state, incident, f"first seen at step {incident.step}", verb="open")]


def _early(state: State, trial: str, findings: Sequence[Finding], attempt: str) -> list[Decision]:
    """Go back, or save time, where that is granted, though nobody is asked; else these stay notes of what is asked about later."""
    still = [one for one in findings if lasting(one) and _fresh(state, trial, one)]
    saving = [one for one in findings if saves(state, state.trials[trial], one) and _fresh(state, trial, one)]
    believed = [
        (diagnose(together(findings, still)) if still else None, GOING_BACK),
        (diagnose([one for one in findings if early(one)]), BEFORE_LONG),
        # Each by itself, and what ends a run first: then it need not be moved any more.
        *((diagnose([one]), SAVING) for one in sorted(saving, key=lambda one: one.symptom != "overfitting")),
    ]
    for diagnosis, may in believed:
        if diagnosis is None:
            continue
        incident = _incident(state, trial, diagnosis, attempt, "repair")
        act = next_act(state, incident)
        if act is not None and act.remedy in may:
            return [_act_or_ask(state, incident, "", verb="open")]
    return []


def _fresh(state: State, trial: str, finding: Finding) -> bool:
    """Say whether a rise may still go on: one that lasts is told again when it has lasted twice as long."""
    return state.trials[trial].logged_step <= 2 * finding.step - finding.since


def _over(state: State, name: str, findings: Sequence[Finding]) -> list[Decision]:
    """Ask about a trial that came to its own end above the best it had. Nothing is held for an answer: it goes to the handover."""
    trial = state.trials[name]
    asking = [one for one in findings if one.evidence.get("ended", 0.0) > 0.0 and rung(one) == "ask"]
    diagnosis = diagnose(asking)
    if trial.status != "complete" or diagnosis is None:
        return []
    incident = _incident(state, name, diagnosis, f"{name}.a{trial.attempts}", "ask")
    question = Question(asked_at=state.now_s, deadline_at=state.now_s, suggested="leave", default="leave", options=("leave",))
    outcome = f"{name} is complete, and ended above the best it had"
    incident = replace(incident, questions=(question,), action="asked", closed=outcome)
    return [about("open", incident, reason=f"{incident.finding} {outcome}.", by=NAME)]


def _incident(state: State, trial: str, diagnosis: Diagnosis, attempt: str, reached: Rung) -> Incident:
    look = state.looks.get(trial, NOTHING)
    layers = standing_out(look.layers, diagnosis.since)
    cause = explained(diagnosis.cause, layers)
    return Incident(
        id="", subject=trial, finding=_sentence(trial, cause, diagnosis), evidence=_evidence(diagnosis), cause=cause, layers=layers,
        confidence=diagnosis.confidence, rung=reached, since=diagnosis.since,
        step=max(one.step for one in diagnosis.findings), attempt=attempt, findings=_few(diagnosis.findings),
        before=look.before, rate=look.level.rate, opened_at=state.now_s,
        drill=state.study is not None and state.study.drill(),
    )  # fmt: skip


def _can_wait(state: State, trial: str, finding: Finding) -> bool:
    """Say whether a leak is far from its limit yet: the longer one process trains, the less a restart costs."""
    if finding.symptom != "memory_leak" or state.study is None:
        return False
    left = finding.evidence.get("steps_to_limit")
    if left is None:
        return True  # nobody knows the limit; it stays a note
    runs_out = finding.step + left
    near = state.trials[trial].logged_step >= finding.step + RESERVE * left
    return runs_out > state.study.horizon_steps or not near


def _go_on(state: State, incident: Incident) -> list[Decision]:
    trial = state.trials[incident.subject]
    care = state.care.get(trial.id, NOBODY)
    new = [one for one in care.unclaimed() if rung(one) != "note" or lasting(one)]
    pending = incident.pending()
    if new and incident.cause in CAUSES and trial.open():
        opened = _open(state, trial.id, care.unclaimed())
        if not opened:
            return []  # too early to say; what is pending is judged when that is known
        return [about("close", incident, reason="another trouble came, which is seen to first", by=NAME), *opened]
    if pending is not None:
        judged = outcome_of(state, incident, pending, new)
        if judged is None:
            return []
        outcome, seen = judged
        stood = state.looks.get(trial.id, NOTHING).level
        incident = replace(incident, acts=(*incident.acts[:-1], replace(pending, outcome=outcome, seen=seen, stood=stood)))
        if outcome == "worked" or not trial.open():
            return _end(incident, f"{REMEDIES[pending.remedy].sentence}: {seen}")
        if incident.cause in CAUSES:
            return _end(incident, f"{seen}; it is left as it is")
        if outcome == "not applied":
            incident = replace(incident, cause="remedy_not_applied")
        return [about("amend", _grown(incident, new), reason=f"{pending.remedy} {outcome}: {seen}", by=NAME)]
    if not trial.open():
        return _end(incident, f"{trial.id} is {trial.status}")
    question = incident.question()
    if question is not None:
        return _default(state, incident, question)
    if incident.questions and incident.questions[-1].answer == "leave":
        return _end(incident, f"left as it is, as {incident.questions[-1].answered_by} decided")
    if trial.held:
        return []  # a person decides
    return [_act_or_ask(state, _grown(incident, new), "what was tried did not help", verb="amend")]


def _end(incident: Incident, outcome: str) -> list[Decision]:
    """Write down how it stands, then close it."""
    return [
        about("amend", incident, reason=outcome, by=NAME),
        about("close", incident, reason=outcome, by=NAME),
    ]


def _act_or_ask(state: State, incident: Incident, why: str, *, verb: str) -> Decision:
    act = next_act(state, incident)
    if act is not None:
        incident = replace(incident, acts=(*incident.acts, act), rung="stop" if act.remedy == "stop" else "repair",
                           action=act.reason)  # fmt: skip
        return about("repair", incident, reason=f"{incident.finding} {act.reason.capitalize()}.", by=NAME, needs=act.needs)
    if not incident.layers:  # they are sampled now and then, so the first act may have come before they showed it
        incident = replace(incident, layers=standing_out(state.looks.get(incident.subject, NOTHING).layers, incident.since))
    best, default = suggested(state, incident), _default_of(state, incident)
    question = Question(
        asked_at=state.now_s, deadline_at=state.now_s + _patience_s(state), suggested=best, default=default,
        options=tuple(dict.fromkeys((best, default, "leave", "pause", "stop"))),
    )  # fmt: skip
    asked = replace(incident, questions=(*incident.questions, question), rung="ask", action="asked")
    return about("open" if verb == "open" else "amend", asked, reason=f"{incident.finding} A person is asked: {why}.", by=NAME)


def _default_of(state: State, incident: Incident) -> str:
    default = DEFAULTS.get(incident.cause, "leave")
    return default if state.may(REMEDIES[default].authority) else "leave"


def _default(state: State, incident: Incident, question: Question) -> list[Decision]:
    """Nobody answered in time: what was said would happen, happens."""
    if state.now_s < question.deadline_at:
        return []
    answered = replace(question, answer=question.default, answered_by="default")
    act = act_of(state, incident, question.default, by=NAME)
    act = replace(act, outcome="worked", seen="nobody answered in time")
    incident = replace(incident, questions=(*incident.questions[:-1], answered), acts=(*incident.acts, act),
                       action=act.reason)  # fmt: skip
    reason = f"Nobody answered within {question.deadline_at - question.asked_at:.0f} s: {act.reason}."
    return [about("repair", incident, reason=reason, by=NAME, needs=REMEDIES[question.default].authority)]


def _patience_s(state: State) -> float:
    return state.study.answer_within_s if state.study is not None else 0.0


def _grown(incident: Incident, new: Sequence[Finding]) -> Incident:
    """The incident with what was found since; what is believed stays with its first diagnosis."""
    if not new:
        return incident
    return replace(incident, findings=_few((*incident.findings, *new)), step=max(incident.step, *(one.step for one in new)))


def _few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(findings) if len(findings) <= SHOWN else (findings[0], *findings[1 - SHOWN :])


def _sentence(trial: str, cause: str, diagnosis: Diagnosis) -> str:
    symptoms = ", ".join(dict.fromkeys(one.symptom.replace("_", " ") for one in diagnosis.findings))
    return f"{trial}: {cause.replace('_', ' ')} since step {diagnosis.since} ({symptoms})."


def _evidence(diagnosis: Diagnosis) -> tuple[str, ...]:
    return tuple(f"{name.replace('_', ' ')} {value:.6g}" for name, value in diagnosis.evidence.items())

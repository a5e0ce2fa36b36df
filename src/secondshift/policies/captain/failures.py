"""What a failed attempt means: its own fault, which will come again, or something from outside, which is tried again."""

from dataclasses import replace

from secondshift.policies.captain import crashes
from secondshift.policies.captain.remedies import TRIES, act_of
from secondshift.records.decisions import Decision, about, fail, reopen
from secondshift.records.incidents import Act, Crash, Finding, Incident
from secondshift.records.states import State
from secondshift.records.trials import Trial

NAME = "failures"
RETRY = "retry_infrastructure"
SIGNALS = {6: "sigabrt", 9: "killed", 11: "segfault"}
FAR = frozenset((*crashes.FAR, "nccl_timeout"))  # signs that may stand far above an abort and be its root
FAR_NAMES = frozenset((*crashes.FAR, "nccl_watchdog_after_cuda_error"))
PASSES = frozenset({"network"})  # what is the same a moment later, and may be over after some time
LONGER = 5.0  # times as long before each further try
OWN = frozenset({"segfault", "sigabrt"})  # a signal that a program sends to itself: twice at the same step is its own fault


def decide(state: State) -> list[Decision]:
    """Judge every failure that nobody has judged yet, and see whether what was tried again came further.

    One incident for each failure, however often it is tried again.
    """
    if state.study is None or state.shift is None:
        return []
    decisions: list[Decision] = []
    for trial, care in state.care.items():
        for crash in care.crash:
            decisions += _judge(state, state.trials[trial], crash)
    failed = {trial for trial, care in state.care.items() if care.crash}
    for incident in state.incidents.values():
        act = incident.retry()
        if act is not None and incident.subject in state.trials and incident.subject not in failed:
            decisions += _follow(state, incident, act)
    return decisions


def _judge(state: State, trial: Trial, crash: Crash) -> list[Decision]:
    name, deterministic, line = _class(crash)
    # Tries count only while the run comes no further: a night with many kills is no crash loop as long as it trains.
    again = [act for act in state.care[trial.id].acts if act.remedy == "retry" and act.step >= crash.step]
    same_step = [act for act in again if act.cause == name and act.step == crash.step]
    finding = Finding(
        symptom="crash", stream="output", step=max(0, crash.step), since=max(0, crash.step), lasted=len(again) + 1,
        confidence=0.9 if line or crash.signal is not None else 0.6,
        evidence={"exit_code": float(crash.code or 0), "signal": float(crash.signal or 0)},
    )  # fmt: skip
    incident = Incident(
        id="", subject=trial.id, finding=f"{trial.id}: {name.replace('_', ' ')} at step {max(0, crash.step)}.",
        evidence=(line,) if line else (), cause=name, confidence=finding.confidence, since=finding.since,
        step=finding.step, attempt=crash.attempt, findings=(finding,), opened_at=state.now_s,
        drill=state.study is not None and state.study.drill(),
    )  # fmt: skip
    before, incident = _gone_on(state, trial, crash, incident)
    own = deterministic or (name in OWN and bool(same_step))
    limit = state.study.policy.max_interruptions if state.study is not None else TRIES
    worn_out = len(again) >= TRIES if trial.status == "failed" else max(trial.interruptions - 1, len(again)) >= limit
    if own or worn_out:
        why = "it would fail in the same way again" if own else f"it was tried {len(again)} times"
        return [*before, *_give_up(trial, incident, why)]
    return [*before, *_again(state, trial, crash, incident, len(again))]


def _gone_on(state: State, trial: Trial, crash: Crash, incident: Incident) -> tuple[list[Decision], Incident]:
    """The incident of a retry that failed as well, grown by this failure; or what ends it, where the retry had come further."""
    known = next((one for one in state.incidents.values() if one.subject == trial.id and one.retry()), None)
    if known is None:
        return [], incident
    act = known.acts[-1]
    if crash.step > act.step:
        return _worked(known, f"it trained past step {act.step}"), incident
    failed = replace(act, outcome="failed", seen=f"{incident.cause.replace('_', ' ')} again at step {incident.step}")
    return [], replace(
        known, finding=incident.finding, evidence=incident.evidence, cause=incident.cause, confidence=incident.confidence,
        step=max(known.step, incident.step), attempt=crash.attempt, findings=(*known.findings, *incident.findings),
        acts=(*known.acts[:-1], failed),
    )  # fmt: skip


def _follow(state: State, incident: Incident, act: Act) -> list[Decision]:
    """See what became of a retry: it worked once the run has come further than it had before."""
    trial = state.trials[incident.subject]
    if not trial.open():
        if trial.status == "complete":
            return _worked(incident, f"{trial.id} came to its end")
        return [about("close", incident, reason=f"{trial.id} is {trial.status}", by=NAME)]
    attempt = state.attempt_of(trial.id)
    if attempt is not None and attempt.id != act.attempt and trial.logged_step > act.step:
        return _worked(incident, f"it trained past step {act.step}")
    if act.after and not act.rested and state.now_s >= act.after:
        rested = replace(incident, acts=(*incident.acts[:-1], replace(act, rested=True)))
        return [about("amend", rested, reason=f"{trial.id} has waited, and may be tried again", by=NAME)]
    return []


def _worked(incident: Incident, seen: str) -> list[Decision]:
    """Write down that the retry helped, then close it."""
    judged = replace(incident, acts=(*incident.acts[:-1], replace(incident.acts[-1], outcome="worked", seen=seen)))
    return [
        about("amend", judged, reason=seen, by=NAME),
        about("close", judged, reason=f"started again: {seen}", by=NAME),
    ]


def _give_up(trial: Trial, incident: Incident, why: str) -> list[Decision]:
    told = _closed(incident, f"not tried again: {why}")
    if trial.status != "paused":
        return told
    return [*told, fail(trial.id, reason=f"{incident.finding} It is not tried again: {why}.", by=NAME)]


def _closed(incident: Incident, how: str) -> list[Decision]:
    """An incident that ends here: noted at once if it is new."""
    over = replace(incident, action="not tried again")
    if not incident.id:
        return [about("open", replace(over, closed=how), reason=how, by=NAME)]
    return [about("amend", over, reason=how, by=NAME), about("close", over, reason=how, by=NAME)]


def _again(state: State, trial: Trial, crash: Crash, incident: Incident, tried: int) -> list[Decision]:
    """Try it again, if that is granted: a signal left it paused anyway, an exit code has to be forgiven first."""
    if not state.may(RETRY):
        return _closed(incident, "not tried again: [captain] may does not grant it")
    rest_s = _rest_s(state, incident.cause, tried)
    act = act_of(state, incident, "retry", by="captain")
    act = replace(act, attempt=crash.attempt, step=crash.step, after=state.now_s + rest_s if rest_s else 0.0)
    incident = replace(incident, acts=(*incident.acts, act), action=act.reason, rung="repair")
    reason = f"{incident.finding} It is no fault of the script: {act.reason}."
    told = about("amend" if incident.id else "open", incident, reason=reason, by=NAME)
    if trial.status == "failed":
        return [told, reopen(trial.id, reason=reason, by=NAME, needs=RETRY)]
    return [told]


def _rest_s(state: State, cause: str, tried: int) -> float:
    """Seconds to wait before a failure is tried again: nothing the first time, unless it is known to pass only with time."""
    times = tried + (cause in PASSES)
    return state.study.cool_down_s * LONGER ** (times - 1) if state.study is not None and times else 0.0


def _class(crash: Crash) -> tuple[str, bool, str]:
    """The class of a failure, whether it will happen again, and the line that says so."""
    lines = crash.message.splitlines()
    if crash.lost:
        return "node_lost", False, ""
    if crash.signal is not None and crash.signal in SIGNALS:
        # An abort is often what a library does after the root; who kills from outside knows nothing of what was printed.
        aborted = [f"exitcode: {crash.signal}"] if SIGNALS[crash.signal] == "sigabrt" else []
        found = crashes.classify([], [*lines, *aborted], signs=frozenset(crash.signs) & FAR)
        if found.role == "root" or (aborted and found.name in FAR_NAMES):
            return found.name, found.deterministic, found.line if found.role == "root" else ""
        return SIGNALS[crash.signal], False, ""
    if crash.signal is not None:
        return f"signal_{crash.signal}", False, ""
    trained = [f"step: {crash.step}"] if crash.step >= 0 else []  # whatever it printed: a run that has trained was launched well
    found = crashes.classify(lines, [*lines, *trained, f"exitcode: {crash.code}"], signs=crash.signs)
    if found.name == "benign_only":
        return "script_error", True, next((line for line in reversed(lines) if line.strip()), "")
    return found.name, found.deterministic, found.line



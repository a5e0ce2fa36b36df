"""What a failed attempt means: its own fault, which will come again, or something from outside, which is tried again."""

from dataclasses import replace

from secondshift.policies.captain import crashes
from secondshift.policies.captain.remedies import TRIES, act_of
from secondshift.records.decisions import Decision, about, fail, reopen
from secondshift.records.incidents import Crash, Finding, Incident
from secondshift.records.states import State
from secondshift.records.trials import Trial

NAME = "failures"
RETRY = "retry_infrastructure"
SIGNALS = {6: "sigabrt", 9: "killed", 11: "segfault"}
FAR = frozenset((*crashes.FAR, "nccl_timeout"))  # signs that may stand far above an abort and be its root
FAR_NAMES = frozenset((*crashes.FAR, "nccl_watchdog_after_cuda_error"))
OWN = frozenset({"segfault", "sigabrt"})  # a signal that a program sends to itself: twice at the same step is its own fault


def decide(state: State) -> list[Decision]:
    """Judge every failure that nobody has judged yet; at most one incident for each kind of failure of a study."""
    if state.study is None or state.shift is None:
        return []
    decisions: list[Decision] = []
    for trial, care in state.care.items():
        for crash in care.crash:
            decisions += _judge(state, state.trials[trial], crash)
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
    own = deterministic or (name in OWN and bool(same_step))
    limit = state.study.policy.max_interruptions if state.study is not None else TRIES
    worn_out = len(again) >= TRIES if trial.status == "failed" else trial.interruptions > limit
    if own or worn_out:
        return _give_up(trial, incident, "it would fail in the same way again" if own else f"it was tried {len(again)} times")
    return _again(state, trial, crash, incident)


def _give_up(trial: Trial, incident: Incident, why: str) -> list[Decision]:
    closed = replace(incident, closed=f"not tried again: {why}", action="not tried again")
    told = about("open", closed, reason=closed.closed, by=NAME)
    if trial.status != "paused":
        return [told]
    return [told, fail(trial.id, reason=f"{incident.finding} It is not tried again: {why}.", by=NAME)]


def _again(state: State, trial: Trial, crash: Crash, incident: Incident) -> list[Decision]:
    """Try it again, if that is granted: a signal left it paused anyway, an exit code has to be forgiven first."""
    if not state.may(RETRY):
        closed = replace(incident, closed="not tried again: [captain] may does not grant it", action="not tried again")
        return [about("open", closed, reason=closed.closed, by=NAME)]
    act = act_of(state, incident, "retry", by="captain")
    act = replace(act, attempt=crash.attempt, step=crash.step, outcome="worked", seen=f"at step {crash.step}")
    closed = replace(incident, acts=(act,), action=act.reason, closed="started again from its newest checkpoint")
    reason = f"{incident.finding} It is no fault of the script: {act.reason}."
    if trial.status == "failed":
        forgiven = reopen(trial.id, reason=reason, by=NAME, needs=RETRY)
        return [about("open", closed, reason=reason, by=NAME), forgiven]
    return [about("open", closed, reason=reason, by=NAME)]


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
    found = crashes.classify(lines, [*lines, f"exitcode: {crash.code}"], signs=crash.signs)
    if found.name == "benign_only":
        return "script_error", True, next((line for line in reversed(lines) if line.strip()), "")
    return found.name, found.deterministic, found.line



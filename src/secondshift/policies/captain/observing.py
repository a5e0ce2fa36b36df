"""The first stage of a tick: what the detectors found is written down before anybody says what it means."""

import math

from secondshift.policies.captain.symptoms.beats import silence
from secondshift.records.decisions import Decision, see
from secondshift.records.incidents import KEPT, Care, Finding
from secondshift.records.states import State
from secondshift.records.trials import Attempt

NAME = "symptoms"
NOBODY = Care()
UNSURE = 0.4  # below what the ladder asks of a silence


def decide(state: State) -> list[Decision]:
    """Record what was found in the streams since the last tick, and which running trial has fallen silent."""
    if state.study is None or state.shift is None:
        return []
    found: dict[str, list[Finding]] = {trial: list(look.findings) for trial, look in state.looks.items()}
    for attempt in state.attempts.values():
        if silent := [*_quiet(state, attempt), *_silent(state, attempt)]:
            found.setdefault(attempt.trial, []).extend(silent)
    return [
        see(trial, fresh, by=NAME)
        for trial, findings in found.items()
        if (fresh := _fresh(state.care.get(trial, NOBODY), findings))
    ]


def _fresh(care: Care, findings: list[Finding]) -> tuple[Finding, ...]:
    """Those that are not known of this attempt yet: an engine that was started again finds old ones once more.

    What an earlier attempt showed at the same step is no reason to keep silent: it has come back.
    """
    known = {(one.symptom, one.stream, one.step, one.lasted) for one in care.of_attempt()}
    return tuple(one for one in findings if (one.symptom, one.stream, one.step, one.lasted) not in known)[-KEPT:]


def _silent(state: State, attempt: Attempt) -> list[Finding]:
    """Silence is told once, and again each time it has lasted twice as long."""
    if attempt.status != "running" or attempt.asked or attempt.closed or attempt.last_log_at <= attempt.started_at:
        return []  # one that never logged may still be importing, compiling, or reading its data
    longest = max(attempt.longest_gap_s, (attempt.last_log_at - attempt.started_at) * (attempt.longest_gap_s == 0.0))
    trial = state.trials[attempt.trial]
    found = silence(
        now_s=state.now_s, last_beat_s=attempt.last_log_at, longest_gap_s=longest, step=max(0, trial.logged_step),
        # The health that is recorded may be from before the silence; the newest sample is not.
        state="blocked" if attempt.rests and attempt.health == "running" else attempt.health,
    )
    return [_told(one, attempt) for one in found]


def _quiet(state: State, attempt: Attempt) -> list[Finding]:
    """Silence that is seen, and too young to be believed: too little confidence for anything but a note."""
    if attempt.quiet_since == 0.0 or attempt.asked or attempt.closed:
        return []
    step, usual = max(0, state.trials[attempt.trial].logged_step), attempt.beat_gap_s
    seen = {"silent_s": state.now_s - attempt.quiet_since, "longest_normal_gap_s": usual, "allowed_s": attempt.quiet_allowed_s}
    return [Finding(symptom="silence", stream=attempt.id, step=step, since=step, lasted=0, confidence=UNSURE, evidence=seen)]


def _told(found: Finding, attempt: Attempt) -> Finding:
    times = found.evidence["silent_s"] / found.evidence["allowed_s"]
    return Finding(
        symptom=found.symptom, stream=attempt.id, step=found.step, since=found.since,
        lasted=2 ** int(math.log2(max(1.0, times))), confidence=found.confidence, evidence=found.evidence,
    )  # fmt: skip

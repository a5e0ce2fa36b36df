"""From the findings of one run to one cause, with the evidence that carries it: ordered rules, the first that fits wins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from secondshift.policies.captain.symptoms.findings import Finding

Cause = Literal[
    "bad_numbers", "learning_rate_too_high", "bad_data", "damaged_weights", "dead_units", "wrong_set_up", "no_learning",
    "overflow", "dead_logger", "dead_loader", "unshuffled_loader", "slow_loader", "slow_device", "memory_leak",
    "overfitting", "evaluation_changed", "diverging", "stalled", "silent", "crash_loop",
    "hang_lock", "hang_busy", "hang_stopped", "disk_filling", "checkpoints_failing",
]  # fmt: skip
RISES = frozenset({"spike", "step_up", "slow_divergence", "gradient_explosion"})
RATE_JUMP = 4.0  # times the usual learning rate
SHOWN = 0.6  # share of training's rise that the first evaluation after it shows
GRADIENT_LOST = 0.5  # times the usual gradient
BESIDE = frozenset({"slow_steps", "slow_loader", "memory_leak"})  # of the machine: no loss rises for that
GAP = 16  # logged rows between one sign and the next, beyond which they are of two troubles


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What is believed to be wrong with a run, and why."""

    cause: Cause
    confidence: float  # 0 to 1
    since: int  # first suspicious step of everything that belongs to it
    findings: tuple[Finding, ...]  # what it rests on, oldest first
    evidence: Mapping[str, float]  # the numbers of the finding that decided it


def diagnose(findings: Sequence[Finding]) -> Diagnosis | None:
    """One diagnosis of all findings of one incident, or None without findings."""
    if not findings:
        return None
    ordered = sorted(findings, key=lambda finding: finding.step)
    for cause, fits in RULES:
        carrying = [finding for finding in ordered if fits(finding, ordered)]
        if carrying:
            surest = max(carrying, key=lambda finding: finding.confidence)
            # An evaluation's decline may have begun long before; only what carries the cause says where to roll back to.
            since = min(finding.since for finding in carrying)
            leapt = max(int(finding.evidence.get("rate_since", -1.0)) for finding in carrying)
            if cause == "learning_rate_too_high" and leapt >= 0:
                since = leapt  # a loss shows it later, and blocks of points begin before it
            return Diagnosis(
                cause=cause,
                confidence=surest.confidence,
                since=since,
                findings=tuple(ordered),
                evidence=surest.evidence,
            )
    return None


def together(findings: Sequence[Finding], deciding: Sequence[Finding]) -> list[Finding]:
    """Those that belong to the trouble that is decided on: told during it, or so shortly before that one led to the next.

    A spike that was noted long ago and went away says nothing of where this trouble began, and a machine that is slow beside it
    nothing of what it is.
    """
    begun = min((one.since for one in deciding), default=0)
    kept = []
    for one in sorted(findings, key=lambda finding: finding.step, reverse=True):
        if one.symptom in BESIDE and one not in deciding:
            continue
        if one.step >= begun - GAP * one.evidence.get("logged_every", 1.0):
            kept.append(one)
            begun = min(begun, one.since)
    return kept[::-1]


def _is(*symptoms: str) -> Callable[[Finding, Sequence[Finding]], bool]:
    return lambda finding, _: finding.symptom in symptoms


def _hangs(how: str) -> Callable[[Finding, Sequence[Finding]], bool]:
    return lambda finding, _: finding.symptom == "hang" and finding.evidence.get(how, 0.0) > 0.0


def _rate_jumped(finding: Finding, _: Sequence[Finding]) -> bool:
    rises = finding.symptom in RISES or finding.symptom == "non_finite"
    return rises and finding.evidence.get("rate_change", 1.0) >= RATE_JUMP


def _blew_up(finding: Finding, _: Sequence[Finding]) -> bool:
    return finding.symptom == "not_learning" and finding.evidence.get("blew_up", 0.0) > 0.0


def _gradient_lost(finding: Finding, _: Sequence[Finding]) -> bool:
    lost = finding.evidence.get("gradient_change", 1.0) < GRADIENT_LOST
    return finding.symptom == "gradient_vanishing" or (finding.symptom in RISES and lost)


def _with_evaluation(finding: Finding, _: Sequence[Finding]) -> bool:
    """A rise that evaluation shows as much: the weights are worse, not only the data."""
    return finding.symptom in RISES and finding.evidence.get("shown_by_evaluation", 0.0) > SHOWN


def _only_slow(finding: Finding, every: Sequence[Finding]) -> bool:
    sudden = any(other.symptom in RISES - {"slow_divergence"} for other in every)
    return finding.symptom == "slow_divergence" and not sudden


RULES: tuple[tuple[Cause, Callable[[Finding, Sequence[Finding]], bool]], ...] = (
    ("crash_loop", _is("crash_loop")),
    ("hang_stopped", _hangs("stopped")),
    ("hang_busy", _hangs("busy")),
    ("hang_lock", _hangs("waiting")),
    ("silent", _is("silence")),
    ("disk_filling", _is("disk_filling")),
    ("checkpoints_failing", _is("checkpoint_failure")),
    ("dead_logger", _is("frozen_metrics")),
    ("dead_loader", _is("dead_loader")),
    ("unshuffled_loader", _is("unshuffled_loader", "one_class")),
    ("overflow", _is("overflow_skipping")),
    ("learning_rate_too_high", _rate_jumped),
    ("bad_numbers", _is("non_finite")),
    ("no_learning", _is("no_update")),
    ("memory_leak", _is("memory_leak")),
    ("slow_loader", _is("slow_loader")),
    ("slow_device", _is("slow_steps")),
    ("learning_rate_too_high", _blew_up),
    ("dead_units", _gradient_lost),
    ("damaged_weights", _with_evaluation),
    ("diverging", _only_slow),
    ("bad_data", _is(*RISES)),
    ("evaluation_changed", _is("evaluation_shift")),
    ("overfitting", _is("overfitting")),
    ("wrong_set_up", _is("not_learning")),
    ("stalled", _is("plateau")),
)

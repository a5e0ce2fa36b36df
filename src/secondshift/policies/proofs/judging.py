"""From all that was tried to what is proved."""

from secondshift.policies.proofs.behaviour import (
    file_findings,
    length_findings,
    metric_findings,
    parameter_findings,
    seed_findings,
    seed_noise,
)
from secondshift.policies.proofs.resuming import resume_findings
from secondshift.policies.proofs.series import points
from secondshift.records.metricnames import of_script
from secondshift.records.proofs import Examination, Finding, Probe, Proof, Tier

NIGHT_S = 8 * 3600.0


def judge(exam: Examination) -> Proof:
    """Say what the tried runs prove. A tier that is not proved is not used, and the study's own word does not count.

    Raises ValueError without a single run.
    """
    if not exam.runs:
        raise ValueError(
            "An examination holds no run; expected at least one, of the study's baseline. Run the command first."
        )
    findings = list(metric_findings(exam))
    usable = not any(finding.breaks == "all" for finding in findings)
    if usable:
        findings += [*length_findings(exam), *seed_findings(exam), *parameter_findings(exam), *file_findings(exam)]
        findings += [*_offer(exam), *resume_findings(exam)]
    step_s, trial_s, trials = _times(exam) if usable else (None, None, None)
    noise, step, seeds = seed_noise(exam) if usable else (None, 0, 0)
    return Proof(
        named=exam.study.tier, tier=_tier(exam, findings), usable=usable, findings=tuple(findings),
        noise=noise, noise_step=step, noise_seeds=seeds, step_s=step_s, start_s=exam.runs[0].first_point_s,
        eval_s=exam.runs[0].eval_s, trial_s=trial_s, trials_a_night=trials,
    )  # fmt: skip


def _offer(exam: Examination) -> list[Finding]:
    """A study that names no tier is taken for cooperative: say so where the script never spoke to the SDK."""
    if exam.hurried and exam.study.tier != "opaque":
        return [Finding(code="resume_untried", level="note", breaks="resume")]
    if exam.study.tier == "cooperative" and not any(probe.uses_sdk for probe in exam.runs):
        return [Finding(code="sdk_absent", level="note", breaks="resume")]
    return []


def _tier(exam: Examination, findings: list[Finding]) -> Tier:
    """The tier as named if its resume was shown to work, else opaque."""
    broken = any(finding.breaks for finding in findings)
    shown = any(finding.code in ("resume_exact", "resume_within_noise") for finding in findings)
    return exam.study.tier if shown and not broken else "opaque"


def _times(exam: Examination) -> tuple[float | None, float | None, int | None]:
    """Seconds a step, seconds a full trial, and full trials in a night of eight hours on this host."""
    first = exam.runs[0]
    span = _steps(first)
    if span < 1 or first.took_s <= first.first_point_s:
        return None, None, None
    step_s = (first.took_s - first.first_point_s) / span
    trial_s = first.first_point_s + step_s * exam.study.horizon_steps
    return step_s, trial_s, int(NIGHT_S * exam.slots / trial_s) if trial_s > 0 else None


def _steps(probe: Probe) -> int:
    """How many steps a run went on after its first point."""
    seen = [step for name in probe.curves if of_script(name) for step in points(probe, name)]
    return max(seen) - min(seen) if seen else 0

"""The ladder: which finding is only noted, and which asks for more. Symptom, confidence and persistence give a rung."""

from typing import Literal

from secondshift.policies.captain.symptoms.findings import Finding, Symptom

Rung = Literal["note", "repair", "stop", "ask", "page"]

# symptom -> the rung above a note, the points it must have lasted, and the confidence it must have
STEPS: dict[Symptom, tuple[Rung, int, float]] = {
    "non_finite": ("stop", 1, 0.9),
    "step_up": ("ask", 128, 0.8),
    "slow_divergence": ("ask", 128, 0.7),
    "not_learning": ("ask", 1, 0.8),
    "gradient_vanishing": ("ask", 64, 0.7),
    "overflow_skipping": ("repair", 16, 0.9),
    "frozen_metrics": ("ask", 24, 0.8),
    "no_update": ("ask", 6, 0.9),
    "dead_loader": ("repair", 12, 0.7),
    "unshuffled_loader": ("ask", 24, 0.7),
    "one_class": ("ask", 24, 0.7),
    "slow_loader": ("repair", 96, 0.8),
    "memory_leak": ("repair", 1, 0.85),
    "evaluation_shift": ("ask", 4, 0.8),
    "silence": ("ask", 1, 0.5),
    "hang": ("repair", 1, 0.5),
    "disk_filling": ("ask", 8, 0.8),
    "checkpoint_failure": ("ask", 2, 0.8),
    "crash_loop": ("ask", 3, 0.5),
}


# A rise may go away by itself: most of public runs do. One that comes down, or is short beside the run so far, is given time.
HALVED = 0.5  # share that is left of a rise, each time it has lasted twice as long, of one that is coming back
TENTH, ENOUGH = 0.1, 256  # share of the steps so far that it must have lasted, or points

# A rise that fills this share of the whole run so far has lasted, though it had few points; not one of which less and less is left.
LASTING: tuple[Symptom, ...] = ("step_up", "slow_divergence")
SHARE, LEAST, SURE, STAYS = 0.4, 64, 0.7, 0.85


def _lasting(finding: Finding) -> bool:
    whole = finding.step - finding.since >= SHARE * finding.step and finding.evidence.get("left", 1.0) >= STAYS
    return finding.symptom in LASTING and whole and finding.lasted >= LEAST and finding.confidence >= SURE


def rung(finding: Finding) -> Rung:
    """The rung that a finding has reached.

    Spikes, plateaus and large gradients stay notes: they pass, or a step up follows and says so. So do slow steps and
    overfitting, of which nobody is ever asked: what is done about them where it may be stands in `unasked.py`.

    `page` is never reached here: whether a question wakes somebody is weighed by `policies/oncall`.
    """
    if finding.evidence.get("ended", 0.0) > 0.0:
        return "ask" if finding.confidence >= SURE else "note"  # the run is over: it cannot last any longer
    above = STEPS.get(finding.symptom)
    if above is None or not (_lasting(finding) or (_lasted(finding, above) and not _may_pass(finding))):
        return "note"
    return above[0]


def _lasted(finding: Finding, above: tuple[Rung, int, float]) -> bool:
    return finding.lasted >= above[1] and finding.confidence >= above[2]


def _may_pass(finding: Finding) -> bool:
    """Say whether a rise may still go away, so that nobody is asked yet."""
    if finding.symptom != "step_up":
        return False
    short = finding.step - finding.since < TENTH * finding.step and finding.lasted < ENOUGH
    coming_back = STAYS if finding.evidence.get("came_back", 0.0) > 0.0 else HALVED  # what this run did before it may do again
    return short or finding.evidence.get("left", 1.0) <= coming_back

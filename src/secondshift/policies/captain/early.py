"""What is repaired sooner than it would be asked about: an act that can be undone needs less evidence than waking somebody.

A question costs somebody's sleep, so a rise must last (`ladder.py`) before it is one. Going back to a checkpoint costs the steps
since, trained once more, whether it was right or not; waiting costs as many steps as the wait is long. So where going back alone
is what would be done first, and is granted, two witnesses are enough after a few points. Nothing here ever asks.
"""

from secondshift.policies.captain.symptoms.findings import Finding

GOING_BACK = ("roll_back", "roll_back_skip", "roll_back_lower_rate")
LASTED, CERTAIN = 64, 0.8  # points of a rise, and confidence in it, after which any of these is done, though it may yet go away
BEFORE_LONG = ("roll_back",)  # acts that give up nothing but steps: no data is skipped, no rate is changed
POINTS, SURE = 3, 0.7  # of a rise beside a learning rate that leapt
BLOCKS = 16  # points of a rise, where weights may be damaged
MUCH = 0.5  # share of what was gained that is gone
SHOWN = 0.6  # share of the rise that evaluation shows: so it is not the data alone
HIGH = 8.0  # units of noise that it stands above what was before, on average
STEEPER = 2.0  # times the usual gradient norm
STANDS = 0.6  # least confidence in such a rise, though it falls


def lasting(finding: Finding) -> bool:
    """Say whether a rise has lasted long enough to be undone by any act that goes back. It may be too early to ask about it."""
    return finding.symptom == "step_up" and finding.lasted >= LASTED and finding.confidence >= CERTAIN


def early(finding: Finding) -> bool:
    """Say whether this may be repaired before it has lasted."""
    return _leapt(finding) or _damaged(finding)


def _leapt(finding: Finding) -> bool:
    """A loss or a gradient that got worse right after the learning rate leapt above all that the run had had, unannounced."""
    leapt = finding.evidence.get("rate_since", -1.0)
    mostly = 2.0 * (finding.step - leapt) >= finding.step - finding.since
    rises = finding.symptom in ("spike", "step_up", "gradient_explosion")
    return leapt >= 0.0 and rises and mostly and finding.lasted >= POINTS and finding.confidence >= SURE


def _damaged(finding: Finding) -> bool:
    """Half of all that was learned is gone at once, evaluation says the same, and the gradients are steeper."""
    seen = finding.evidence.get
    gone = finding.symptom == "step_up" and finding.lasted >= BLOCKS and seen("lost", 0.0) >= MUCH
    high = abs(seen("mean_level", 0.0) - seen("before", 0.0)) >= HIGH * seen("noise", 0.0)
    shown = seen("shown_by_evaluation", 0.0) >= SHOWN and seen("gradient_change", 1.0) >= STEEPER
    return gone and high and shown and finding.confidence >= STANDS

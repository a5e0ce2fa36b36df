"""Signs from outside the streams: silence is judged from heartbeats, crash loops from exits."""

from collections.abc import Sequence

from secondshift.policies.captain.symptoms.findings import Finding

GAPS = 4.0  # longest normal gaps without a beat that make silence
LEAST_S = 10.0
LOOP = 3  # starts in a row without progress


def silence(*, now_s: float, last_beat_s: float, longest_gap_s: float, step: int) -> list[Finding]:
    """Find silence: no beat for four times the longest gap that was normal. Silent is not finished, and not dead."""
    gap, allowed = now_s - last_beat_s, max(LEAST_S, GAPS * longest_gap_s)
    if gap <= allowed:
        return []
    seen = {"silent_s": gap, "longest_normal_gap_s": longest_gap_s, "allowed_s": allowed}
    confidence = round(min(0.98, 1.0 - 0.4 * allowed / gap), 3)
    return [
        Finding(
            symptom="silence", stream="heartbeat", step=step, since=step, lasted=1, confidence=confidence, evidence=seen
        )
    ]


def crash_loop(reached: Sequence[int]) -> list[Finding]:
    """Find a crash loop in the step that each failed start reached, oldest first: three in a row without progress."""
    row = 0
    best = -1
    for step in reached:
        row = 1 if step > best else row + 1
        best = max(best, step)
    if row < LOOP:
        return []
    spread = max(reached[-row:]) - min(reached[-row:])
    seen = {"starts_without_progress": float(row), "best_step": float(best), "spread_steps": float(spread)}
    return [Finding(symptom="crash_loop", stream="exit", step=best, since=best, lasted=row,
                    confidence=0.95 if spread == 0 else 0.8, evidence=seen)]  # fmt: skip

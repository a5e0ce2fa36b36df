"""Signs from outside the streams: silence and hangs from heartbeats, crash loops from exits, stragglers from their peers."""

from collections.abc import Mapping, Sequence

from secondshift.policies.captain.symptoms.findings import Finding, confidence_of
from secondshift.policies.captain.symptoms.levels import middle

GAPS = 4.0  # longest normal gaps without a beat that make silence
LEAST_S = 10.0
BUSY = 0.2  # cores; with less a silent process waits
LEAST_TIMES, LEAST_WORKERS = 8, 3
SLOWER = 0.25  # share of the usual time by which a straggler is slower
LOOP = 3  # starts in a row without progress


def silence(
    *, now_s: float, last_beat_s: float, longest_gap_s: float, step: int, state: str = "", cpu: float | None = None
) -> list[Finding]:
    """Find silence: no beat for four times the longest gap that was normal. Silent is not finished, and not dead.

    Where the state of the process is known (R, S, D, T as in /proc, or running, blocked, disk, stopped) and the cores that
    it uses, silence is a hang, and the evidence says which: `stopped` by a signal, `busy` in a loop, or `waiting` for a
    lock, a network or a disk.
    """
    gap, allowed = now_s - last_beat_s, max(LEAST_S, GAPS * longest_gap_s)
    if gap <= allowed:
        return []
    seen = {"silent_s": gap, "longest_normal_gap_s": longest_gap_s, "allowed_s": allowed}
    confidence = round(min(0.98, 1.0 - 0.4 * allowed / gap), 3)
    hang = _hang(state, cpu)
    if hang and cpu is not None:
        seen["cpu"] = cpu
    return [
        Finding(symptom="hang" if hang else "silence", stream="heartbeat", step=step, since=step, lasted=1,
                confidence=confidence, evidence={**seen, hang: 1.0} if hang else seen)
    ]  # fmt: skip


def _hang(state: str, cpu: float | None) -> str:
    letter = {"running": "R", "blocked": "S", "disk": "D", "stopped": "T"}.get(state, state)
    if letter in ("T", "t"):
        return "stopped"
    if cpu is not None:
        return "busy" if cpu >= BUSY else "waiting"
    return {"R": "busy", "S": "waiting", "D": "waiting"}.get(letter, "")


def straggler(times: Mapping[str, Sequence[float]], *, step: int) -> list[Finding]:
    """Name the worker that is slower than its peers, from the newest step times of each (seconds, at least eight).

    In training that waits for all at each step, give the time of a worker's own work, without the waiting.
    """
    medians = {name: middle(list(newest)) for name, newest in times.items() if len(newest) >= LEAST_TIMES}
    if len(medians) < LEAST_WORKERS:
        return []
    usual = middle(list(medians.values()))
    spread = middle([abs(value - usual) for value in medians.values()])
    slowest = max(medians, key=lambda name: medians[name])
    limit = max(SLOWER * usual, 8.0 * spread)
    excess = medians[slowest] - usual
    if excess <= limit:
        return []
    seen = {"step_time_s": medians[slowest], "peers_s": usual, "times": medians[slowest] / usual, "workers": float(len(medians))}
    return [Finding(symptom="slow_steps", stream=slowest, step=step, since=step, lasted=len(times[slowest]),
                    confidence=confidence_of(excess, limit, least=0.6), evidence=seen)]  # fmt: skip


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

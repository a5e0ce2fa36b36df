"""Signs from outside the training script, between its steps: a hang, a disk that fills, checkpoints that cannot be written."""

from dataclasses import dataclass, field
from typing import Self

from secondshift.policies.captain.symptoms.beats import silence
from secondshift.policies.captain.symptoms.findings import Finding, Symptom, doubled

# stream -> what supervisors and the SDK call it, the best first
SAMPLED: dict[str, tuple[str, ...]] = {
    "cpu": ("sys/cpu",), "proc_state": ("sys/proc_state",), "disk_free_mb": ("sys/disk_free_mb",),
    "gpu_mb": ("sys/gpu_mb",), "threads": ("sys/threads",), "rss_mb": ("sys/rss_mb", "sys/tree_rss_mb"),
    "step_time": ("sys/step_s",), "data_time": ("sys/data_s",),
}  # fmt: skip
STREAMS = ("cpu", "proc_state", "disk_free_mb", "gpu_mb", "threads", "checkpoint_failed")
KNOWN = 8  # beats before a gap can be called long
SAMPLES = 8  # of free space that are remembered
LITTLE_MB = 1024.0  # free space that is little for any training


@dataclass(slots=True)
class Process:
    """Constant-size memory of how the process does. Times are seconds from any origin, the same for all rows."""

    state: str = ""  # newest: R, S, D or T
    cpu: float = -1.0  # cores used, newest sample; below zero: never told
    beat_s: float = -1.0  # of the last row of training
    beats: int = 0
    longest_s: float = 0.0  # normal gap between two
    told: int = 0  # how often the present gap was told
    free: list[tuple[int, float]] = field(default_factory=list)  # step, MB
    first_step: int = -1
    lowest: float = float("inf")  # free space before those samples
    filling: int = 0  # samples in a row that the disk was filling
    little: float = LITTLE_MB  # told when less than this is free
    failed: int = 0  # checkpoints in a row that could not be written
    failed_since: int = 0

    def copy(self) -> Self:
        """An independent copy."""
        made = type(self)(*[getattr(self, name) for name in self.__slots__])
        made.free = self.free[:]
        return made

    def restart(self) -> None:
        """Another process goes on: how long the gaps may be, and what is free, is learned anew."""
        self.beat_s, self.beats, self.longest_s, self.told = -1.0, 0, 0.0, 0
        self.free, self.first_step, self.filling, self.lowest = [], -1, 0, float("inf")

    def push_state(self, state: float | str | None, cpu: float | None) -> None:
        """Take the state of the process (a letter as in /proc, or its code point) and the cores that it uses."""
        if state is not None:
            self.state = state[:1] if isinstance(state, str) else chr(int(state))
        if cpu is not None:
            self.cpu = cpu

    def push_time(self, step: int, at_s: float, *, beat: bool) -> list[Finding]:
        """Take the time of a row; `beat`: it brought something of training, and is no mere sample of the process."""
        if beat:
            if self.beat_s >= 0.0:
                self.longest_s = max(self.longest_s, at_s - self.beat_s) if self.told == 0 else self.longest_s
                self.beats += 1
            self.beat_s, self.told = at_s, 0
            return []
        if self.beats < KNOWN:
            return []
        found = silence(now_s=at_s, last_beat_s=self.beat_s, longest_gap_s=self.longest_s, step=step, state=self.state,
                        cpu=self.cpu if self.cpu >= 0.0 else None)  # fmt: skip
        if not found or found[0].evidence["silent_s"] < 2.0**self.told * found[0].evidence["allowed_s"]:
            return []
        self.told += 1
        return found

    def push_disk(self, step: int, free_mb: float) -> list[Finding]:
        """Take how much is free where checkpoints are written."""
        self.first_step = step if self.first_step < 0 else self.first_step
        if len(self.free) == SAMPLES:
            self.lowest = min(self.lowest, self.free.pop(0)[1])
        self.free.append((step, free_mb))
        if free_mb < self.little:
            self.little = 0.5 * free_mb
            seen = {"free_mb": free_mb, "little_mb": LITTLE_MB}
            return [self._tell("disk_filling", step, step, SAMPLES, 0.95, seen)]
        self.little = max(self.little, LITTLE_MB if free_mb > 2.0 * LITTLE_MB else self.little)
        begun, most = self.free[0]
        before, now = ([one for _, one in half] for half in (self.free[: SAMPLES // 2], self.free[SAMPLES // 2 :]))
        # Space that goes and comes back, as where old checkpoints are removed, has its heights again.
        falls = len(self.free) == SAMPLES and max(now) < max(before) and min(now) < min(before)
        if not falls or free_mb >= min(most, self.lowest) or step <= begun:
            self.filling = 0
            return []
        left = free_mb * (step - begun) / (most - free_mb)
        if left > 2 * (step - self.first_step):  # full at the earliest when the run has gone three times as far
            self.filling = 0
            return []
        self.filling += 1
        if not doubled(self.filling, 1):
            return []
        seen = {"free_mb": free_mb, "mb_per_step": (most - free_mb) / (step - begun), "steps_to_full": left}
        return [self._tell("disk_filling", step, begun, SAMPLES + self.filling - 1, 0.7 if self.filling < 4 else 0.9, seen)]

    def push_checkpoint(self, step: int, failed: float) -> list[Finding]:
        """Take whether a checkpoint could not be written (above zero) or was (zero)."""
        if failed <= 0.0:
            self.failed = 0
            return []
        self.failed += 1
        self.failed_since = step if self.failed == 1 else self.failed_since
        if not doubled(self.failed, 1):
            return []
        seen = {"failed_in_a_row": float(self.failed)} | ({"free_mb": self.free[-1][1]} if self.free else {})
        confidence = 0.6 if self.failed == 1 else 0.95
        return [self._tell("checkpoint_failure", step, self.failed_since, self.failed, confidence, seen)]

    def _tell(
        self, symptom: Symptom, step: int, since: int, lasted: int, confidence: float, seen: dict[str, float]
    ) -> Finding:
        name = "disk_free_mb" if symptom == "disk_filling" else "checkpoint_failed"
        return Finding(symptom=symptom, stream=name, step=step, since=since, lasted=lasted, confidence=confidence, evidence=seen)

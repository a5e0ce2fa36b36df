"""Follows all streams of one run: rows in, findings out. The state is of constant size and explicit.

`follow` is pure: it copies the state it is given. Following rows in any cuts gives the same findings and the same state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import exp
from typing import Literal, Self

from secondshift.policies.captain.symptoms import process
from secondshift.policies.captain.symptoms.ending import Ending
from secondshift.policies.captain.symptoms.evaluation import Evaluation
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.gradients import Gradients
from secondshift.policies.captain.symptoms.labels import Labels
from secondshift.policies.captain.symptoms.loader import Loader
from secondshift.policies.captain.symptoms.memory import Memory
from secondshift.policies.captain.symptoms.numbers import LEARNED, RETURNS, STARTED, Numbers
from secondshift.policies.captain.symptoms.process import Process
from secondshift.policies.captain.symptoms.skipping import Skipping
from secondshift.policies.captain.symptoms.timing import Timing
from secondshift.policies.captain.symptoms.updates import Updates

# `step`, any of STREAMS and of `process.STREAMS`, and `time_s` where gaps are to be judged; None = an empty cell.
# `checkpoint_failed`: 1 could not be written, 0 was; `proc_state`: the code point of a letter as in /proc (ord("T")).
Row = Mapping[str, float | None]
STREAMS = (
    "loss", "grad_norm", "lr", "step_time", "data_time", "rss_mb", "val_loss", "distinct", "label_entropy", "skipped",
    "skipped_total", "gpu_mb", "disk_free_mb", "checkpoint_failed",
)  # fmt: skip
PROCESS = frozenset(("time_s", *process.STREAMS))
DENSE = 8  # rows in a row with a loss, after which an empty cell is a NaN
NOTED = 0.6  # confidence that no rung above a note takes
FELL = 1.0  # units of noise by which the loss must have gone down lately to explain smaller gradients


@dataclass(slots=True)
class Following:
    """What is remembered of one run: one constant-size memory per family."""

    goal: Literal["min", "max"] = "min"  # of loss and val_loss
    numbers: Numbers = field(default_factory=Numbers)
    gradients: Gradients = field(default_factory=Gradients)
    updates: Updates = field(default_factory=Updates)
    loader: Loader = field(default_factory=Loader)
    timing: Timing = field(default_factory=Timing)
    memory: Memory = field(default_factory=Memory)
    evaluation: Evaluation = field(default_factory=Evaluation)
    device: Memory = field(default_factory=lambda: Memory(stream="gpu_mb"))
    process: Process = field(default_factory=Process)
    labels: Labels = field(default_factory=Labels)
    skipping: Skipping = field(default_factory=Skipping)
    evaluation_bad: int = 0  # non-finite evaluations in a row
    dense: int = 0  # rows of training in a row that had a loss
    gap: int = 1  # steps between the newest two rows with a loss
    every: int = 1  # the same, but for a gap that came once, as where steps were skipped
    logged: int = -1  # step of the newest row with a loss
    guided: bool = False  # a gradient norm or an evaluation was seen
    step: int = -1
    restarts: int = 0
    ending: Ending = field(default_factory=Ending)

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(
            self.goal, self.numbers.copy(), self.gradients.copy(), self.updates.copy(), self.loader.copy(),
            self.timing.copy(), self.memory.copy(), self.evaluation.copy(), self.device.copy(),
            self.process.copy(), self.labels.copy(), self.skipping.copy(), self.evaluation_bad, self.dense, self.gap,
            self.every, self.logged, self.guided, self.step, self.restarts, self.ending.copy(),
        )  # fmt: skip

    def announce(self) -> None:
        """A change is planned from here on: what it moves is learned anew; what is wrong at any level is still seen."""
        self.numbers.announce()
        self.gradients.announce()
        self.updates.announce()
        self.timing.announce()
        self.evaluation.announce()
        self.labels.announce()
        self.ending = Ending(changed=True)  # the best before says nothing of what comes after

    def resumed(self, step: int) -> None:
        """Another process goes on from `step`: a rise that began later was left behind with it, and did not go away by itself."""
        numbers, norms = self.numbers, self.gradients
        if numbers.level.raised and step <= numbers.level.since:
            numbers.level.raised, numbers.level.block = 0, []
            numbers.lasts = numbers.above = 0
        if norms.level.raised and step <= norms.level.since:
            norms.level.raised, norms.level.block, norms.above = 0, [], 0

    def push(self, row: Row) -> list[Finding]:
        """Take one row; a step that goes back is a restart from a checkpoint."""
        step = int(row["step"] or 0)
        if step < self.step:
            self.restarts += 1
            self.timing.announce()  # the new process may run elsewhere
            self.memory = Memory(limit_mb=self.memory.limit_mb)
            self.device = Memory(limit_mb=self.device.limit_mb, stream="gpu_mb")
            self.process.restart()
            self.skipping.restart()
        self.step = step
        found: list[Finding] = []
        get = row.get
        loss, norm, rate, value = get("loss"), get("grad_norm"), get("lr"), get("val_loss")
        if loss is None:
            loss = self._emptied(row)
        else:
            self.dense += 1
        self.guided = self.guided or norm is not None or value is not None
        if rate is not None:
            found += self.updates.push_rate(step, rate)
        if loss is not None:
            found += self._metrics(step, loss, norm, get("distinct"))
        found += self._batches(step, row)
        found += self.timing.push(step, get("step_time"), get("data_time"))
        used = get("rss_mb")
        if used is not None:
            found += self.memory.push(step, used)
        if value is not None:
            found += self._evaluation(step, value)
        if not PROCESS.isdisjoint(row):
            found += self._process(step, row, beat=loss is not None or value is not None or rate is not None)
        return found

    def _batches(self, step: int, row: Row) -> list[Finding]:
        """What the script says of its batches: the entropy of their labels, and whether it skipped a step on them."""
        entropy, skipped, total = row.get("label_entropy"), row.get("skipped"), row.get("skipped_total")
        found = self.labels.push(step, entropy) if entropy is not None else []
        count = skipped if skipped is not None else total
        if count is None:
            return found
        if skipped is None and self.skipping.stream == "skipped" and self.skipping.value < 0.0:
            self.skipping.stream, self.skipping.each = "skipped_total", False
        told = self.skipping.push(step, count)
        return found + (told if not self.gradients.overflowed else [])  # the gradient norm says the same, and sooner

    def finish(self) -> list[Finding]:
        """The run is over, and nothing will bring it back: where it stands against its best. To be asked once."""
        found = self.ending.finish(self.step, self.numbers.sign, self.numbers.name)
        return [self._beside(one) for one in found]

    def _process(self, step: int, row: Row, *, beat: bool) -> list[Finding]:
        watched, get = self.process, row.get
        found: list[Finding] = []
        watched.push_state(get("proc_state"), get("cpu"))
        at_s, free, failed, device = get("time_s"), get("disk_free_mb"), get("checkpoint_failed"), get("gpu_mb")
        if at_s is not None:
            found += watched.push_time(step, at_s, beat=beat)
        if free is not None:
            found += watched.push_disk(step, free)
        if failed is not None:
            found += watched.push_checkpoint(step, failed)
        if device is not None:
            found += self.device.push(step, device)
        return found

    def _emptied(self, row: Row) -> float | None:
        """NaN for a row of training whose loss is empty where every such row before had one; tables write NaN so."""
        held = {name for name, value in row.items() if value is not None} - {"step"}
        if "loss" not in row or "val_loss" in held or (held and held <= PROCESS):
            return None  # an evaluation or a sample of the process
        dense, self.dense = self.dense, self.dense if self.numbers.bad else 0
        norm = row.get("grad_norm")
        return float("nan") if dense >= DENSE and (norm is None or norm - norm != 0.0) else None

    def _metrics(self, step: int, loss: float, norm: float | None, distinct: float | None) -> list[Finding]:
        gap = max(1, step - self.logged) if self.logged >= 0 else 1
        self.every, self.gap, self.logged = min(gap, self.gap), gap, step
        found = self.numbers.push(step, loss, alert=self.updates.alert > 0)
        level = self.numbers.level
        if norm is not None:
            fell = bool(level.medians) and level.last < level.medians[0] - FELL * level.noise
            found += self.gradients.push(
                step, norm, loss_finite=loss - loss == 0.0, loss_fell=fell, begun=self.numbers.begun
            )
        if loss - loss == 0.0:
            self.ending.push(step, self.numbers.sign * loss)
            found += self.updates.push_metrics(step, loss, norm)
        if distinct is not None:
            found += self.loader.push(step, distinct, loss)
        return [self._beside(one) for one in found] if found else found

    def _beside(self, found: Finding) -> Finding:
        """What the learning rate and the gradients did meanwhile, as evidence for a diagnosis."""
        gradient = self.gradients.level
        changed = exp(gradient.last - gradient.level) if gradient.medians else 1.0
        level = self.numbers.level
        rise = self.numbers.risen - level.level  # on average: what fell since says nothing of where it came from
        shown = self.evaluation.jump / rise if level.raised and rise > 0.0 else 0.0
        if self._returns() and found.symptom != "non_finite":
            found = replace(found, confidence=min(found.confidence, NOTED))
        beside = {"rate_change": self.updates.rate_change(), "gradient_change": changed, "shown_by_evaluation": shown}
        leapt = self.updates.leap_since()
        if leapt >= 0.0:
            beside["rate_since"] = leapt
        if self.every > 1:
            beside["logged_every"] = float(self.every)
        if level.raised and level.blocks - level.raised >= STARTED:
            beside["lost"] = self._lost()
        return replace(found, evidence={**found.evidence, **beside})

    def _lost(self) -> float:
        """Which share of all that the run had gained this rise has taken at its worst; 1: as bad as it began.

        0 where as long a rise went away by itself before.
        """
        numbers, level = self.numbers, self.numbers.level
        gained = numbers.start - level.level
        if level.raised <= RETURNS * numbers.healed or gained <= LEARNED * level.noise:
            return 0.0
        return (numbers.crest - level.level) / gained

    def _returns(self) -> bool:
        """Whether the metric is the return of episodes: to be raised, no share, with no gradient or evaluation beside it.

        Falls, standstills and repeats of returns are how such training goes: they are noted and never asked about.
        """
        level = self.numbers.level  # of the metric turned round: the smaller the better
        return self.goal == "max" and not self.guided and (level.lowest < -1.0 or level.highest > 0.0)

    def _evaluation(self, step: int, value: float) -> list[Finding]:
        if value - value != 0.0:
            self.evaluation_bad += 1
            if self.evaluation_bad > 1 or self.numbers.bad:
                return []
            return [Finding(symptom="non_finite", stream="val_loss", step=step, since=step, lasted=1, confidence=0.9,
                            evidence={"points_in_a_row": 1.0})]  # fmt: skip
        self.evaluation_bad = 0
        level = self.numbers.level
        known = level.last if level.medians else float("-inf")
        found = self.evaluation.push(
            step,
            value,
            train=known,
            train_noise=level.noise,
            train_raised=level.raised > 0 or self.numbers.above > 0,
            begun=self.numbers.begun,
        )
        coarse = self.goal == "max" and 0.0 <= value <= 1.0
        still = self.updates.push_evaluation(step, value, coarse=coarse)
        # What skips every step or stands at a rate of zero says so itself.
        return found + (still if not (self.gradients.overflowed or self.skipping.in_a_row or self.updates.idle) else [])


def start(*, goal: Literal["min", "max"] = "min", limit_mb: float = 0.0) -> Following:
    """A run of which nothing was seen yet."""
    sign = 1.0 if goal == "min" else -1.0
    return Following(
        goal=goal, numbers=Numbers(sign=sign), evaluation=Evaluation(sign=sign), memory=Memory(limit_mb=limit_mb)
    )


def follow(state: Following, rows: Iterable[Row], *, announced: Iterable[int] = ()) -> tuple[Following, list[Finding]]:
    """Follow `rows`; `announced` are the steps at which a change was announced. The state given is not changed."""
    state = state.copy()
    planned = sorted(announced)
    found: list[Finding] = []
    for row in rows:
        step = row["step"] or 0
        while planned and planned[0] <= step:
            if planned.pop(0) > state.step:  # an announcement acts once, whatever cut the rows are in
                state.announce()
        found += state.push(row)
    return state, found

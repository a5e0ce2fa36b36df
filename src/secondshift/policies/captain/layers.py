"""Which layers of a model stand out in a trouble: evidence for a diagnosis, from statistics that the script records now and then.

The metrics are those of `secondshift.integrations.torch.watch`: `layer/NAME/grad_norm`, `update_ratio`, `dead`, `activation_rms`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from secondshift.records.incidents import LAYER_KINDS, LayerSign

PREFIX = "layer/"
Sample = tuple[int, float]  # step and value
KEPT, USUAL = 32, 8  # samples of one statistic that are kept; those before the trouble that say what is usual
MOST = 4  # layers that are named
TIMES = 4.0  # times the usual, or less than one part in so many
DIED = 0.25  # of the units of a layer, more than usual
DEAD = 0.5  # share of dead units that explains a loss that got worse
# Causes that a layer whose units died explains better: the units are why.
EXPLAINED = frozenset({"bad_data", "damaged_weights", "diverging", "stalled"})


@dataclass(slots=True)
class Trail:
    """Samples of one statistic over the whole run, as few as will do: where there are too many, every second one goes."""

    kept: list[Sample] = field(default_factory=list)  # oldest first
    every: int = 1  # of so many samples one is kept
    left: int = 0  # samples until the next one is kept
    newest: Sample = (-1, math.nan)

    def push(self, step: int, value: float) -> None:
        """Take one sample; where a run was gone back with, what it left behind is forgotten."""
        while self.kept and self.kept[-1][0] >= step:
            self.kept.pop()
        self.newest = (step, value)
        if self.left == 0:
            self.kept.append(self.newest)
            if len(self.kept) > KEPT:
                self.kept, self.every = self.kept[::2], 2 * self.every
        self.left = self.every - 1 if self.left == 0 else self.left - 1

    def samples(self) -> tuple[Sample, ...]:
        """Those that are kept, and the newest."""
        return tuple(self.kept) if self.kept and self.kept[-1] == self.newest else (*self.kept, self.newest)


@dataclass(slots=True)
class Trails:
    """Each statistic of each layer of one run."""

    trails: dict[tuple[str, str], Trail] = field(default_factory=dict)

    def push(self, metric: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Take samples of one metric, if it is one of a layer."""
        name, _, kind = metric.removeprefix(PREFIX).rpartition("/")
        if name and kind in LAYER_KINDS:
            trail = self.trails.setdefault((name, kind), Trail())
            for step, value in zip(steps, values, strict=True):
                trail.push(step, value)

    def samples(self) -> Mapping[tuple[str, str], tuple[Sample, ...]]:
        """What is known, as plain values."""
        return {key: trail.samples() for key, trail in self.trails.items()}


def standing_out(samples: Mapping[tuple[str, str], Sequence[Sample]], since: int) -> tuple[LayerSign, ...]:
    """The layers that differ most from before a step, the most striking first; none where nothing was sampled after it."""
    signs = []
    for (name, kind), trail in samples.items():
        before = [value for step, value in trail if step < since and math.isfinite(value)][-USUAL:]
        after = [(step, value) for step, value in trail if step >= since]
        if len(before) < 2 or not after:
            continue
        sign = LayerSign(layer=name, kind=kind, step=after[-1][0], value=after[-1][1], usual=median(before))
        if (strength := _strength(sign)) > 0.0:
            signs.append((strength, sign))
    return tuple(sign for _, sign in sorted(signs, key=lambda one: (-one[0], one[1].layer, one[1].kind))[:MOST])


def explained(cause: str, signs: Sequence[LayerSign]) -> str:
    """The cause, or the one that the layers show to lie below it."""
    died = any(one.kind == "dead" and one.value >= DEAD and one.value - one.usual >= DIED for one in signs)
    return "dead_units" if died and cause in EXPLAINED else cause


def _strength(sign: LayerSign) -> float:
    """How far from usual, in doublings; 0 for what is within bounds."""
    if not math.isfinite(sign.value):
        return math.inf
    if sign.kind == "dead":
        return 16.0 * (sign.value - sign.usual) if sign.value - sign.usual >= DIED else 0.0
    if sign.usual <= 0.0:
        return 0.0
    if sign.value <= 0.0:
        return 16.0  # nothing at all is left
    far = abs(math.log2(sign.value / sign.usual))
    return far if far >= math.log2(TIMES) else 0.0

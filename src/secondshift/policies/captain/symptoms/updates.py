"""Signs that nothing moves: metrics frozen to the last bit, a learning rate of zero, evaluations that never change."""

from dataclasses import dataclass
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, doubled

FROZEN = 12  # identical rows in a row
MOVED = 48  # changes that a metric without a gradient norm must have shown before it can freeze
COARSE = 0.01  # share of repeats by chance above which such a metric is coarse (counts, sparse rewards)
IDLE = 8  # steps at a learning rate of zero
IDLE_FROM_START = 64
TINY = 0.02  # a rate below this share of its highest had been ending anyway
WINDOW = 32  # steps in which a change of the rate is called sudden
JUMP = 3.0  # times the rate of the step before: no warm-up does that
ALERT = 64  # steps in which less is needed to call a point a spike
LEAP = 10.0  # times the highest rate that the run had ever had: no schedule does that late in a run
SETTLED_RATES = 32  # rates in a row that were no new highest, before that can be said
FRESH = 64  # rates for which a leap explains what goes wrong
BACK = 0.5  # share of a leap below which the rate has come back: five times the highest before
SETTLED = 0.01  # share of all that was gained; smaller last changes say that training had ended anyway
SAME = 3  # identical evaluations in a row


@dataclass(slots=True)
class Updates:
    """Constant-size memory of what has not moved."""

    loss: float = float("nan")
    norm: float = float("nan")
    same: int = 0  # rows in a row identical to the one before
    same_since: int = 0
    longest_same: int = 0  # that ended by itself
    changes: int = 0  # rows that differed from the one before
    repeats: int = 0  # rows that did not, in rows that ended by themselves
    rate: float = 0.0  # the last one above zero
    highest_rate: float = 0.0
    idle: int = 0  # steps in a row at zero
    idle_since: int = 0
    usual: float = 0.0  # the rate of one or two windows ago
    window: float = 0.0  # the rate when this window began
    rates: int = 0  # of this window
    alert: int = 0  # steps that the last sudden jump of the rate is still fresh
    settled: int = 0  # rates in a row that were no new highest
    at: int = -1  # step of the newest rate
    leapt: int = -1  # the first step that may have had a rate far above all before, unannounced; -1: none
    leaped: int = 0  # rates since then
    sound: float = 0.0  # the last rate before it
    sound_highest: float = 0.0  # the highest before it
    evaluation: float = float("nan")
    equal: int = 0  # evaluations in a row with the same value
    equal_since: int = 0
    longest_equal: int = 1
    first: float | None = None  # evaluation
    last_change: float = 0.0  # from one evaluation to the next, when they still changed
    moved: bool = False  # whether the loss changed since the last evaluation

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(*[getattr(self, name) for name in self.__slots__])

    def push_metrics(self, step: int, loss: float, norm: float | None) -> list[Finding]:
        """Take the loss and, where there is one, the gradient norm of a step."""
        known = -1.0 if norm is None else norm
        equal = loss == self.loss and known == self.norm
        self.moved = self.moved or loss != self.loss
        self.loss, self.norm = loss, known
        if not equal:
            self.longest_same = max(self.longest_same, self.same)
            self.changes, self.repeats = self.changes + 1, self.repeats + self.same
            self.same = 0
            return []
        self.same += 1
        if self.same == 1:
            self.same_since = step
        if self.same <= 3 * self.longest_same or not doubled(self.same, FROZEN):
            return []
        seen = {"value": loss, "rows": float(self.same), "longest_before": float(self.longest_same)}
        alone = self.changes >= MOVED and self.repeats <= COARSE * self.changes
        confidence = 0.95 if norm is not None else 0.8 if alone else 0.4
        return [Finding(symptom="frozen_metrics", stream="loss", step=step, since=self.same_since, lasted=self.same,
                        confidence=confidence, evidence=seen)]  # fmt: skip

    def push_rate(self, step: int, rate: float) -> list[Finding]:
        """Take the learning rate of a step."""
        if step < self.leapt:
            self._undone()
        self._leap(step, rate)
        if self.rates % WINDOW == 0:
            self.usual, self.window = self.window or rate, rate
        self.rates += 1
        self.alert = ALERT if self.rate > 0.0 and rate > JUMP * self.rate else max(0, self.alert - 1)
        if rate != 0.0:
            self.rate, self.idle = rate, 0
            self.highest_rate = max(self.highest_rate, rate)
            return []
        self.idle += 1
        if self.idle == 1:
            self.idle_since = step
        needed = IDLE if self.rate else IDLE_FROM_START
        if self.rate < TINY * self.highest_rate or not doubled(self.idle, needed):
            return []
        seen = {"learning_rate": 0.0, "before": self.rate, "steps": float(self.idle)}
        return [Finding(symptom="no_update", stream="lr", step=step, since=self.idle_since, lasted=self.idle,
                        confidence=0.95, evidence=seen)]  # fmt: skip

    def announce(self) -> None:
        """A change is planned from here on: whatever the rate does next is no leap, and what is highest is learned anew."""
        self.settled, self.leapt = 0, -1

    def rate_change(self) -> float:
        """How many times the rate is what it was one or two windows ago, or before it leapt; 1 where no rate is known."""
        usual = self.sound if self.leap_since() >= 0.0 else self.usual
        return self.rate / usual if usual > 0.0 else 1.0

    def leap_since(self) -> float:
        """The first step that may have had the rate that leapt, while that is fresh; -1 where none did, or it came back."""
        return float(self.leapt if self.leaped <= FRESH else -1)

    def _leap(self, step: int, rate: float) -> None:
        """See a rate far above all before, where the highest has long been known: so neither in a warm-up nor after a restart."""
        if self.leapt >= 0:
            self.leaped += 1
            if rate < BACK * LEAP * self.sound_highest:
                self.leapt = -1  # it came back by itself; as high once more would be nothing new
        elif self.settled >= SETTLED_RATES and rate > LEAP * self.highest_rate > 0.0:
            self.leapt, self.leaped = self.at + 1, 0
            self.sound, self.sound_highest = self.rate, self.highest_rate
        self.settled = self.settled + 1 if rate <= self.highest_rate else 0
        self.at = step

    def _undone(self) -> None:
        """The run went back to before the leap: its rate is what it was, so that the same leap is seen again."""
        self.rate = self.usual = self.window = self.sound
        self.highest_rate, self.settled = self.sound_highest, SETTLED_RATES
        self.leapt = -1

    def push_evaluation(self, step: int, value: float, *, coarse: bool) -> list[Finding]:
        """Take one evaluation: the same to the last bit, again and again, says that the weights stand still.

        Shares like accuracy are `coarse`: they repeat by chance, so that this is only noted.
        """
        moved, self.moved = self.moved, False
        if value != self.evaluation:
            self.longest_equal = max(self.longest_equal, self.equal)
            self.first = value if self.first is None else self.first
            self.last_change = abs(value - self.evaluation) if self.evaluation == self.evaluation else 0.0
            self.evaluation, self.equal, self.equal_since = value, 1, step
            return []
        self.equal += 1
        if (
            not moved
            or self.equal <= 2 * self.longest_equal
            or not (self.equal == SAME or doubled(self.equal, 2 * SAME))
        ):
            return []
        seen = {"evaluation": value, "times": float(self.equal), "longest_before": float(self.longest_equal)}
        settled = self.last_change <= SETTLED * abs(value - (self.first or 0.0))  # as at the end of a schedule
        confidence = 0.4 if coarse or settled else 0.6 if self.equal == SAME else 0.9
        return [Finding(symptom="no_update", stream="val_loss", step=step, since=self.equal_since, lasted=self.equal,
                        confidence=confidence, evidence=seen)]  # fmt: skip

"""Signs in evaluations beside training: overfitting, and evaluations that worsen while training does not."""

from dataclasses import dataclass, field
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, confidence_of, doubled
from secondshift.policies.captain.symptoms.levels import middle

KEPT = 8  # evaluations that are remembered
KNOWN = 4  # needed before anything is judged
PAST_BEST = 4  # evaluations since the best before overfitting is told
SHIFTED = 2  # evaluations in a row above the limit that make a shift
JUMP = 6.0  # in units of the usual change
TOGETHER = 3  # evaluations in a row that must show it
GAP = 0.25  # share of what training gained that evaluation must have gained too
SURE_SPAN = 0.04  # share of the range that evaluation must lose; sure at twice that
GAP_SPAN, GAP_NOISE = 0.035, 1.0  # what training must gain to be compared: of its whole gain, in units of its noise
ALONE = 0.3  # share of a jump that training may show too
AT_ONCE = 0.5  # share of a shift that its first evaluation shows; else it is a hump, as of double descent
GRADUAL = 0.7  # the most confidence in such a one while training improves or evaluation is better than at its start
BACK = 0.8  # share of the worst of a shift below which evaluation is coming back
SPAN = 0.06  # least jump, as a share of the range so far


@dataclass(slots=True)
class Evaluation:
    """Constant-size memory of evaluations. `sign` is 1 where lower is better and -1 where higher is better."""

    sign: float = 1.0
    recent: list[float] = field(default_factory=list)  # clean ones, newest last
    changes: list[float] = field(default_factory=list)  # from one clean evaluation to the next
    first: float | None = None  # kept over announced changes
    count: int = 0
    best: float = float("inf")
    best_step: int = 0
    train_at_best: float = 0.0
    worse: int = 0  # evaluations since the best
    last: list[float] = field(default_factory=list)  # the last three, clean or not
    pairs: list[tuple[float, float]] = field(default_factory=list)  # evaluation and training level, newest last
    start: float = float("-inf")  # the highest level of training seen at an evaluation
    apart: int = 0  # evaluations in a row that training improved alone
    shifted: int = 0  # in a row above the limit
    since: int = 0
    limit: float = float("inf")
    jump: float = 0.0  # of the first evaluation above the limit, over those before
    joint: bool = False  # training rose during this shift too
    worst: float = 0.0  # evaluation of this shift
    usual_train: float = 0.0  # level of training at the last clean evaluation

    def copy(self) -> Self:
        """An independent copy."""
        made = type(self)(*[getattr(self, name) for name in self.__slots__])
        made.recent, made.changes, made.last, made.pairs = self.recent[:], self.changes[:], self.last[:], self.pairs[:]
        return made

    def announce(self) -> None:
        """A change is planned from here on."""
        self.recent, self.changes, self.last, self.pairs = [], [], [], []
        self.apart = self.count = self.worse = self.shifted = 0
        self.best = self.limit = float("inf")

    def push(
        self, step: int, value: float, *, train: float, train_noise: float, train_raised: bool, begun: bool = True
    ) -> list[Finding]:
        """Take one evaluation and the level of the training metric (smaller is better) with its noise at that step.

        Before the run has `begun` to learn it cannot overfit.
        """
        if value - value != 0.0:
            return []
        value *= self.sign
        self.count += 1
        self.first = value if self.first is None else self.first
        self.last = [*self.last[-2:], value]
        found = self._shift(step, value, train, train_raised, begun)
        if not begun:
            return found
        if middle(self.last) < self.best:  # of three: the best of many noisy ones would be too good to come back to
            self.best, self.best_step, self.train_at_best, self.worse = middle(self.last), step, train, 0
        else:
            self.worse += 1
            found = found or self._overfit(step, train, train_noise)
        return found or self._alone(step, value, train, train_noise)

    def _span(self) -> float:
        return abs((self.first or 0.0) - self.best)

    def _usual(self) -> float:
        return middle(self.changes) if self.changes else 0.0

    def _shift(self, step: int, value: float, train: float, train_raised: bool, begun: bool) -> list[Finding]:
        if self.count > KNOWN and value > self.limit:
            self.shifted += 1
            if self.shifted == 1:
                self.since, self.jump, self.joint, self.worst = step, value - middle(self.recent[-4:]), False, value
            self.worst = max(self.worst, value)
            self.joint = self.joint or train_raised
            level = middle(self.recent[-4:])
            with_training = train - self.usual_train > ALONE * (value - level)
            if train_raised or with_training or not doubled(self.shifted, SHIFTED):
                return []
            seen = {"evaluation": self.sign * value, "before": self.sign * level, "limit": self.sign * self.limit}
            confidence = confidence_of(value - level, self.limit - level, least=0.6) if begun else 0.5
            if self._may_pass(value, level, train):
                confidence = min(confidence, GRADUAL)
            return [Finding(symptom="evaluation_shift", stream="val_loss", step=step, since=self.since, lasted=self.shifted,
                            confidence=confidence, evidence=seen)]  # fmt: skip
        self.shifted, self.jump, self.usual_train = 0, 0.0, train
        if self.recent:
            self.changes = [*self.changes[-KEPT + 1 :], abs(value - self.recent[-1])]
        self.recent = [*self.recent[-KEPT + 1 :], value]
        margin = max(JUMP * self._usual(), 2.0 * max(self.changes, default=0.0), SPAN * self._span())
        self.limit = max(self.recent[-4:]) + margin
        return []

    def _may_pass(self, value: float, level: float, train: float) -> bool:
        """Whether a shift is going away, or may be that of overfitting."""
        if value - level < BACK * (self.worst - level):
            return True
        if self.joint:  # training rose with it and came back sooner: that rise was judged by itself
            return False
        improving = train < self.usual_train  # then a gradual rise is that of overfitting, which is noted
        return self.jump < AT_ONCE * (value - level) and (improving or value <= (self.first or 0.0))

    def _overfit(self, step: int, train: float, train_noise: float) -> list[Finding]:
        """The best is several evaluations ago, all three last ones are above it, and training went on improving."""
        margin = max(2.0 * self._usual(), 0.01 * self._span())
        if self.worse < PAST_BEST or self.shifted or min(self.last) <= self.best + 0.5 * margin:
            return []
        if middle(self.last) <= self.best + margin or train >= self.train_at_best - 0.5 * train_noise:
            return []
        seen = {"evaluation": self.sign * self.last[-1], "best": self.sign * self.best, "best_step": float(self.best_step),
                "training": self.sign * train, "training_at_best": self.sign * self.train_at_best}  # fmt: skip
        if self.worse != PAST_BEST and self.worse % PAST_BEST:
            return []
        confidence = confidence_of(middle(self.last) - self.best, max(margin, SURE_SPAN * self._span()), least=0.5)
        return [Finding(symptom="overfitting", stream="val_loss", step=step, since=self.best_step, lasted=self.worse,
                        confidence=confidence, evidence=seen)]  # fmt: skip

    def _alone(self, step: int, value: float, train: float, train_noise: float) -> list[Finding]:
        """Training improves and evaluation hardly does: the gap of overfitting, before evaluation turns."""
        self.pairs = [*self.pairs[-KEPT + 1 :], (value, train)]
        self.start = max(self.start, train)
        third = KEPT // 2 - 1
        if len(self.pairs) < KEPT or self.pairs[0][1] == float("-inf"):
            return []
        before, now = self.pairs[:third], self.pairs[-third:]
        trained = middle([pair[1] for pair in before]) - middle([pair[1] for pair in now])
        gained = middle([pair[0] for pair in before]) - middle([pair[0] for pair in now])
        if trained < max(GAP_SPAN * (self.start - train), GAP_NOISE * train_noise) or gained > GAP * trained:
            self.apart = 0
            return []
        self.apart += 1
        if not doubled(self.apart, TOGETHER):
            return []
        seen = {"training_gained": trained, "evaluation_gained": gained, "evaluation": self.sign * value,
                "training": self.sign * train}  # fmt: skip
        return [Finding(symptom="overfitting", stream="val_loss", step=step, since=self.best_step, lasted=self.apart,
                        confidence=0.5, evidence=seen)]  # fmt: skip

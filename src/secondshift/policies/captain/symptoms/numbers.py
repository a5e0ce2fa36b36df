"""Signs in the stream of the loss, or of any metric that training improves: one value per step, of any scale and direction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from secondshift.policies.captain.symptoms.findings import Finding, Symptom, confidence_of, doubled
from secondshift.policies.captain.symptoms.levels import BLOCK, KEPT, Level, middle

LEARNED = 3.5  # units of noise by which a run must be below its first points to have learned something
WORSE = 2.0  # ... by which it may be below them and be no better
BARELY = 0.1  # ... and by which share of them at least: an output layer that settles is no learning
FIRST = 4  # points that say where a run began
EARLY = 8  # blocks in each of the three averages that `not_learning` compares
ON_THE_WAY = 0.02  # ... and by which share it must have gone on since its second eight blocks, where it has not
ABOVE = 0.5  # share of its first points by which a run stands far above them
STARTED = 24  # blocks after which a run should have learned something
FAR = 2.5  # times the limit that a single point must pass to be told alone
SURE_POINTS = 3  # points above the limit that make a spike sure
STEP_BLOCKS = 2  # suspicious blocks in a row that make a step
RISEN = 4  # ... that make one before the run has learned anything
DIVERGING = 8  # blocks in a row above the best that make a slow divergence
LOST, LOST_NOISE = 0.5, 6.0  # share of what was gained, and units of noise, whose loss makes a step sure
RETURNS = 2  # times the longest rise that went away by itself that another must last to be sure
FALLING = 8  # blocks by which a rise that is coming back should have come
HALF = 0.5  # ... and the share that is left of it: of its crest where it is below the run's start, else since it was told last
SETTLING = 8  # blocks after a planned change in which a rise may belong to it
PASSING = 0.65  # the most confidence in one that may go away by itself
SHORT = 3  # blocks in a smooth level while a run has had few
SHARE_SHORT, SHARE_LONG = 0.35, 0.1  # of what was gained that must be lost again to have diverged
WIDE = 8  # blocks in one of the slow averages that show a sudden plateau


@dataclass(slots=True)
class Numbers:
    """Constant-size memory of one metric. `sign` is 1 where lower is better and -1 where higher is better."""

    name: str = "loss"
    sign: float = 1.0
    level: Level = field(default_factory=Level)
    points: int = 0  # finite ones
    bad: int = 0  # non-finite ones in a row
    bad_since: int = 0
    first: list[float] = field(default_factory=list)
    start: float = 0.0  # the best of the first points
    worst_early: float = float("-inf")  # the worst of the first four blocks
    above: int = 0  # points above the limit in this episode
    above_since: int = 0
    calm: int = 0  # clean blocks since the last point above the limit
    peak: float = 0.0
    risen: float = 0.0  # mean level since the level rose
    crest: float = 0.0  # the highest block since
    told: float = 0.0  # how high the rise was when it was told last
    part: float = 0.0  # sum of the blocks since then
    before: float = 0.0  # their mean height when it was told before
    lasts: int = 0  # blocks of the rise that is going on
    healed: int = 0  # blocks of the longest rise that went away by itself
    came_back: int = 0  # rises of two blocks and more that did
    best: float = float("inf")  # lowest smooth level
    best_noise: float = 0.0
    best_step: int = 0
    apart: int = 0  # blocks in a row that the smooth level is above the best
    early: tuple[float, ...] = ()  # levels of the first and the second eight blocks
    blown: bool = False  # the run blew up in its first blocks
    wide: list[float] = field(default_factory=list)  # slow averages, newest last
    halted: bool = False
    changed: bool = False  # a change was announced

    def copy(self) -> Self:
        """An independent copy."""
        made = type(self).__new__(type(self))
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, list):
                value = value[:]
            elif isinstance(value, Level):
                value = value.copy()
            setattr(made, name, value)
        return made

    def announce(self) -> None:
        """A change is planned from here on: levels are learned anew, non-finite values still count."""
        self.level.forget()
        self.above = self.apart = 0
        self.changed = True
        self.best = float("inf")
        self.wide, self.halted = [], False

    @property
    def begun(self) -> bool:
        """Whether the run has learned something, or has had the time to: nothing rises before that."""
        level = self.level
        return self.points > STARTED * BLOCK or self.start - level.level > LEARNED * level.noise > 0.0

    def push(self, step: int, value: float, *, alert: bool = False) -> list[Finding]:
        """Take one value; say what is wrong with it. On `alert` (the learning rate just jumped) half the limit is enough."""
        if value - value != 0.0:  # NaN or infinite
            return self._not_finite(step)
        value *= self.sign
        self.bad = 0
        self.points += 1
        if self.points <= FIRST:
            self._begin(value)
        level = self.level
        found = []
        if level.raised == 0 and (value > level.limit or (alert and value > 0.5 * (level.limit + level.level))):
            found = self._above(step, value, alert) if self.begun else []
        if level.push(step, value):
            found = found + self._block(step)
        return found

    def push_many(self, steps: Sequence[int], values: Sequence[float]) -> list[Finding]:
        """The same as pushing one by one, several times as fast where nothing happens."""
        found: list[Finding] = []
        at, count = 0, len(values)
        while at < count:
            level = self.level
            part = values[at : at + BLOCK]
            if level.block or len(part) < BLOCK or self.points < FIRST or self.bad or not self._calm(part):
                found += self.push(steps[at], values[at])
                at += 1
                continue
            self.points += BLOCK
            level.begun = steps[at]
            level.block = [value * self.sign for value in part]
            level.close()
            found += self._block(steps[at + BLOCK - 1])
            at += BLOCK
        return found

    def _calm(self, part: Sequence[float]) -> bool:
        """Whether a whole block is finite and none of it needs a look of its own."""
        total = sum(part)
        if total - total != 0.0:
            return False
        worst = max(part) if self.sign > 0 else -min(part)
        return worst <= self.level.limit or self.level.raised > 0

    def _not_finite(self, step: int) -> list[Finding]:
        self.bad += 1
        if self.bad == 1:
            self.bad_since = step
        if not doubled(self.bad, 1):
            return []
        seen = {"points_in_a_row": float(self.bad), "last_level": self.sign * self.level.last}
        return [self._tell("non_finite", step, since=self.bad_since, lasted=self.bad, confidence=0.99, seen=seen)]

    def _begin(self, value: float) -> None:
        self.first.append(value)
        self.start = min(self.first)

    def _above(self, step: int, value: float, alert: bool) -> list[Finding]:
        """A single point far above the level: a spike, sure once there are several."""
        self.above += 1
        self.calm = 0
        if self.above == 1:
            self.above_since, self.peak = step, value
        self.peak = max(self.peak, value)
        level = self.level
        far = alert or value - level.level > FAR * (level.limit - level.level)
        if self.above not in (2, SURE_POINTS) and not (far and self.above == 1):
            return []
        confidence = confidence_of(
            value - level.level, level.limit - level.level, least=0.4 if self.above == 1 else 0.7
        )
        seen = {"value": self.sign * value, "level": self.sign * level.level, "limit": self.sign * level.limit}
        return [self._tell("spike", step, since=self.above_since, lasted=self.above, confidence=confidence, seen=seen)]

    def _block(self, step: int) -> list[Finding]:
        level = self.level
        if level.raised:
            return self._raised(step)
        self.came_back += self.lasts >= STEP_BLOCKS
        self.healed, self.lasts = max(self.healed, self.lasts), 0
        self.calm += 1
        if self.above and self.calm > 3:
            self.above = 0
        if level.blocks <= 4:
            self.worst_early = max(self.worst_early, level.last)
        found = self._slow(step) if level.blocks > SHORT else []
        if level.blocks % WIDE == 0:
            found = found + self._halt(step)
        if level.blocks <= 4 * STARTED and not self.changed:  # after a planned change the first points are no measure
            found = found + self._learning(step)
        return found

    def _raised(self, step: int) -> list[Finding]:
        level = self.level
        self.apart = 0
        self.risen = level.last if level.raised == 1 else self.risen + (level.last - self.risen) / level.raised
        self.crest = level.last if level.raised == 1 else max(self.crest, level.last)
        self.part = level.last - level.level if level.raised == 1 else self.part + level.last - level.level
        self.lasts = level.raised
        if not doubled(level.raised, STEP_BLOCKS):
            return []
        left = self._left()
        if not (self.begun or level.raised >= RISEN):
            return []
        since = min(level.since, self.above_since) if self.above else level.since
        confidence = confidence_of(self.risen - level.level, level.ceiling - level.level, least=0.6)
        lost = self.risen - level.level
        if level.raised >= RISEN and lost > LOST * (self.start - level.level) and lost > LOST_NOISE * level.noise:
            confidence = max(confidence, 0.8)  # the limit may be wide, as after a fast start; so much lost is sure all the same
        if self._passing():
            confidence = min(confidence, PASSING)
        self.told = level.last - level.level
        seen = {"level": self.sign * level.last, "mean_level": self.sign * self.risen, "before": self.sign * level.level,
                "limit": self.sign * level.ceiling, "noise": level.noise, "left": left,
                "came_back": float(self.came_back)}  # fmt: skip
        lasted = level.raised * BLOCK
        return [self._tell("step_up", step, since=since, lasted=lasted, confidence=confidence, seen=seen)]

    def _left(self) -> float:
        """What is left of it: how high it stands since it had lasted half as long, as a share of how high it stood before."""
        raised = self.level.raised
        now = self.part / (raised if raised == STEP_BLOCKS else raised >> 1)
        left = now / self.before if raised > STEP_BLOCKS and self.before > 0.0 else 1.0
        self.part, self.before = 0.0, now
        return left

    def _passing(self) -> bool:
        """Whether it may still go away: no longer than others that did, going down fast, or from right after a planned change."""
        level = self.level
        known = level.raised <= RETURNS * self.healed
        before = self.crest - level.level if level.last < self.start else self.told
        falling = level.raised > STEP_BLOCKS and level.last - level.level < HALF * before
        planned = self.changed and level.blocks - level.raised < SETTLING and level.raised <= 2 * SETTLING
        return known or planned or (falling and level.raised < FALLING)

    def _slow(self, step: int) -> list[Finding]:
        """The smooth level has left the best behind for long: told once and at doubling lengths."""
        level = self.level
        short = level.blocks <= KEPT  # few points: what counts must be a good part of all that was gained
        smooth = middle(level.medians[-SHORT if short else -EARLY :])
        if smooth <= self.best:
            self.best, self.best_step = smooth, step
            self.best_noise = max(level.noise, level.wander)
        gained = (SHARE_SHORT if short else SHARE_LONG) * (self.start - self.best)
        margin = max(1.5 * level.noise, (2.5 if short else 4.0) * level.wander, 2.0 * self.best_noise, gained)
        if smooth <= self.best + margin:
            self.apart = 0
            return []
        self.apart += 1
        if not (doubled(self.apart, DIVERGING) or (short and self.apart == DIVERGING // 2)):
            return []
        seen = {
            "level": self.sign * smooth,
            "best": self.sign * self.best,
            "best_step": float(self.best_step),
            "margin": margin,
        }
        confidence = confidence_of(smooth - self.best, margin, least=0.6)
        lasted = self.apart * BLOCK
        return [
            self._tell("slow_divergence", step, since=self.best_step, lasted=lasted, confidence=confidence, seen=seen)
        ]

    def _halt(self, step: int) -> list[Finding]:
        """Steady progress that stops from one wide average to the next, and stays stopped for three."""
        level, wide = self.level, self.wide
        wide.append(middle(level.medians[-EARLY:]))
        if len(wide) > 5:
            del wide[0]
        if len(wide) < 5 or self.halted:
            return []
        error = max(0.25 * level.noise, level.wander)
        before, after = wide[0] - wide[1], max(wide[1:]) - min(wide[2:])
        if before < 12.0 * error or after > 1.5 * error:
            return []
        self.halted = True
        seen = {"level": self.sign * wide[-1], "gained_before": before, "gained_after": wide[1] - wide[-1]}
        since = max(0, step - 3 * WIDE * BLOCK)
        return [self._tell("plateau", step, since=since, lasted=3 * WIDE * BLOCK, confidence=0.5, seen=seen)]

    def _learning(self, step: int) -> list[Finding]:
        """Neither better than the first points nor on the way there; surer if the run blew up at its start."""
        level = self.level
        if level.blocks in (EARLY, 2 * EARLY):
            self.early = (*self.early, middle(level.medians[-EARLY:]))
        if level.blocks not in (STARTED, 2 * STARTED, 4 * STARTED) or len(self.early) < 2:
            return []
        now, error = middle(level.medians[-EARLY:]), max(0.3 * level.noise, level.wander)
        above = now - self.start > max(LEARNED * level.noise, ABOVE * abs(self.start))
        if level.blocks == STARTED:
            self.blown = max(self.worst_early - now, self.worst_early - self._began()) > 8.0 * level.noise
        slowly = level.blocks == STARTED and not self.blown and self.early[0] - now > 0.4 * level.noise
        barely = level.blocks > STARTED and self.start - now < BARELY * abs(self.start)
        learned = self.start - now > LEARNED * level.noise and not barely
        moved = self.early[1] - now
        on_the_way = slowly or moved > max(1.5 * error, ON_THE_WAY * abs(self.start) if barely else 0.0)
        if learned or (on_the_way and not above):
            return []
        # one that moves at all may yet come back from its bad start, and one that is below it has learned something
        sure = self.blown and moved <= 1.5 * error and self.start - now < WORSE * level.noise
        seen = {
            "start": self.sign * self.start,
            "level": self.sign * now,
            "noise": level.noise,
            "blew_up": float(self.blown),
        }
        lasted = level.blocks * BLOCK
        return [
            self._tell("not_learning", step, since=0, lasted=lasted, confidence=0.85 if sure else 0.5, seen=seen)
        ]

    def _began(self) -> float:
        """The best of the first points; without noise the second best, since one of a few successes says nothing of the others."""
        return sorted(self.first)[1] if self.level.noise == 0.0 and len(self.first) > 1 else self.start

    def _tell(
        self, symptom: Symptom, step: int, *, since: int, lasted: int, confidence: float, seen: dict[str, float]
    ) -> Finding:
        return Finding(
            symptom=symptom,
            stream=self.name,
            step=step,
            since=since,
            lasted=lasted,
            confidence=confidence,
            evidence=seen,
        )

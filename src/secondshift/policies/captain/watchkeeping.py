"""The detectors of every trial that runs, fed with its points in the order in which they were recorded.

What they remember is a cache that the recorded points rebuild: the same facts give the same looks, in the engine, in the
next engine after a crash, and in a replay.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from secondshift.policies.captain.batches import Batches
from secondshift.policies.captain.columns import HASHED, Guess, guess
from secondshift.policies.captain.layers import PREFIX, Trails
from secondshift.policies.captain.symptoms.following import Following, start
from secondshift.policies.captain.symptoms.memory import Memory
from secondshift.policies.captain.symptoms.process import SAMPLED
from secondshift.records import events as facts
from secondshift.records.incidents import Finding, Level, Look
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Study

LIMIT = "sys/memory_limit_mb"
OFFERED = 32  # newest findings of a trial that are offered again after its points were taken anew
FOLLOWED = ("metrics.logged", "change.announced")  # kinds of facts that detectors follow


@dataclass(slots=True)
class _Watched:
    """One trial: its detectors, and what they said that was not handed on yet."""

    following: Following
    names: set[str] = field(default_factory=set)
    guessed: Guess = field(default_factory=Guess)
    fields: dict[str, str] = field(default_factory=dict)  # metric -> stream
    attempt: str = ""
    began: bool = False  # that attempt has logged a step of training
    first: int = -1  # the first step that any attempt logged itself; -1: none yet
    layers: Trails = field(default_factory=Trails)
    batches: Batches = field(default_factory=Batches)
    over: bool = False  # its last step was logged, or it came to its end before
    fresh: list[Finding] = field(default_factory=list)
    offered: int = 0  # the first of these that many, which an earlier engine may have recorded


class Watchkeeper:
    """Follows every trial of one study. `take` whatever is recorded, ask for `looks` at each tick."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._ended: set[str] = set()  # trials of which an attempt ended since the last look

    def unknown(self, events: Iterable[facts.Event]) -> list[str]:
        """Name trials that these facts bring points of, and whose earlier points were never taken, as in a new engine."""
        payloads = [event.payload for event in events]
        logged = [fact for fact in payloads if isinstance(fact, facts.MetricsLogged)]
        earlier = {fact.trial for fact in logged if fact.start > 0 or not fact.attempt.endswith(".a1")}
        first = {fact.trial for fact in logged} - earlier  # all that it ever logged is among these facts
        ended = {_trial_of(fact.attempt) for fact in payloads if isinstance(fact, facts.AttemptEnded)}
        return sorted((earlier | ended - first) - self._watched.keys())

    def catch_up(self, study: Study | None, events: Iterable[facts.Event], batches: Iterable[Batch], trial: str) -> None:
        """Take a trial's earlier points; what was found in them is offered again, because it may not have been recorded."""
        self.take(study, events, batches)
        if trial in self._watched:
            watched = self._watched[trial]
            del watched.fresh[:-OFFERED]
            watched.offered = len(watched.fresh)

    def take(self, study: Study | None, events: Iterable[facts.Event], batches: Iterable[Batch]) -> None:
        """Follow what was recorded: facts in their order, and the points of those facts that have some, in theirs."""
        points = iter(batches)
        for event in events:
            fact = event.payload
            if isinstance(fact, facts.MetricsLogged):
                self._points(study, fact, _of(fact.points, points))
            elif isinstance(fact, facts.RunImported):
                _of(fact.points, points)
            elif isinstance(fact, facts.ChangeAnnounced) and fact.trial in self._watched:
                self._watched[fact.trial].following.announce()
            elif isinstance(fact, facts.AttemptEnded):
                self._left(_trial_of(fact.attempt))
            elif isinstance(fact, facts.TrialClosed):
                self._watched.pop(fact.trial, None)

    def looks(self, state: State) -> Mapping[str, Look]:
        """What the detectors say now of trials with something new, with an open incident, or about to have one."""
        self._finish(state)
        self._forget(state)
        wanted = {incident.subject for incident in state.incidents.values() if incident.cause}
        wanted |= {trial for trial, care in state.care.items() if care.count > care.claimed}
        return {
            trial: _look(watched)
            for trial, watched in self._watched.items()
            if watched.fresh or trial in wanted
        }

    def told(self) -> None:
        """What was said so far is recorded."""
        for watched in self._watched.values():
            watched.fresh.clear()
            watched.offered = 0

    def _left(self, trial: str) -> None:
        """An attempt ended. What was recorded of its trial may be forgotten with it, so nothing old is offered any more."""
        self._ended.add(trial)
        if trial in self._watched:
            watched = self._watched[trial]
            del watched.fresh[: watched.offered]
            watched.offered = 0

    def _finish(self, state: State) -> None:
        """Judge where a trial stands that came to its own end, once; one that was stopped, paused or failed did not."""
        for trial in sorted(self._ended):
            watched, known = self._watched.get(trial), state.trials.get(trial)
            ended = known is not None and known.status == "complete" and not known.stopped()
            if watched is not None and not watched.over and ended:
                watched.over = True
                watched.fresh += watched.following.finish()
        self._ended.clear()

    def _forget(self, state: State) -> None:
        if len(self._watched) > len(state.open):
            for trial in [trial for trial in self._watched if trial not in state.open and not self._watched[trial].fresh]:
                del self._watched[trial]

    def _points(self, study: Study | None, fact: facts.MetricsLogged, batches: Sequence[Batch]) -> None:
        if not batches:
            return
        watched = self._watched.get(fact.trial)
        if watched is None:
            watched = self._watched[fact.trial] = _Watched(following=start())
        if watched.attempt != fact.attempt:
            watched.fresh.clear()  # what was found in an attempt that is over says nothing of the next one
            watched.batches.forget()
            watched.offered = 0
            if watched.attempt:  # another process, perhaps elsewhere: its times and its memory are learned anew
                watched.following.timing.announce()
                watched.following.process.restart()
                watched.following.memory = Memory(limit_mb=watched.following.memory.limit_mb)
                watched.following.device = Memory(limit_mb=watched.following.device.limit_mb, stream="gpu_mb")
                watched.following.step = -1  # what it goes back to is no restart of the curve
            watched.attempt, watched.began = fact.attempt, False
        if any(batch.metric not in watched.names for batch in batches):
            _learn(study, watched, {batch.metric for batch in batches})
        if not watched.began:
            _begin(watched, batches)
        for batch in batches:
            if batch.metric == LIMIT and len(batch.values):
                watched.following.memory.limit_mb = batch.values[-1]
            elif batch.metric.startswith(PREFIX):
                watched.layers.push(batch.metric, batch.steps, batch.values)
        for row in _rows(batches, watched.fields, watched.following.step):
            digest = row.pop(HASHED, None)
            if digest is not None and "distinct" not in watched.guessed.streams:
                row["distinct"] = watched.batches.distinct(digest)
            watched.fresh += watched.following.push(row)
            if study is not None and not watched.over and watched.following.step >= study.horizon_steps - 1:
                watched.over = True
                watched.fresh += watched.following.finish()


def _trial_of(attempt: str) -> str:
    """The trial that an attempt belongs to."""
    return attempt.rpartition(".")[0]


def _begin(watched: _Watched, batches: Sequence[Batch]) -> None:
    """See where an attempt goes on, at the first step that it logged itself.

    One that begins where the trial began trains from nothing: what was learned says nothing of its curve, and would take
    its first losses for a rise.
    """
    own = [batch for batch in batches if len(batch.steps) and batch.metric in watched.fields]
    logged = [min(batch.steps) for batch in own if not batch.metric.startswith("sys/")]
    if not logged:
        return
    watched.began = True
    if watched.first >= 0 and min(logged) <= watched.first:
        watched.following = start(goal=watched.guessed.goal, limit_mb=watched.following.memory.limit_mb)
    else:
        watched.following.resumed(min(logged))
    watched.first = min(logged) if watched.first < 0 else min(watched.first, *logged)


def _learn(study: Study | None, watched: _Watched, metrics: set[str]) -> None:
    """See which metric is which stream, now that there is a new one; a stream keeps the metric it has."""
    watched.names |= metrics
    names = sorted(name for name in watched.names if not name.startswith(("sys/", "layer/", "_")))
    own = guess(names, kept=watched.guessed).streams
    told = {
        stream: sample for stream, samples in SAMPLED.items() if own.get(stream, samples[0]) in samples
        for sample in reversed(samples) if sample in watched.names
    }  # fmt: skip
    objective = study.objective if study is not None else None
    goal = objective.goal if objective is not None and objective.metric in names else None
    guessed = guess([*names, *told.values()], told=told, kept=watched.guessed)
    if "loss" not in guessed.streams and objective is not None and objective.metric in names:
        free = objective.metric not in guessed.streams.values()
        guessed = guess(names, told={**told, "loss": objective.metric}, goal=goal) if free else guessed
    watched.guessed = guessed
    beside = {name: stream for stream, name in told.items() if stream not in guessed.streams}  # disk, device memory, CPU
    watched.fields = beside | {name: stream for stream, name in guessed.streams.items()}
    sign = 1.0 if guessed.goal == "min" else -1.0
    following = watched.following
    if following.numbers.points == 0:
        following.goal, following.numbers.sign = guessed.goal, sign
    if following.evaluation.count == 0:
        following.evaluation.sign = sign


def _of(count: int, points: Iterator[Batch]) -> list[Batch]:
    """Take the batches of one fact from the stream of all."""
    batches: list[Batch] = []
    while sum(len(batch.steps) for batch in batches) < count:
        batch = next(points, None)
        if batch is None:
            break
        batches.append(batch)
    return batches


def _rows(batches: Sequence[Batch], fields: Mapping[str, str], done: int) -> Iterator[dict[str, float | None]]:
    """Put the points of one fact together by their step; what comes late is told at the newest step.

    Samples of a supervisor come several at one step, where a run is slow or hangs: each is a row of its own, after the others.
    """
    rows: dict[int, dict[str, float | None]] = {}
    samples: list[tuple[str, float]] = []
    newest = done
    for batch in batches:
        stream = fields.get(batch.metric)
        if stream is None or not len(batch.steps):
            continue
        newest = max(newest, *batch.steps)
        if batch.metric.startswith("sys/"):
            samples += [(stream, value) for value in batch.values]
            continue
        for step, value in zip(batch.steps, batch.values, strict=True):
            step = max(step, done)
            row = rows.get(step)
            if row is None:
                row = rows[step] = {"step": step}
            row[stream] = value
    for step in sorted(rows):
        yield rows[step]
    for stream, value in samples:
        yield {"step": newest, stream: value}


def _look(watched: _Watched) -> Look:
    following = watched.following
    level = following.numbers.level
    layers = watched.layers.samples()
    look = Look(findings=tuple(watched.fresh), layers=layers, attempt=watched.attempt, step_s=following.timing.step_s())
    if not level.medians:
        return look
    sign, metric = following.numbers.sign, watched.guessed.streams.get("loss", "")
    rate = following.updates.rate
    now = Level(metric=metric, step=following.step, value=sign * level.last, noise=level.noise, rate=rate, points=level.blocks)
    before = Level(metric=metric, step=level.begun, value=sign * level.level, noise=level.noise, rate=following.updates.usual)
    return replace(look, level=now, before=before)

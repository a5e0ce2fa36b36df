"""A night without processes: policies decide, the real arbitration and fold apply it, and curves are a function."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from secondshift.arbitrate import arbitrate
from secondshift.ledger.fold import fold
from secondshift.ledger.summaries import summarise
from secondshift.policies.models.curvekeeping import Curvekeeper
from secondshift.records import events as facts
from secondshift.records.decisions import Decision
from secondshift.records.nights import Shift
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Study, Value
from secondshift.records.trials import Attempt, Checkpoint, Exit, Trial
from secondshift.runtime.fits import AtOnce
from secondshift.standing import closing

Decider = Callable[[State], list[Decision]]
Curve = Callable[[Mapping[str, Value], int], float]  # parameters and step -> the objective's metric
Noise = Callable[[Trial, int], float]  # trial and step -> what its seed adds to the curve there
Course = Callable[[Trial, Mapping[str, Value], int], float]  # trial, its parameters and step -> the objective's metric
Mishap = Callable[[Trial, int], Literal["", "crash", "kill"]]  # trial and step -> what happens to it there


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """What was seen, decided and recorded in a simulated night."""

    state: State  # at the end
    seen: tuple[State, ...]  # at each tick, as the deciders saw it
    decided: tuple[tuple[Decision, ...], ...]  # at each tick
    reason: str  # why the shift ended; empty if it did not within the ticks
    steps: int  # trained in all
    events: tuple[facts.Event, ...] = ()  # of this shift, as a ledger would keep them


@dataclass(kw_only=True)
class _Play:
    study: Study
    curve: Curve
    mishap: Mishap
    noise: Noise
    stride: int
    tick_s: float
    beside: Mapping[str, Curve]
    course: Course | None
    curves: Curvekeeper = field(default_factory=Curvekeeper)
    state: State = field(default_factory=State)
    now_s: float = 1000.0
    steps: int = 0
    events: list[facts.Event] = field(default_factory=list)

    def record(self, payloads: Iterable[facts.Payload]) -> None:
        events = [
            facts.Event(seq=self.state.last_seq + n, at=self.now_s, token=1, kind=facts.KIND_OF[type(p)], payload=p)
            for n, p in enumerate(payloads, 1)
        ]
        self.state = fold(self.state, events)
        self.events += events

    def fit(self) -> None:
        """Have made what was ordered to be fitted, at once."""
        self.record(AtOnce().work(self.state, lambda state: replace(state, curves=self.curves.curves())))

    def bequeath(self) -> None:
        """Give each trial that waits for one the checkpoint that it begins from."""
        for heir in list(self.state.heirs()):
            saved = [c for c in self.state.checkpoints.get(heir.inherits.trial, ()) if c.step == heir.inherits.step]
            copies = [facts.CheckpointInherited(checkpoint=replace(c, trial=heir.id), source=c.trial) for c in saved]
            gone = facts.TrialClosed(trial=heir.id, status="stopped", reason="it is not there any more", decision="")
            self.record(copies or [gone])

    def work(self, attempt: Attempt) -> None:
        """Let one attempt train for a tick, and leave as its tier would."""
        trial = self.state.trials[attempt.trial]
        if attempt.status == "ordered":
            self.record([facts.AttemptStarted(attempt=attempt.id, supervisor=1, pid=1)])
        cooperative = self.study.tier == "cooperative"
        if attempt.asked:
            self.leave(
                attempt, Exit(code=0 if cooperative else None, cause="pause" if attempt.asked == "pause" else "stop")
            )
            return
        done = max(trial.logged_step + 1, attempt.from_step)
        last = min(done + self.stride, self.study.horizon_steps, *([attempt.until_step] if cooperative else []))
        for step in range(done, last):
            mishap = self.mishap(trial, step)
            if mishap:
                self.log(attempt, done, step)
                self.leave(attempt, Exit(code=1) if mishap == "crash" else Exit(signal=9), saved=False)
                return
        self.log(attempt, done, last)
        if last >= self.study.horizon_steps:
            killed = self.mishap(trial, last) == "kill"  # after the last checkpoint, and before it could say goodbye
            self.leave(attempt, Exit(signal=9) if killed else Exit(code=0), stopping=False)
        elif cooperative and last >= attempt.until_step:
            self.leave(attempt, Exit(code=0))

    def log(self, attempt: Attempt, first: int, last: int) -> None:
        if last <= first:
            return
        trial = self.state.trials[attempt.trial]
        candidate = self.state.candidates[trial.candidate]
        steps = range(first, last)
        self.steps += len(steps)
        course = self.course or (lambda trial, params, step: self.curve(params, step))
        values = [course(trial, candidate.params, step) + self.noise(trial, step) for step in steps]
        objective, metric = summarise(steps, values), self.study.objective.metric
        others = {name: summarise(steps, [of(candidate.params, step) for step in steps]) for name, of in self.beside.items()}
        self.record([
            facts.MetricsLogged(
                attempt=attempt.id, trial=attempt.trial, fragment="f", start=first, end=last, points=len(steps), crc=0,
                metrics={metric: objective, **others},
            )
        ])  # fmt: skip
        batch = Batch(trial=trial.id, attempt=attempt.id, metric=metric, steps=array("q", steps), values=array("d", values))
        self.curves.take(self.study, [batch])

    def leave(self, attempt: Attempt, exit: Exit, *, saved: bool = True, stopping: bool = True) -> None:
        trial = self.state.trials[attempt.trial]
        payloads: list[facts.Payload] = []
        if saved and self.study.tier == "cooperative":
            point = Checkpoint(trial=trial.id, step=trial.logged_step + 1, folder="")
            payloads.append(facts.CheckpointSaved(checkpoint=point))
            if exit.signal is None:
                payloads.append(facts.AttemptClosed(attempt=attempt.id, clean=True, stopping=stopping))
        payloads.append(facts.AttemptEnded(attempt=attempt.id, exit=exit))
        used = min(self.now_s - attempt.ordered_at, attempt.grant_s)
        payloads.append(facts.ChargeSettled(charge=attempt.id, trial=trial.id, device_s=used))
        self.record(payloads)


def play(
    study: Study,
    deciders: Sequence[Decider],
    *,
    curve: Curve,
    slots: int = 2,
    ticks: int = 2000,
    stride: int = 10,
    tick_s: float = 10.0,
    deadline_s: float | None = None,
    mishap: Mishap = lambda trial, step: "",
    noise: Noise = lambda trial, step: 0.0,
    before: State | None = None,
    requests: Sequence[facts.RequestReceived] = (),
    beside: Mapping[str, Curve] = MappingProxyType({}),
    course: Course | None = None,
) -> Night:
    """Play a shift of a study, each running trial doing `stride` steps in a tick of `tick_s` seconds.

    `deadline_s` counts from the start; `before` is the state an earlier shift left; `beside` are metrics that are logged
    with the objective, by name; `course` stands in for `curve` where it matters where a trial came from.
    """
    night = _Play(
        study=study, curve=curve, mishap=mishap, noise=noise, stride=stride, tick_s=tick_s, beside=beside, course=course
    )  # fmt: skip
    if before is not None:
        night.state, night.now_s = before, before.last_at + tick_s
    else:
        night.record([facts.StudyOpened(study=study)])
    deadline = None if deadline_s is None else night.now_s + deadline_s
    shift = Shift(id=f"s{night.state.shifts + 1}", started_at=night.now_s, deadline_at=deadline, slots=slots)
    night.record([facts.LeaseTaken(token=1, holder="here:1", how="first"), facts.ShiftStarted(shift=shift)])
    night.record(requests)
    seen, decided = [], []
    for _ in range(ticks):
        busy = {device for attempt in night.state.attempts.values() for device in attempt.devices}
        free = tuple(f"cpu-{n}" for n in range(slots) if f"cpu-{n}" not in busy)
        night.state = replace(night.state, now_s=night.now_s, free_devices=free, curves=night.curves.curves())
        decisions = [decision for decide in deciders for decision in decide(night.state)]
        seen.append(night.state)
        decided.append(tuple(decisions))
        night.record(arbitrate(night.state, [*closing(night.state), *decisions]))
        night.fit()
        night.bequeath()
        night.now_s += tick_s
        for attempt in list(night.state.attempts.values()):
            night.work(attempt)
        if night.state.ending and not night.state.attempts:
            break
    reason = night.state.ending
    if reason:
        night.record([facts.ShiftEnded(shift=shift.id, reason=reason)])
    return Night(state=night.state, seen=tuple(seen), decided=tuple(decided), reason=reason, steps=night.steps,
                 events=tuple(night.events))  # fmt: skip

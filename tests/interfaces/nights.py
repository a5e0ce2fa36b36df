"""Hand-made nights: lists of facts as an engine would have recorded them, for the tests of windows."""

from array import array
from dataclasses import dataclass, field, replace

from secondshift.ledger.fold import fold
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.stores import Ledger
from secondshift.ledger.summaries import summarise
from secondshift.records.decisions import Decision, advance, propose, start, stop
from secondshift.records.events import (
    KIND_OF,
    AttemptAsked,
    AttemptClosed,
    AttemptEnded,
    AttemptOrdered,
    AttemptStarted,
    CandidateProposed,
    ChargeReserved,
    ChargeSettled,
    CheckpointSaved,
    DecisionMade,
    Event,
    IncidentClosed,
    IncidentOpened,
    LeaseTaken,
    MetricsLogged,
    Payload,
    PointsDropped,
    RequestReceived,
    ShiftAnchored,
    ShiftEnded,
    ShiftStarted,
    StudyOpened,
    TrialAdvanced,
    TrialQueued,
)
from secondshift.records.incidents import Incident
from secondshift.records.nights import Shift
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Budget, Objective, Parameter, Space, Study
from secondshift.records.trials import Candidate, Checkpoint, Exit, Trial

T0 = 1_763_935_200.0  # 2025-11-23 22:00 UTC
OBJECTIVE = Objective(metric="val_loss", goal="min", min_effect=0.003)
SPACE = Space(
    parameters=(
        Parameter(name="lr", kind="float", low=1e-5, high=1e-1, log=True, default=0.001),
        Parameter(name="width", kind="int", low=16, high=128, default=32),
    )
)
STUDY = Study(
    name="digits",
    command="python train.py",
    folder=".",
    objective=OBJECTIVE,
    horizon_steps=9,
    space=SPACE,
    budget=Budget(device_s=3600.0, trials=40, money_usd=2.0, usd_per_device_s=0.0005),
)


@dataclass
class Night:
    """A ledger being written by hand; `at` moves on with each fact."""

    study: Study = STUDY
    marks: dict[str, str] = field(default_factory=lambda: {"python": "3.11.9"})  # of the trials that start next
    events: list[Event] = field(default_factory=list)
    batches: list[tuple[float, int, list[Payload], list[Batch]]] = field(default_factory=list)  # transactions
    at: float = T0
    token: int = 1
    made: int = 0
    candidates: int = 0

    def add(self, *payloads: Payload, after: float = 0.0, batches: tuple[Batch, ...] = ()) -> None:
        self.at += after
        self.batches.append((self.at, self.token, list(payloads), list(batches)))
        for p in payloads:
            self.events.append(
                Event(seq=len(self.events) + 1, at=self.at, token=self.token, kind=KIND_OF[type(p)], payload=p)
            )

    def decide(self, decision: Decision) -> str:
        """Record a decision with the next id."""
        self.made += 1
        self.add(DecisionMade(decision=replace(decision, id=f"d{self.made}")))
        return f"d{self.made}"

    def open(self, *, slots: int = 2, boot: str = "boot-1", hours: float = 8.0) -> "Night":
        self.add(LeaseTaken(token=1, holder="wks:4242", how="first", boot_id=boot))
        self.add(StudyOpened(study=self.study))
        shift = Shift(
            id="s1",
            started_at=self.at,
            deadline_at=self.at + hours * 3600,
            slots=slots,
            boot_id=boot,
            anchor_boot_s=100.0,
        )
        self.add(ShiftStarted(shift=shift))
        return self

    def queue(self, params: dict, *, seed: int = 0, candidate: str = "", reason: str = "Sobol point") -> str:
        trial = f"t{sum(e.kind == 'trial.queued' for e in self.events) + 1}"
        d = self.decide(propose(params=params, reason=reason, by="sobol"))
        if not candidate:
            self.candidates += 1
            candidate = f"c{self.candidates}"
            self.add(CandidateProposed(candidate=Candidate(id=candidate, params=params, by="sobol"), decision=d))
        self.add(TrialQueued(trial=Trial(id=trial, candidate=candidate, seed=seed), decision=d), after=0.1)
        return trial

    def start(self, trial: str, number: int = 1, *, from_step: int = 0, until: int = 9, grant: float = 600.0) -> str:
        attempt = f"{trial}.a{number}"
        d = self.decide(start(trial, until_step=until, reason="a slot is free and it waited longest", by="halving"))
        self.add(ChargeReserved(charge=attempt, trial=trial, device_s=grant, decision=d))
        self.add(
            AttemptOrdered(
                attempt=attempt,
                trial=trial,
                number=number,
                token=self.token,
                devices=("cpu-0",),
                from_step=from_step,
                until_step=until,
                grant_s=grant,
                decision=d,
            ),
            after=0.2,
        )
        self.add(
            AttemptStarted(
                attempt=attempt, supervisor=900 + number, pid=1000 + number, fingerprint=dict(self.marks)
            ),
            after=0.3,
        )
        return attempt

    def log(self, attempt: str, values: list[float], *, first: int = 0, metric: str = "val_loss") -> None:
        trial = attempt.rsplit(".a", 1)[0]
        steps = range(first, first + len(values))
        batch = Batch(trial=trial, attempt=attempt, metric=metric, steps=array("q", steps), values=array("d", values))
        self.add(
            MetricsLogged(
                attempt=attempt,
                trial=trial,
                fragment="m-1.frag",
                start=first * 20,
                end=(first + len(values)) * 20,
                points=len(values),
                crc=7,
                metrics={metric: summarise(list(steps), values)},
            ),
            after=20.0,
            batches=(batch,),
        )

    def save(self, attempt: str, step: int) -> None:
        trial = attempt.rsplit(".a", 1)[0]
        self.add(
            CheckpointSaved(
                checkpoint=Checkpoint(
                    trial=trial, step=step, folder=f"trials/{trial}/checkpoints/step-{step}", attempt=attempt
                )
            )
        )

    def advance(self, attempt: str, step: int, value: float, until: int) -> None:
        trial = attempt.rsplit(".a", 1)[0]
        d = self.decide(
            advance(
                trial,
                step=step,
                value=value,
                until_step=until,
                reason="among the best third at this rung",
                by="halving",
            )
        )
        self.add(TrialAdvanced(trial=trial, step=step, value=value, until_step=until, decision=d))

    def end(self, attempt: str, exit: Exit, *, cost: float = 30.0, after: float = 5.0, early: bool = False) -> None:
        """End an attempt and settle its charge; `early`: the script left because it was to."""
        trial = attempt.rsplit(".a", 1)[0]
        if exit.code == 0:
            self.add(AttemptClosed(attempt=attempt, clean=True, stopping=early), after=after)
        self.add(AttemptEnded(attempt=attempt, exit=exit))
        self.add(ChargeSettled(charge=attempt, trial=trial, device_s=cost))

    def close(self, reason: str = "the deadline is reached") -> "Night":
        self.add(ShiftEnded(shift="s1", reason=reason), after=60.0)
        return self

    def record(self, ledger: Ledger | None = None) -> Ledger:
        """Write all of it into a ledger, transaction by transaction, as its engines would have."""
        ledger = ledger if ledger is not None else MemoryLedger()
        held = 0
        for at, token, payloads, batches in self.batches:
            if token != held:
                held = ledger.take_lease(Holder(host="elsewhere", pid=4000 + token), how_dead=lambda lease: True).token
            ledger.append(payloads, at=at, token=held, batches=batches)
        return ledger

    @property
    def state(self) -> State:
        return fold(State(), self.events)


def complete(night: Night, params: dict, values: list[float], *, seed: int = 0, candidate: str = "") -> str:
    """Queue, run and finish a trial."""
    trial = night.queue(params, seed=seed, candidate=candidate)
    attempt = night.start(trial)
    night.log(attempt, values)
    night.end(attempt, Exit(code=0, elapsed_s=30.0))
    return trial


HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m [click](javascript:alert(2)) \u202egnp.exe `rm -rf`"


def eventful() -> Night:
    """A night with a bit of everything, ended: t1 defaults, t2 best, t3 crashed, t4 paused, t5 killed and resumed, t6 stopped."""
    night = Night().open()
    complete(night, {}, [2.3, 1.5, 1.1, 0.8, 0.6, 0.5, 0.44, 0.41, 0.40])
    best = complete(night, {"lr": 0.01, "width": 64}, [2.2, 1.2, 0.8, 0.6, 0.45, 0.35, 0.30, 0.28, 0.27])
    crash = night.start(night.queue({"lr": 0.09, "width": 16}))
    night.log(crash, [2.4, 9.0, float("nan")])
    night.end(
        crash,
        Exit(code=1, elapsed_s=12.0, message=f"Traceback (most recent call last):\nValueError: {HOSTILE}"),
        cost=12.0,
    )
    paused = night.start(night.queue({"lr": 0.0001, "width": 32}), until=3)
    night.log(paused, [2.4, 2.3, 2.25])
    night.save(paused, 3)
    night.end(paused, Exit(code=0, cause="pause", elapsed_s=11.0), cost=11.0, early=True)
    killed = night.start(night.queue({"lr": 0.02, "width": 48}), until=9)
    night.log(killed, [2.2, 1.3, 0.9])
    night.save(killed, 3)
    night.end(killed, Exit(signal=9, cause="self", elapsed_s=14.0), cost=14.0)
    night.add(
        IncidentOpened(
            incident=Incident(
                id="i1",
                subject="t5",
                finding="ended by signal 9, which was not ours",
                action="resume from step 3",
                opened_at=night.at,
            )
        )
    )
    night.token = 2
    night.add(LeaseTaken(token=2, holder="wks:5151", how="dead", boot_id="boot-1"))
    again = night.start("t5", 2, from_step=3)
    night.log(again, [0.7, 0.55, 0.45, 0.40, 0.36, 0.33], first=3)
    night.end(again, Exit(code=0, elapsed_s=20.0), cost=20.0)
    night.add(IncidentClosed(incident="i1", outcome="the trial went on from step 3 and is complete"))
    night.add(RequestReceived(id="r1", verb="stop", who="kim", args={"trial": "t6"}, asked_at=night.at))
    stopped = night.start(night.queue({"lr": 0.00002, "width": 96}))
    night.log(stopped, [2.5, 2.5])
    d = night.decide(stop("t6", reason="kim asked for it", by="kim", source="person"))
    night.add(AttemptAsked(attempt=stopped, mode="stop", decision=d))
    night.end(stopped, Exit(signal=15, cause="stop", elapsed_s=8.0), cost=8.5)
    night.add(PointsDropped(attempt="t6.a1", trial="t6", points=3, reason="the disk was full"))
    night.add(ShiftAnchored(boot_id="boot-1", anchor_boot_s=100.0, jump_s=-3600.0))
    night.queue({"lr": 0.003, "width": 80})
    assert best == "t2"
    return night.close()

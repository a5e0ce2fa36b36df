"""Simulated nights of a search for programs: a program is worth what the test says, with noise by seed if it is to be judged."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from secondshift.arbitrate import arbitrate
from secondshift.ledger.fold import fold
from secondshift.policies.evidence import answering, canaries, racing, verdicts
from secondshift.policies.models import broods
from secondshift.policies.schedulers import budgets, fifo
from secondshift.policies.searchers import programs, turns
from secondshift.records import events as facts
from secondshift.records.decisions import Decision
from secondshift.records.evaluations import Evaluation
from secondshift.records.examinations import Examination, Fault, Likeness
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Agent, Budget, Objective, Policy, Study
from secondshift.records.trials import Exit, Trial

STUDY = Study(
    name="packing", command="python pack.py", folder=".", objective=Objective(metric="sum", goal="max"), horizon_steps=1,
    tier="opaque", evaluate=("python", "check.py", "{artefact}"), policy=Policy(searcher="programs", scheduler="fifo"),
    agent=Agent(command=("agent", "{brief_file}"), turns=30, parallel=2), budget=Budget(trials=40),
)  # fmt: skip


@dataclass
class World:
    """Hands for a simulated night: a call takes `think` rounds, a trial `train`, and the n-th change is worth `values[n]`."""

    study: Study = STUDY
    think: int = 3
    train: int = 2
    slots: int = 2
    values: tuple[float, ...] = ()
    faults: tuple[Fault, ...] = ()  # what is wrong with the n-th change
    crashes: tuple[int, ...] = ()  # calls whose program crashes in training
    state: State = field(default_factory=State)
    ages: dict[str, int] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)  # free slots in each round after something was queued for the first time
    deciders: tuple[Callable[[State], list[Decision]], ...] = (turns.decide, budgets.decide, fifo.decide, programs.decide)
    log: list[Decision] = field(default_factory=list)
    seen: list[State] = field(default_factory=list)

    def record(self, *payloads: facts.Payload) -> None:
        first = self.state.last_seq + 1
        self.state = fold(self.state, [
            facts.Event(seq=first + n, at=100.0 + first, token=1, kind=facts.KIND_OF[type(p)], payload=p)
            for n, p in enumerate(payloads)
        ])  # fmt: skip

    def begin(self) -> "World":
        self.record(facts.StudyOpened(study=self.study), facts.LeaseTaken(token=1, holder="here:1", how="first"))
        self.record(facts.ShiftStarted(shift=Shift(id="s1", started_at=100.0, slots=self.slots)))
        return self

    def worth(self, call: str) -> float:
        number = int(call.rpartition("-")[2]) - 1
        return self.values[number] if number < len(self.values) else 0.0

    def judged(self, trial: Trial) -> Evaluation:
        code = self.state.candidates[trial.candidate].code.rpartition("+")[2]
        return Evaluation(trial=trial.id, value=self.worth(f"call-{int(code, 16)}") if code else 0.0)

    def round(self) -> bool:
        taken = {device for a in self.state.attempts.values() for device in a.devices}
        free = tuple(f"cpu-{n}" for n in range(self.slots) if f"cpu-{n}" not in taken)
        self.state = replace(self.state, free_devices=free, now_s=self.state.last_at)
        self.seen.append(self.state)
        made = [d for decide in self.deciders for d in decide(self.state)]
        self.log += made
        facts_made = arbitrate(self.state, made)
        self.record(*facts_made)
        if facts_made and not self.state.ending:
            return True  # the engine goes round again at once; the world stands still
        if len(self.state.trials) > 2:
            self.idle.append(self.slots - len(self.state.attempts))
        for name in list(self.state.calling):
            self.ages[name] = self.ages.get(name, 0) + 1
            if self.ages[name] >= self.think:
                ended = replace(self.state.calls[name], ending="changed", change=f"{int(name[5:]):032x}")
                self.record(facts.AgentEnded(call=ended))
        for call in self.state.to_examine():
            number = int(call.id[5:]) - 1
            fault: Fault = self.faults[number] if number < len(self.faults) else ""
            like = Likeness(digest=call.id, files=("pack.py",), sketch=(number,), statements=1)
            found = Examination(code=self.state.code_of(call), fault=fault, likeness=like, detail=fault)
            self.record(facts.ChangeExamined(examination=found))
        for attempt in list(self.state.attempts.values()):
            self.ages[attempt.id] = self.ages.get(attempt.id, 0) + 1
            if self.ages[attempt.id] >= self.train:
                code = self.state.candidates[self.state.trials[attempt.trial].candidate].code.rpartition("+")[2]
                crashed = bool(code) and int(code, 16) in self.crashes
                self.record(
                    facts.AttemptStarted(attempt=attempt.id, supervisor=1, pid=1),
                    facts.AttemptEnded(attempt=attempt.id, exit=Exit(code=int(crashed))),
                    facts.ChargeSettled(charge=attempt.id, trial=attempt.trial, device_s=1.0),
                )
        for trial in self.state.to_evaluate():
            self.record(facts.TrialEvaluated(evaluation=self.judged(trial)))
        return not self.state.ending

    def night(self, rounds: int = 900) -> "World":
        for _ in range(rounds):
            if not self.round():
                return self
        raise AssertionError(f"the night did not end: {broods.in_hand(self.state)} in hand, {len(self.state.trials)} trials")


NOMINATING = replace(
    STUDY, objective=Objective(metric="sum", goal="max", min_effect=0.1), budget=Budget(trials=9),
    policy=replace(STUDY.policy, nominate=True), agent=replace(STUDY.agent, turns=8),
)  # fmt: skip
CANARY = "ca"  # changes of canaries begin so


@dataclass
class Judging(World):
    """A night in which the evaluator's number is a program's worth with noise by seed, and fresh seeds judge what is nominated."""

    noise: float = 1.0
    draw: int = 0  # which noise
    deciders: tuple[Callable[[State], list[Decision]], ...] = (
        turns.decide, answering.decide, canaries.decide, racing.decide, budgets.decide, fifo.decide, programs.decide,
    )  # fmt: skip
    kinds: dict[str, str] = field(default_factory=dict)  # of canaries, by change

    def round(self) -> bool:
        for idea in self.state.ideas.values():
            if idea.canary and not idea.change:
                change = f"{CANARY}{len(self.kinds):030x}"
                self.kinds[change] = idea.canary
                refused = idea.canary == "metric"
                made = replace(idea, change=change, state="refused" if refused else "open")
                self.record(facts.IdeaAmended(idea=made, why="it is made"))
        self.record(*arbitrate(self.state, verdicts.decide(self.state)))
        return super().round()

    def judged(self, trial: Trial) -> Evaluation:
        code = self.state.candidates[trial.candidate].code.rpartition("+")[2]
        if self.kinds.get(code) == "constant":
            return Evaluation(trial=trial.id, problem="no artefact", confined=True)
        worth = self.worth(f"call-{int(code, 16)}") if code and code not in self.kinds else 0.0
        drawn = np.random.default_rng([self.draw, trial.seed, len(code), *code.encode()]).normal()
        artefact = f"{code}.{trial.seed if self.noise else 0}"
        return Evaluation(trial=trial.id, value=worth + self.noise * float(drawn), artefact=artefact, confined=True)

"""The state: what all facts so far add up to. Deciders see this and nothing else."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from secondshift.records.agent_calls import AgentCall
from secondshift.records.curves import Curve
from secondshift.records.evaluations import Evaluation
from secondshift.records.events import RequestReceived
from secondshift.records.examinations import Examination
from secondshift.records.forecasts import Audit, Forecast
from secondshift.records.gates import GateRun, Promotion
from secondshift.records.ideas import CodeBranch, Idea, Verdict
from secondshift.records.incidents import Act, Care, Incident, Look
from secondshift.records.nights import Charge, Shift
from secondshift.records.pages import Page
from secondshift.records.pastruns import Imported
from secondshift.records.studies import Cover, Rota, Study
from secondshift.records.trials import Attempt, Candidate, Checkpoint, Trial

MIN_GRANT_S = 1.0  # device-seconds; less is not worth starting a process for


@dataclass(frozen=True, kw_only=True, slots=True)
class Spend:
    """What was used and what is set aside, over all shifts of the study."""

    settled_device_s: float = 0.0
    confirm_device_s: float = 0.0  # the part of it that went into fresh seeds
    reserved_device_s: float = 0.0  # open charges
    wall_s: float = 0.0  # of shifts that have ended
    agents_usd: float = 0.0  # what calls of the agent were settled at
    reserved_usd: float = 0.0  # open charges of such calls


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A frozen snapshot. Mappings are never changed in place; fold makes new ones."""

    study: Study | None = None
    shift: Shift | None = None  # the current one; None between shifts
    shifts: int = 0
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    open: Mapping[str, bool] = field(default_factory=dict)  # ids of trials that may still run, oldest first
    ideas: Mapping[str, Idea] = field(default_factory=dict)  # all of them, in the order in which they came
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)  # idea -> the newest
    baseline: str = ""  # the candidate that ideas are judged against; empty: none was made yet in this revision
    gates: Mapping[str, GateRun] = field(default_factory=dict)  # runs of a suite, oldest first
    promotions: Mapping[str, Promotion] = field(default_factory=dict)  # oldest first
    openings: int = 0  # of the sealed test, over all nights
    comparisons: int = 0  # begun so far, over all revisions and baselines
    pairs: Mapping[str, str] = field(default_factory=dict)  # "<candidate>/<pair>" -> its trial
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)  # trial -> what the study's evaluator said
    examinations: Mapping[str, Examination] = field(default_factory=dict)  # code -> what was found out about it before it ran
    branches: Mapping[str, CodeBranch] = field(default_factory=dict)  # idea -> the branch that holds its change
    next_pair: int = 0  # number of the first fresh seed that nothing was ever run with
    calls: Mapping[str, AgentCall] = field(default_factory=dict)  # of the agent, all of them, oldest first
    calling: Mapping[str, bool] = field(default_factory=dict)  # those that have not ended
    attempts: Mapping[str, Attempt] = field(default_factory=dict)  # those not ended
    charges: Mapping[str, Charge] = field(default_factory=dict)  # those not settled
    checkpoints: Mapping[str, tuple[Checkpoint, ...]] = field(default_factory=dict)  # of open trials, oldest first
    requests: Mapping[str, RequestReceived] = field(default_factory=dict)  # those not yet answered
    answered: Mapping[str, bool] = field(default_factory=dict)  # ids of requests ever received
    incidents: Mapping[str, Incident] = field(default_factory=dict)  # those open
    care: Mapping[str, Care] = field(default_factory=dict)  # what the captain keeps in mind of a trial, where there is any
    covers: tuple[Cover, ...] = ()  # who took over the watch when, as people asked; oldest first
    pages: Mapping[str, Page] = field(default_factory=dict)  # incident -> what was weighed last
    pages_seen: int = 0  # weighed so far; ids are counted from here
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # digest -> marks that matter
    memos: Mapping[str, str] = field(default_factory=dict)
    fitting: Mapping[str, str] = field(default_factory=dict)  # policy -> the decision to fit that waits for its memo
    imported: Mapping[str, Imported] = field(default_factory=dict)  # past runs; kept apart, so that no decider counts them
    imports: int = 0  # past runs ever taken over; ids are counted from here
    statuses: Mapping[str, int] = field(default_factory=dict)  # trials of the current revision that search, by status
    spend: Spend = Spend()
    decisions: int = 0  # made so far; ids are counted from here
    incidents_seen: int = 0
    ticks: int = 0
    token: int = 0  # of the newest lease
    slow: Mapping[str, bool] = field(default_factory=dict)  # devices that a trial was moved away from in this shift, and was faster
    held: Mapping[str, str] = field(default_factory=dict)  # subject -> why its last decision was dropped
    tick_seq: int = 0  # of the newest recorded tick
    tick_digest: str = ""  # of all facts before it
    last_at: float = 0.0  # UTC seconds of the newest fact
    last_seq: int = 0
    ending: str = ""  # why the shift is ending; empty while it goes on
    hurry: bool = False  # a person asked to end now: kill instead of pause
    now_s: float = 0.0  # UTC seconds of the study clock; given by the engine at each tick
    free_devices: tuple[str, ...] = ()  # given by the engine at each tick
    forecasts: Mapping[str, tuple[Forecast, ...]] = field(default_factory=dict)  # trial -> how it was expected to end, oldest first
    audits: Mapping[str, Audit] = field(default_factory=dict)  # trial -> how it was drawn, and how it ended; oldest first
    outranked: Mapping[str, bool] = field(default_factory=dict)  # trials that the scheduler stopped
    # trial -> its objective step by step, where a decider asks for it; given by the engine at each tick
    curves: Mapping[str, Curve] = field(default_factory=dict)
    looks: Mapping[str, Look] = field(default_factory=dict)  # trial -> what its detectors say; given by the engine at each tick

    def running(self) -> Iterator[Trial]:
        """Trials that have an attempt now, oldest first."""
        return (self.trials[a.trial] for a in self.attempts.values())

    def waiting(self, status: str) -> Iterator[Trial]:
        """Open trials with this status, oldest first."""
        return (t for t in (self.trials[i] for i in self.open) if t.status == status)

    def heirs(self) -> Iterator[Trial]:
        """Trials that wait for a copy of the checkpoint that they begin from, oldest first."""
        return (trial for trial in self.waiting("queued") if trial.awaits_inheritance())

    def attempt_of(self, trial: str) -> Attempt | None:
        """The attempt of a trial that has not ended, if any."""
        known = self.trials.get(trial)
        newest = self.attempts.get(f"{trial}.a{known.attempts}") if known else None  # no walk over a thousand others
        return newest or next((a for a in self.attempts.values() if a.trial == trial), None)

    def acts_on(self, trial: str) -> tuple[Act, ...]:
        """Every act on a trial, with its outcome where an open or closed incident has told one."""
        care = self.care.get(trial)
        return care.acts if care is not None else ()

    def free_slots(self) -> int:
        """How many more attempts may be started now."""
        if self.shift is None:
            return 0
        return max(0, min(self.shift.slots - len(self.attempts), len(self.free_devices)) - self.moving())

    def moving(self) -> int:
        """How many trials are just leaving their device for another one, which is kept for them."""
        leaving = ((a.id, self.care[a.trial].acts[-1:]) for a in self.attempts.values() if a.asked and a.trial in self.care)
        return sum(act.remedy == "requeue" and act.attempt == name for name, acts in leaving for act in acts)

    def device_s_left(self, calls_usd: float = 0.0) -> float | None:
        """Device-seconds neither used nor set aside, if so much more money goes to calls; None if not capped."""
        cap = self.study.budget.device_s if self.study else None
        if self.study and self.study.budget.money_usd is not None and self.study.budget.usd_per_device_s:
            left_usd = self.study.budget.money_usd - self.spend.agents_usd - self.spend.reserved_usd - calls_usd
            by_money = left_usd / self.study.budget.usd_per_device_s
            cap = by_money if cap is None else min(cap, by_money)
        return None if cap is None else cap - self.spend.settled_device_s - self.spend.reserved_device_s

    def usd_left(self, device_s: float = 0.0) -> float | None:
        """Money that may still be set aside for calls, if so much more device time is set aside; None if not capped."""
        if self.study is None:
            return 0.0
        budget, used = self.study.budget, self.spend.agents_usd + self.spend.reserved_usd
        devices_s = self.spend.settled_device_s + self.spend.reserved_device_s + device_s
        caps = [cap for cap in (self.study.agent.money_usd,) if cap is not None]
        if budget.money_usd is not None:
            caps.append(budget.money_usd - devices_s * (budget.usd_per_device_s or 0.0))
        return min(caps) - used if caps else None

    def calls_left(self) -> int | None:
        """Calls of the agent that may still be made; None if they are not counted."""
        turns = self.study.agent.turns if self.study is not None else 0
        return None if turns is None else max(0, turns - len(self.calls))

    def at_work(self) -> bool:
        """Say whether a process of the shift goes on: an attempt, or a call of the agent."""
        return bool(self.attempts or self.calling)

    def settling(self) -> bool:
        """Say whether an idea waits for fresh seeds."""
        return any(i.state == "exploring" or (i.state == "open" and i.ready()) for i in self.ideas.values())

    def gate_against(self, idea: Idea) -> str:
        """The candidate that an idea is compared with at the gate: the baseline, or what was it before the idea itself is."""
        return idea.baseline if idea.candidate == self.baseline else self.baseline

    def gate_run(self, idea: Idea, request: str = "") -> GateRun | None:
        """The newest run of the suite as it now stands on an idea's candidate; with a request, only one that answers it.

        A run that was measured whole answers every request, so that nobody asks again until it passes by luck; one in which
        a check came to nothing answers only the request it was made for.
        """
        gate, against = (self.study.gate if self.study else None), self.gate_against(idea)
        for run in reversed(list(self.gates.values())):
            same = (run.candidate, run.baseline) == (idea.candidate, against)
            if gate is None or not same:
                continue
            if (run.commands, run.rules, run.repeats) == (gate.commands(), gate.rules(), gate.repeats):
                answers = not request or run.request == request or not (run.verdict and run.broken())
                return run if answers else None
        return None

    def judged(self, idea: Idea) -> bool:
        """Say whether an idea counts by what the study's evaluator says, of its candidate and of the baseline."""
        study = self.study
        return study is not None and bool(study.evaluate) and (bool(idea.change) or study.judges_search())

    def to_evaluate(self) -> list[Trial]:
        """Trials whose artefact waits for the study's evaluator, those of the oldest fresh seed first."""
        judged = [idea for idea in self.ideas.values() if idea.state == "exploring" and self.judged(idea)]
        searched = self.searched_by_artefact()
        keys = {(n, c): True for i in judged for c in (i.candidate, i.baseline) for n in range(i.first_pair, self.next_pair)}
        names = (self.pairs.get(f"{candidate}/{pair}") for pair, candidate in sorted(keys))
        return [self.trials[name] for name in (*searched, *names) if name and self.awaits_evaluation(name)]

    def searched_by_artefact(self) -> list[str]:
        """Trials of a search for programs that came to their end: the evaluator says what they are worth, oldest first."""
        if self.study is None or not self.study.judges_search():
            return []
        revision = self.study.revision
        return [t.id for t in self.trials.values() if t.pair < 0 and t.status == "complete" and t.revision == revision]

    def code_of(self, call: AgentCall) -> str:
        """The code that a candidate of what a call left has: that of the candidate it worked on, and its change."""
        on = self.candidates.get(call.task.parent)
        return "+".join(filter(None, (on.code if on is not None else "", call.change)))

    def failed_run(self, call: AgentCall) -> Trial | None:
        """The newest run that came to nothing of what a call brought; None where there is none."""
        idea = self.ideas.get(call.idea)
        if not call.change or (idea is not None and idea.change != call.change):
            return None
        code = self.code_of(call)
        named = {idea.candidate} if idea is not None else {c.id for c in self.candidates.values() if c.code == code}
        failed = (t for t in reversed(list(self.trials.values())) if t.status == "failed" and t.candidate in named)
        return next(failed, None)

    def to_examine(self) -> list[AgentCall]:
        """Calls of a search whose change nobody has looked at yet, oldest first."""
        changed = (call for call in self.calls.values() if call.task.parent and call.ending == "changed")
        return [call for call in changed if self.code_of(call) not in self.examinations]

    def result(self, trial: Trial) -> float | None:
        """What a trial of the search counts for, in the metric's own unit: what it logged or, of programs, the evaluator's word."""
        if self.study is None:
            return None
        if not self.study.judges_search():
            return trial.objective(self.study.objective)
        found = self.evaluations.get(trial.id)
        return found.value if found is not None and not found.problem and math.isfinite(found.value) else None

    def of_canary(self, trial: Trial) -> bool:
        """Say whether a trial runs a change that must not win."""
        candidate = self.candidates.get(trial.candidate)
        idea = self.ideas.get(candidate.idea) if candidate is not None else None
        return idea is not None and bool(idea.canary)

    def has_defaults(self, candidate: str) -> bool:
        """Say whether a candidate is the study as it is: its own code, and every parameter at its default."""
        known = self.candidates.get(candidate)
        return known is not None and not known.code and self.study is not None and self.study.space.is_baseline(known.params)

    def awaits_evaluation(self, trial: str) -> bool:
        """Say whether a trial came to its end and nobody has judged what it left."""
        return self.trials[trial].status == "complete" and trial not in self.evaluations

    def may(self, authority: str) -> bool:
        """Say whether the captain was granted this; nothing is needed for what needs no authority."""
        granted = self.shift.may if self.shift is not None else ()
        return not authority or authority in granted

    def rota(self) -> Rota:
        """The rota as the study file has it, with what people have asked for since."""
        return replace(self.study.oncall.rota, covers=self.covers) if self.study is not None else Rota()

    def wall_s(self) -> float:
        """Time on shift so far, the current shift included."""
        return self.spend.wall_s + (self.now_s - self.shift.started_at if self.shift else 0.0)

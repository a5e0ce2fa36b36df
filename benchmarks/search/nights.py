"""One night of the benchmark: a study made of an instance, the real engine on it, and a clock that jumps to what ends next."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from search.buying import METRIC, BuyingExecutor, Counter
from secondshift import engine
from secondshift.config.fitting import Names, fit
from secondshift.ledger.batches import crc
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.records import events as facts
from secondshift.records.orders import Batch
from secondshift.records.pastruns import PastRun
from secondshift.records.states import State
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import SimulatedClock
from secondshift.runtime.shiftclock import ShiftClock

Finals = Mapping[str, tuple[int, float]]  # trial -> how many steps it would have run, and its last value
Judge = Callable[[Sequence[facts.Event], Finals], dict[str, Any]]  # what it returns is kept with the night
EVENING = 1_800_000_000.0  # UTC seconds
ROOM = "secondshift.policies.forecasters"
DECISIONS = ("deciding_s", "searching_s", "cpu_of_decision_s")
STANDSTILL = 50  # ticks in a row that may decide something without any time passing


class NightStuck(RuntimeError):
    """The deciders went on deciding while the clock stood still. Look at the last decisions of the night."""


class PolicyRaised(RuntimeError):
    """A policy raised, and the engine passed it over: what the night goes on to do says nothing of it. Mend the policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """The policies of a study by their names, as `random+halving:min_steps=1` or `model+freezethaw+FORECASTER`."""

    name: str
    policy: Policy

    @classmethod
    def read(cls, text: str) -> "Method":
        """Read searcher+scheduler[+forecaster][:setting=value...]. Raises ValueError for a setting that Policy has not."""
        names, *settings = text.split(":")
        parts = names.split("+")
        known = {one.name: one.default for one in fields(Policy)}
        chosen: dict[str, Any] = dict(zip(("searcher", "scheduler", "forecaster"), parts, strict=False))
        chosen |= dict(setting.split("=", 1) for setting in settings)
        if len(parts) < 2 or len(parts) > 3 or (unknown := sorted(chosen.keys() - known.keys())):
            wrong = ", ".join(unknown) if 2 <= len(parts) <= 3 else text
            raise ValueError(f"{wrong}: expected searcher+scheduler[+forecaster][:setting=value], with settings of Policy: "
                             f"{', '.join(known)}.")  # fmt: skip
        values: dict[str, Any] = {name: _as(known[name], value) for name, value in chosen.items()}
        return cls(name=text, policy=Policy(**values))


def _as(default: Any, text: str) -> Any:  # Any: the value of a setting
    """Read a setting as what its default is."""
    return text.lower() == "true" if isinstance(default, bool) else type(default)(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Which night is to be played."""

    method: str
    instance: str
    seed: int
    workers: int = 1
    trainings: float = 20.0  # budget, in full trainings
    noise: float = 0.0  # standard deviation added to what the script logs, of the regret's scale
    pool: bool = False  # offer a table's rows as the finite set they are
    at: Literal["best", "final"] = "best"  # which value of a run counts to the policies; regret counts the best one seen

    def label(self) -> str:
        """The method as results name it."""
        return self.method if self.workers == 1 else f"{self.method}@{self.workers}"


@dataclass(kw_only=True)
class Played:
    """What a night was like, beside its purchases."""

    charged_s: float = 0.0  # device-seconds as the engine settled them
    epochs: int = 0  # sold, as the shop counted them
    trials: int = 0
    starts: int = 0  # attempts ordered
    ticks: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    deciding_cpu_s: float = 0.0  # of it, all deciders
    reason: str = ""  # why the shift ended
    incidents: int = 0
    deciding_s: list[float] = field(default_factory=list)  # of each decision, all deciders together
    searching_s: list[float] = field(default_factory=list)  # of it: searcher, scheduler and forecaster
    cpu_of_decision_s: list[float] = field(default_factory=list)  # all deciders; the same on a busy machine
    of_decider_s: dict[str, float] = field(default_factory=dict)  # name -> seconds
    judged: dict[str, Any] = field(default_factory=dict)  # what a judge found

    def save(self, file: Path) -> None:
        """Write it beside the purchases."""
        rounded = {name: [round(s, 7) for s in getattr(self, name)] for name in DECISIONS}
        file.write_text(json.dumps({**self.__dict__, **rounded}))


class Timed(engine.Engine):
    """The engine, with a stopwatch at its deciders."""

    deciding_s = 0.0
    searching_s = 0.0
    deciding_cpu_s = told_cpu_s = 0.0  # since the beginning
    fault: Exception | None = None  # what a policy raised

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.of_decider: dict[str, float] = {}  # seconds since the beginning, by name

    def settle(self, stage: str, deciders: Sequence[tuple[str, engine.Decider]]) -> bool:
        """As the engine does, and time every decider; the CPU, which is slow to ask for, of all together."""
        timed = [(name, self._timed(name, decider)) for name, decider in deciders]
        return super().settle(stage, [("first", self._cpu(-1.0)), *timed, ("last", self._cpu(1.0))])

    def _cpu(self, sign: float) -> engine.Decider:
        def look(state: State) -> Sequence[engine.Decision]:
            self.deciding_cpu_s += sign * time.process_time()
            return ()

        return look

    def _timed(self, name: str, decider: engine.Decider) -> engine.Decider:
        def ask(state: State) -> Sequence[engine.Decision]:
            own = name in (self.study().policy.searcher, self.study().policy.scheduler) or decider.__module__.startswith(ROOM)
            began = time.perf_counter()
            try:
                return decider(state)
            except Exception as fault:
                self.fault = fault
                raise
            finally:
                took = time.perf_counter() - began
                self.deciding_s += took
                self.searching_s += took if own else 0.0
                self.of_decider[name] = self.of_decider.get(name, 0.0) + took

        return ask

    def read(self) -> tuple[float, ...]:
        """Return what deciding took since the last time, as in DECISIONS, and begin again at zero."""
        taken = (self.deciding_s, self.searching_s, self.deciding_cpu_s - self.told_cpu_s)
        self.deciding_s = self.searching_s = 0.0
        self.told_cpu_s = self.deciding_cpu_s
        return taken


def placeholder(name: str) -> str:
    """A parameter's name as a command can hold it: 1-beta1 is p_1_beta1."""
    plain = re.sub(r"\W", "_", name)
    return f"p_{plain}" if plain[0].isdigit() else plain


def space_of(offer: dict[str, Any]) -> Space:
    """The search space of an instance. A table's rows, where they were asked for, are `offer["pool"]`."""
    kinds: dict[str, Any] = {"float": "float", "int": "int", "cat": "categorical"}
    axes = tuple(
        Parameter(name=placeholder(a["name"]), kind=kinds[a["kind"]], low=a["low"], high=a["high"], log=a["log"],
                  choices=tuple(a["choices"]))
        for a in offer["axes"]
    )  # fmt: skip
    if offer["pool"]:
        pool = tuple({placeholder(name): value for name, value in row.items()} for row in offer["pool"])
        return Space(parameters=axes, among=pool)
    return Space(parameters=axes)


def study_of(offer: dict[str, Any], ask: Ask) -> Study:
    """The study that the policies see: an instance's own space and horizon, and a budget of so many epochs, one a second."""
    space, epochs = space_of(offer), int(ask.trainings * offer["horizon"])
    first = space.parameters[0].name  # a script that is told none of its parameters would run its own defaults first
    return Study(
        name=f"{ask.instance} {ask.seed}", command=f"train --{first} {{{first}}}", folder=".",
        objective=Objective(metric=METRIC, at=ask.at),
        horizon_steps=offer["horizon"], space=space, tier="cooperative", seed=offer["seed"],
        budget=Budget(device_s=float(epochs), trials=offer["rows"] or None, confirm_share=0.0),
        policy=Method.read(ask.method).policy, may=(),
        launch=Launch(executor="simulated", slots=ask.workers, grant_s=float(offer["horizon"])),
    )  # fmt: skip


class _Translated:
    """A counter that knows parameters by the names they have in the data."""

    def __init__(self, counter: Counter, names: dict[str, str]) -> None:
        self.counter, self.back = counter, {ours: theirs for theirs, ours in names.items()}
        self.names = names

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        if verb == "begin":
            request["params"] = {self.back[name]: value for name, value in request["params"].items()}
        answer = self.counter.ask(verb, **request)
        if "params" in answer:
            answer["params"] = {self.names[name]: value for name, value in answer["params"].items()}
        return answer


def play(
    ask: Ask, counter: Counter, log: Path, judge: Judge | None = None, past: Sequence[PastRun] = ()
) -> Played:
    """Play one night to its end; its purchases are in `log` afterwards. Raises NightStuck, PolicyRaised.

    judge: looks at what was recorded, forecasts say, once it is over and can be compared with how curves go on.
    past: runs of an earlier study of the same space, which are imported before it begins.
    """
    offer = counter.ask("open", instance=ask.instance, seed=ask.seed, method=ask.method, workers=ask.workers, log=str(log),
                        noise=ask.noise, pool=ask.pool)  # fmt: skip
    threadpool_limits(1, user_api="blas")  # as `shifts.work` does
    study, clock = study_of(offer, ask), SimulatedClock(EVENING)
    translated: Any = _Translated(counter, {a["name"]: placeholder(a["name"]) for a in offer["axes"]})
    executor = BuyingExecutor(translated, clock, slots=ask.workers)
    with tempfile.TemporaryDirectory(prefix="secondshift-search-") as folder:
        night = _engine(study, executor, clock, Path(folder), past)
        began, cpu = time.perf_counter(), time.process_time()
        played = _run(night, executor)
        played.wall_s, played.cpu_s = time.perf_counter() - began, time.process_time() - cpu
    played.epochs = counter.ask("close")["epochs"]
    if judge is not None:
        finals = {trial: (steps, value) for trial, (steps, value) in counter.ask("finals")["finals"].items()}
        played.judged = judge(list(night.ledger.read()), finals)
    return played


def _engine(
    study: Study, executor: BuyingExecutor, clock: SimulatedClock, folder: Path, past: Sequence[PastRun]
) -> Timed:
    ledger = MemoryLedger()
    lease = ledger.take_lease(Holder(host="here", pid=1), how_dead=lambda lease: True)
    night = Timed(
        ledger=ledger, state=State(token=lease.token), executor=executor, clock=ShiftClock(clock, "boot-1"),
        hands=Hands(folder=folder, place=folder),
    )  # fmt: skip
    night.record([facts.LeaseTaken(token=lease.token, holder="here:1", how=lease.how), facts.StudyOpened(study=study)])
    for number, run in enumerate(past, 1):
        _import(night, study, run, f"p{number}")
    night.begin(None)
    return night


def _import(night: Timed, study: Study, run: PastRun, name: str) -> None:
    """Take a run over as `secondshift import` does. Raises ValueError for one that does not fit."""
    found = fit(study, run, Names())
    if found.fact is None:
        raise ValueError(f"{run.name} does not fit into the study: {found.problem} {dict(found.values)}.")
    batches = [Batch(trial=name, attempt=name, metric=n, steps=s, values=v) for n, (s, v) in found.columns.items()]
    night.record([replace(found.fact, trial=name, crc=crc(batches))], batches)


def _run(night: Timed, executor: BuyingExecutor) -> Played:
    """Tick; whenever nothing is left to decide, let time pass until an attempt ends."""
    played = Played()
    still, reason, orders = 0, "", 0
    while night.state.shift is not None:
        decided = night.tick()
        if night.fault is not None:
            raise PolicyRaised(f"{type(night.fault).__name__}: {night.fault}") from night.fault
        played.ticks += 1
        reason = night.state.ending or reason
        still += 1
        if still > STANDSTILL:
            last = [str(event.payload)[:300] for event in list(night.ledger.read())[-5:]]
            raise NightStuck(f"{STANDSTILL} ticks passed without a step being trained. The last facts: {last}")
        if decided or night.state.shift is None:
            continue
        taken = night.read()
        ordered = sum(trial.attempts for trial in night.state.trials.values()) if night.state.attempts else orders
        if ordered > orders:
            for name, took in zip(DECISIONS, taken, strict=True):
                getattr(played, name).extend([took / (ordered - orders)] * (ordered - orders))
        orders = ordered
        still = 0 if executor.advance() else still
    state = night.state
    played.charged_s, played.trials, played.reason = state.spend.settled_device_s, len(state.trials), reason
    played.starts, played.incidents, played.deciding_cpu_s = orders, state.incidents_seen, night.deciding_cpu_s
    played.of_decider_s = {name: round(took, 6) for name, took in night.of_decider.items()}
    return played



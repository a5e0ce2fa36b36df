"""What is asked of the night: the study, its objective, its search space, its budget, and who stands behind the captain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Literal

Goal = Literal["min", "max"]
Value = bool | int | float | str
Provider = Literal["openai", "anthropic"]  # of models: whose protocol is spoken
TierName = Literal["opaque", "resumable", "cooperative"]
# Why a tier is in effect or not; "": recorded before anything was proved, and taken as it is.
ProofState = Literal["", "proved", "failed", "missing", "stale", "trusted", "not needed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """A metric, and which way is better."""

    metric: str  # the name as the script prints or logs it
    goal: Goal = "min"

    def loss(self, value: float) -> float:
        """Turn a value of the metric into one where smaller is better; NaN is worse than anything."""
        if math.isnan(value):
            return math.inf
        return value if self.goal == "min" else -value

    def better(self, value: float, than: float) -> bool:
        """Say whether `value` beats `than`; NaN beats nothing."""
        return self.loss(value) < self.loss(than)


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective(Aim):
    """What counts as better. Code asks this record, and never assumes that lower is better."""

    at: Literal["final", "best"] = "final"
    min_effect: float = 0.0  # in the metric's own unit; smaller gains are real but useless
    guards: tuple[str, ...] = ()  # what must also hold, as written; `records.guards` reads them
    also: Aim | None = None  # a second one, of which the front is shown; the search goes on by this one alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One axis of the search space."""

    name: str
    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None  # grid spacing from `low`, in the parameter's own unit
    choices: tuple[Value, ...] = ()
    default: Value | None = None  # the baseline's value; None: the script's own default
    when: Mapping[str, tuple[Value, ...]] = field(
        default_factory=dict
    )  # active only if each named parent has one of these


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Where candidates may be looked for."""

    parameters: tuple[Parameter, ...] = ()
    constraints: tuple[str, ...] = ()  # e.g. "width * depth <= 4096"; a candidate that breaks one is never proposed
    among: tuple[Mapping[str, Value], ...] = ()  # the only candidates there are, in this order; empty: all points of the axes

    def is_baseline(self, params: Mapping[str, Value]) -> bool:
        """Say whether these parameters are the defaults: every parameter that is set has its default value."""
        for parameter in self.parameters:  # asked of every candidate of a tick: most differ in the first
            if parameter.name in params and params[parameter.name] != parameter.default:
                return False
        return params.keys() <= {parameter.name for parameter in self.parameters}


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The caps of a study; None means not capped. Reservations never pass them (DESIGN invariant 6)."""

    device_s: float | None = None
    wall_s: float | None = None  # time on shift, summed over all shifts of the study
    trials: int | None = None
    money_usd: float | None = None  # needs `usd_per_device_s`
    usd_per_device_s: float | None = None
    confirm_share: float = 0.25  # of the budget, kept for fresh seeds


PROGRAMS = "programs"  # the searcher whose candidates are code, judged by what they leave
POPULATION = "population"  # the scheduler by which trials begin from the checkpoints of others


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Which deciders are on duty, and their settings."""

    searcher: str = "random"
    scheduler: str = "halving"
    forecaster: str = "auto"  # auto: analogues under a freeze-thaw scheduler, else none
    audit_share: float = 0.05  # of the device time of search: what trials that were given up may cost that are trained to the end
    warm_start: bool = False  # runs that were imported tell a model-based search where to look
    eta: int = 3  # successive halving keeps one in eta at each rung
    min_steps: int = 0  # first rung; 0: horizon / eta^2, at least 1
    max_failure_rate: float = 0.5  # the study ends when more than this share of at least `failure_floor` trials failed
    failure_floor: int = 6
    nominate: bool = False  # the best of the search becomes an idea that fresh seeds judge
    max_interruptions: int = 2  # restarts without progress before a trial is given up
    population: int = 8  # trials that train side by side, where the scheduler is "population"
    try_first: tuple[Mapping[str, Value], ...] = ()  # whole sets of parameters that are tried after the baseline


    def forecasts_with(self) -> str:
        """Name the forecaster on duty; empty for none."""
        if self.forecaster == "auto":
            return "analogues" if self.scheduler == "freezethaw" else ""
        return "" if self.forecaster == "none" else self.forecaster


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How trials are started on this host."""

    executor: str = "local"
    slots: int = 0  # trials at once; 0: one per device of the host
    threads: int = 0  # OMP_NUM_THREADS and friends of each trial; 0: the host's CPUs shared among the slots
    per_device: int = 1  # trials on one device at a time
    share_with_others: bool = False  # use a GPU on which a program of somebody else computes
    yield_to: str = "gpu-busy"  # when trials leave their devices: "gpu-busy", "file:PATH", "never"
    grace_s: float = 10.0  # between SIGTERM and SIGKILL
    grant_s: float = 600.0  # device time reserved at a time for one attempt
    checkpoint_every_s: float = 60.0
    eval_every_steps: int = 1  # for run.eval_due
    keep_checkpoints: int = 2  # newest ones kept of each trial
    keep_older: int = 0  # older ones kept beside them, spread as `secondshift.tracking.retention` says
    keep_best: bool = True  # besides, the one that was saved at the best objective
    disk_cap_mb: float = 10_000.0  # checkpoints of the whole study
    quiet_s: float = 3600.0  # a trial that logs nothing for so long is stopped
    output_cap_mb: float = 1024.0  # a trial whose output grows past this is stopped
    sample_every_s: float = 5.0  # between two looks at a trial's processes and devices; 0: none
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passing:
    """How parameters that the command does not name by a placeholder reach the script."""

    via: Literal["sdk", "flags", "hydra", "env", "file"] = "sdk"  # sdk: the script reads SECONDSHIFT_PARAMS
    style: str = "--{name} {value}"  # of a flag or an override
    booleans: Literal["value", "switch", "pair"] = "value"  # --amp true; --amp or nothing; --amp or --no-amp
    variable: str = "{NAME}"  # of an environment variable
    file: str = "params.json"  # name of the file; its ending says the format
    flag: str = ""  # appended to the command, with {params_file} in it
    nested: bool = True  # in the file, "a.b" is b in a
    none: str = ""  # the text that stands for no value; empty: there is none


Source = Literal["auto", "sdk", "stdout", "csv", "jsonl", "tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsFrom:
    """Where the numbers of a trial are read: what a script says without knowing of us."""

    source: Source = "auto"  # auto: the SDK's stream where there is one, else what the script prints
    pattern: str = ""  # regular expression for printed lines: groups step, name, value, or one named as each metric
    path: str = ""  # glob of the files to follow, below the working folder or, after "{out}", below the attempt's out
    step: str = ""  # the name of the step; empty: step, global_step, iter, iteration or epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Notify:
    """Where a brief is sent when its shift has ended."""

    channels: tuple[str, ...] = ()  # "file:PATH", "https://...", "mailto:...", "env:NAME"; never one with a secret in it
    lang: Literal["en", "ko"] = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedNoise:
    """How far results of the defaults lie apart that differ in nothing but the seed, as the doctor measured it."""

    spread: float = 0.0  # standard deviation of the objective, its own unit
    step: int = 0  # at which it was measured
    seeds: int = 0  # 0: nobody measured it


OLDER_KEPT = 6  # their ages double: with one a minute, the oldest is an hour old


@dataclass(frozen=True, kw_only=True, slots=True)
class Days:
    """Whole days, both ends included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        """Say whether a day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """The hours of every day in which a person sleeps, on the person's own clock; they may pass midnight."""

    begins: time
    ends: time


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who can be on call."""

    name: str
    zone: str = "UTC"  # IANA name, such as "Asia/Seoul"; days and hours of this person are counted in it
    quiet: Quiet | None = None
    away: tuple[Days, ...] = ()  # time off, by the person's own calendar
    holidays: tuple[Days, ...] = ()  # public ones of the person's country, as known when the study file was read
    channels: tuple[str, ...] = ()  # as in [notify]; the first that works gets a page
    lang: Literal["en", "ko"] = "en"  # of pages


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Somebody takes over days of the rota; a later swap wins over an earlier one."""

    days: Days  # of the rota: each lasts from one handover to the next
    who: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """Somebody takes over for a stretch of time, as a person asked; the latest one recorded wins, also over swaps."""

    begins: float  # UTC seconds
    ends: float
    who: str
    why: Literal["swap", "hand-over"] = "swap"
    asked_by: str = ""
    note: str = ""  # what the next person should know
    id: str = ""  # of the request


@dataclass(frozen=True, kw_only=True, slots=True)
class Rota:
    """Turns of equal length that come round for ever."""

    people: Mapping[str, Person] = field(default_factory=dict)
    order: tuple[str, ...] = ()  # names of `people`, in the order of their turns
    starts: date = date(2024, 1, 1)  # the first day of the first turn; before it the order is counted backwards
    days: int = 7  # length of a turn
    handover: time = time(9, 0)  # when one day of the rota ends and the next begins, in `zone`
    zone: str = "UTC"
    swaps: tuple[Swap, ...] = ()
    covers: tuple[Cover, ...] = ()  # asked for while the study runs; the study file knows nothing of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Oncall:
    """Who stands behind the captain, and what waking somebody counts for."""

    rota: Rota = Rota()
    sleep_worth: float = 20.0  # device-hours that one broken night counts for
    remind_s: float = 1200.0  # without an answer, until a page is sent again, and then to the next person; 0: never
    dead_man_url: str = ""  # told that the captain lives; "env:NAME" or an address without secrets; empty: none
    dead_man_every_s: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One part of a suite: a command that prints metrics, and what they must keep to."""

    name: str
    command: tuple[str, ...] = ()  # with {artefact}
    require: tuple[str, ...] = ()  # rules as written; all must hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The [gate] of a study."""

    suite: tuple[Check, ...] = ()
    repeats: int = 5  # of each check and artefact: fixed beforehand, so that no one stops when it looks good
    timeout_s: float = 600.0  # of one run of a check
    sealed_command: tuple[str, ...] = ()  # the sealed test: runs at promotion only
    sealed_metric: str = ""

    def commands(self) -> dict[str, tuple[str, ...]]:
        """The command of each check."""
        return {check.name: check.command for check in self.suite}

    def rules(self) -> dict[str, tuple[str, ...]]:
        """The rules of each check."""
        return {check.name: check.require for check in self.suite}


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model behind an endpoint, which is asked for changes by a program of ours."""

    provider: Provider | Literal[""] = ""  # whose protocol the endpoint speaks; empty: no model is asked
    name: str = ""  # as the endpoint knows it
    base_url: str = ""  # empty: the provider's own
    key_env: str = ""  # the variable that holds the key; its value is recorded nowhere
    key_needed: bool = True  # False: an endpoint of one's own, which may want none
    input_usd: float = 0.0  # of a million tokens that it is sent
    output_usd: float = 0.0  # of a million tokens that it writes
    output_tokens: int = 8192  # that one answer may have
    show_bytes: int = 100_000  # of files that it is shown at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """The [agent] of a study: what turns an idea in words into a change."""

    command: tuple[str, ...] = ()  # with {brief_file} and {workspace}; empty: nobody does
    model: Model = Model()  # that is asked by the command, which is then ours
    timeout_s: float = 900.0  # of one call
    turns: int | None = None  # calls over all nights of the study; None: as many as money allows
    parallel: int = 1  # calls at once
    price_usd: float | None = None  # of one call at most: so much is set aside; None: a subscription
    money_usd: float | None = None  # for all calls; None: no cap of their own
    env: tuple[str, ...] = ()  # names of variables that it is given from the engine's own; values are recorded nowhere
    hosts: tuple[str, ...] = ()  # "host:port" that it may reach; no others
    readable: tuple[str, ...] = ()  # paths of a home folder, /tmp or /run that it may read: they look empty else
    writable: tuple[str, ...] = ()  # paths that it may write to beside its workspace
    check: tuple[str, ...] = ()  # run on what a call of a search left, before anything is trained with it; empty: none
    check_timeout_s: float = 60.0
    memory_mb: float = 8000.0
    output_cap_mb: float = 10.0
    grace_s: float = 5.0  # between the request to end and the end by force


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """What the code of candidates may reach and take while it trains."""

    network: bool = False
    read: tuple[str, ...] = ()  # paths in home folders and other places that look empty; "~" is the home folder
    processes: int = 2048  # at once; 0: no limit
    memory_bytes: int = 0  # of all processes together; 0: no limit
    file_bytes: int = 0  # of one file; 0: no limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """The question a person hands over in the evening."""

    name: str
    command: str  # split into arguments, never given to a shell
    folder: str  # where the command runs, relative to the study file
    objective: Objective
    horizon_steps: int  # steps of a full trial
    schedule: Literal["free", "tied"] = "free"
    space: Space = Space()
    budget: Budget = Budget()
    policy: Policy = Policy()
    launch: Launch = Launch()
    metrics: MetricsFrom = MetricsFrom()
    tier: TierName = "cooperative"  # in effect: what is not proved is not used
    offered: TierName | Literal[""] = ""  # as the file names it; empty: the same
    proof: ProofState = ""  # why `tier` is what it is
    faults: tuple[str, ...] = ()  # codes of what the doctor found wrong, of a proof that still holds
    seed_noise: SeedNoise = SeedNoise()  # of a proof that still holds
    resume_flag: str = ""
    resume_env: str = ""  # the variable that names the checkpoint folder, for a script that takes it so
    passing: Passing = Passing()
    evaluate: tuple[str, ...] = ()
    gate: Gate = Gate()  # what an artefact must pass before it moves the baseline or is released
    agent: Agent = Agent()
    evaluator_hash: str = ""  # digest of the protected files and the evaluator
    read_only: tuple[str, ...] = ()
    sandbox: Sandbox = Sandbox()
    data: tuple[str, ...] = ()  # files that results depend on; absolute, or relative to `folder`
    may: tuple[str, ...] = ("retry_infrastructure", "pause", "stop_non_finite")
    answer_within_s: float = 1800.0  # how long a question waits for a person before its default applies
    cool_down_s: float = 60.0  # before what failed from outside is tried a second time
    oncall: Oncall = Oncall()
    notify: Notify = Notify()
    seed: int = 0
    revision: int = 1  # raised when objective, horizon, space, command or evaluator change

    def tier_offered(self) -> TierName:
        """Give the tier that the study file names: how the script speaks, whether or not its checkpoints are used."""
        return self.offered or self.tier

    def drill(self) -> bool:
        """Say whether what goes wrong in it is made on purpose: `secondshift drill` names its studies so."""
        return self.name.startswith("DRILL ")

    def judges_search(self) -> bool:
        """Say whether the evaluator also says what a trial of the search is worth, and not the trial's own process."""
        return self.policy.searcher == PROGRAMS and bool(self.evaluate)

    def older_kept(self) -> int:
        """How many older checkpoints are kept beside the newest: a captain who may go back needs some to go back to."""
        goes_back = any(name.startswith("roll_back") or name == "restart_loader" for name in self.may)
        return self.launch.keep_older or (OLDER_KEPT if goes_back else 0)

    def alone(self) -> bool:
        """Say whether each attempt is on its own: what it saves is not used, and the next begins at the first step."""
        return self.tier == "opaque" and bool(self.offered)  # studies of before proofs go on as they were recorded

"""The tables and keys of secondshift.toml, with their types, defaults and units."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from secondshift.records.addresses import mistake
from secondshift.records.metricnames import of_script

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_QUIET_HOURS = re.compile(rf"{_TIME.pattern}-{_TIME.pattern}")

FORMATS = (".json", ".yaml", ".yml", ".toml")  # of a file of parameters
Authority = Literal[
    "retry_infrastructure", "pause", "stop_non_finite", "stop_early",
    "roll_back", "roll_back_skip", "roll_back_lower_rate", "restart", "graceful_restart", "restart_loader", "requeue",
]  # fmt: skip


def seconds(value: Any) -> Any:  # Any: whatever the file holds; what is no duration is left for the type to refuse
    """Read a duration: a number of seconds, or a text such as "90s", "10m", "2h"."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError('a duration such as "90s", "10m" or "2h", or a number of seconds')
    return float(found[1]) * _SECONDS[found[2]]


def _quiet_hours(value: str) -> str:
    if value and (not _QUIET_HOURS.fullmatch(value) or value[:5] == value[6:]):
        raise ValueError('two different times of day such as "22:00-08:00"')
    return value


def _time_of_day(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError('a time of day in quotes, such as "09:00"')
    return value


def _stretches(value: Any) -> Any:  # Any: whatever the file holds
    """Read single days as stretches of one day; what is neither is named with its place."""
    if not isinstance(value, list):
        return value
    for place, given in enumerate(value):
        plain = isinstance(given, date) and not isinstance(given, datetime)
        if not plain and not isinstance(given, dict):
            expected = "a day without quotes, such as 2026-12-24, or { first = 2026-12-24, last = 2026-12-31 }"
            raise ValueError(f"{expected}, and not {given!r} (entry {place + 1})")
    return [{"first": given} if isinstance(given, date) else given for given in value]


def _address(value: str) -> str:
    if value and not value.startswith(("http://", "https://", "env:")):
        raise ValueError('"https://..." or "env:NAME"')
    if value and (wrong := mistake(value)):
        raise ValueError(wrong)
    return value


def _relative_globs(value: list[str]) -> list[str]:
    for pattern in value:
        if not pattern.strip() or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            raise ValueError(f'patterns of files inside the study\'s folder, such as "data/**", and not {pattern!r}')
    return value


def _places(value: list[str]) -> list[str]:
    for place in value:
        if not place.startswith(("/", "~/")) or ".." in place.split("/") or not place.strip("/~"):
            raise ValueError(f'whole paths such as "~/.cache/huggingface" or "/srv/models", and not {place!r}')
    return value


def _own_metric(value: str) -> str:
    if not of_script(value):
        raise ValueError('a metric of the script; names that begin with "_" or "sys/" are measurements of secondshift\'s own')
    return value


def _variable(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError('the name of an environment variable, such as "CKPT_DIR"')
    return value


def _hosts(value: list[str]) -> list[str]:
    for one in value:
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9.-]+:\d+", one):
            raise ValueError(f'hosts with a port, such as "api.example.com:443", and not {one!r}')
    return value


def _model(value: str) -> str:
    provider, _, name = value.partition(":")
    if value and (provider not in ("openai", "anthropic") or not name.strip() or len(name.split()) != 1):
        raise ValueError('a protocol and the name of a model, such as "openai:NAME" or "anthropic:NAME"')
    return value


def _base_url(value: str) -> str:
    found = re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::(\d{1,5}))?(?:/[^\s?#@]*)?", value)
    if value and (found is None or int(found[1] or 1) not in range(1, 65536)):
        raise ValueError('an address without a name, a password or a query, such as "https://llm.example.com/v1"')
    return value


def _parameter_file(value: str) -> str:
    if "/" in value or not value.endswith(FORMATS) or value in FORMATS:
        raise ValueError('the name of a file that ends with .json, .yaml, .yml or .toml, such as "params.yaml"')
    return value


def _yielding(value: str) -> str:
    if value not in ("gpu-busy", "never") and not value.removeprefix("file:").strip() != value:
        raise ValueError('"gpu-busy", "never", or "file:" and a path, such as "file:/run/keep-off"')
    return value


def _channels(value: list[str]) -> list[str]:
    for place, channel in enumerate(value):
        if wrong := mistake(channel):
            raise ValueError(f"channel {place + 1} to be {wrong}")
        if channel in value[:place]:
            raise ValueError(f"each channel once, and not channel {place + 1} again")
    return value


Duration = Annotated[float, BeforeValidator(seconds), Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, BeforeValidator(seconds), Field(ge=0, allow_inf_nan=False)]  # 0: none
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Word = Annotated[str, Field(min_length=1)]
QuietHours = Annotated[str, AfterValidator(_quiet_hours)]


class Table(BaseModel):
    """A table of the file: unknown keys are mistakes, and a text is never taken for a number."""

    # The checkers are built when a file is first read, so that importing stays cheap.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class AlsoTable(Table):
    """[objective.also]"""

    metric: Annotated[Word, AfterValidator(_own_metric)]
    goal: Literal["min", "max"] = "min"


class ObjectiveTable(Table):
    """[objective]"""

    metric: Annotated[Word, AfterValidator(_own_metric)]
    goal: Literal["min", "max"] = "min"
    at: Literal["final", "best"] = "final"
    min_effect: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    guards: list[str] = []
    also: AlsoTable | None = None


class EvaluateTable(Table):
    """[evaluate]"""

    command: list[str] = []


class AgentTable(Table):
    """[agent]"""

    command: str | list[Word] = []
    model: Annotated[str, AfterValidator(_model)] = ""
    base_url: Annotated[str, AfterValidator(_base_url)] = ""
    api_key_env: Annotated[str, AfterValidator(_variable)] = ""
    price_per_million_input_usd: Amount | None = None
    price_per_million_output_usd: Amount | None = None
    max_output_tokens: Annotated[int, Field(ge=256, le=1_000_000)] = 8192
    show_kb: Annotated[int, Field(ge=1, le=10_000)] = 100
    timeout: Duration = 900.0
    turns: Count | None = None
    parallel: Annotated[int, Field(ge=1, le=64)] = 1
    price_per_call_usd: Amount | None = None
    subscription: bool = False
    money_usd: Amount | None = None
    env: list[Annotated[Word, AfterValidator(_variable)]] = []
    hosts: Annotated[list[Word], AfterValidator(_hosts)] = []
    readable: list[Word] = []
    writable: list[Word] = []
    check: list[Word] = []
    check_timeout: Duration = 60.0
    memory_gb: Amount = 8.0
    output_cap_mb: Amount = 10.0


class CheckTable(Table):
    """[[gate.suite]]"""

    name: Word
    command: Annotated[list[Word], Field(min_length=1)]
    require: Annotated[list[Word], Field(min_length=1)]


class SealedTable(Table):
    """[gate.sealed]"""

    command: Annotated[list[Word], Field(min_length=1)]
    metric: Word


class GateTable(Table):
    """[gate]"""

    suite: list[CheckTable] = []
    repeats: Annotated[int, Field(ge=3, le=1000)] = 5
    timeout: Duration = 600.0
    sealed: SealedTable | None = None


class HorizonTable(Table):
    """[horizon]"""

    steps: Count
    schedule: Literal["free", "tied"] = "free"


class ResumeTable(Table):
    """[resume]"""

    flag: str = ""
    env: Annotated[str, AfterValidator(_variable)] = ""
    trust: bool = False


class ParamsTable(Table):
    """[params]"""

    via: Literal["sdk", "flags", "hydra", "env", "file"] = "sdk"
    style: str = ""
    booleans: Literal["value", "switch", "pair"] = "value"
    variable: Word = "{NAME}"
    file: Annotated[Word, AfterValidator(_parameter_file)] = "params.json"
    flag: str = ""
    nested: bool = True
    none: str = ""


class BudgetTable(Table):
    """[budget]"""

    device_hours: Amount | None = None
    wall_hours: Amount | None = None
    trials: Count | None = None
    money_usd: Amount | None = None
    confirm_share: Share = 0.25


class PricesTable(Table):
    """[prices]"""

    device_hour_usd: Amount | None = None


class ProtectTable(Table):
    """[protect]"""

    read_only: Annotated[list[str], AfterValidator(_relative_globs)] = []


class SandboxTable(Table):
    """[sandbox]"""

    network: bool = False
    read: Annotated[list[str], AfterValidator(_places)] = []
    processes: Annotated[int, Field(ge=0)] = 2048
    memory_gb: Amount | None = None
    file_gb: Amount | None = None


class DataTable(Table):
    """[data]"""

    files: list[Word] = []


class CaptainTable(Table):
    """[captain]"""

    may: list[Authority] = ["retry_infrastructure", "pause", "stop_non_finite"]
    answer_within: Duration = 1800.0
    cool_down: Wait = 60.0


class DaysTable(Table):
    """A stretch of whole days; without `last` it is one day."""

    first: date
    last: date | None = None


class SwapTable(DaysTable):
    """[[oncall.swaps]]"""

    who: Word


class PersonTable(Table):
    """[oncall.people.NAME]"""

    zone: str = ""
    quiet_hours: QuietHours = ""
    country: str = ""
    away: Annotated[list[DaysTable], BeforeValidator(_stretches)] = []
    channels: Annotated[list[Word], AfterValidator(_channels)] = []
    lang: Literal["en", "ko"] | None = None


class OncallTable(Table):
    """[oncall]"""

    quiet_hours: QuietHours = ""
    zone: str = ""
    people: dict[Word, PersonTable] = {}
    order: list[Word] = []
    starts: date = date(2024, 1, 1)
    days: Annotated[int, Field(ge=1, le=366)] = 7
    handover: Annotated[str, AfterValidator(_time_of_day)] = "09:00"
    swaps: list[SwapTable] = []
    country: str = ""
    channels: Annotated[list[Word], AfterValidator(_channels)] = []
    sleep_worth: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 20.0
    remind_after: Wait = 1200.0
    dead_man_url: Annotated[str, AfterValidator(_address)] = ""
    dead_man_every: Duration = 300.0


class MetricsTable(Table):
    """[metrics]"""

    source: Literal["auto", "sdk", "stdout", "csv", "jsonl", "tensorboard", "wandb", "mlflow"] = "auto"
    pattern: str = ""
    path: str = ""
    step: str = ""


class NotifyTable(Table):
    """[notify]"""

    channels: Annotated[list[Word], AfterValidator(_channels)] = []
    lang: Literal["en", "ko"] = "en"


class PolicyTable(Table):
    """[policy]"""

    searcher: Word = "random"
    scheduler: Word = "halving"
    forecaster: Word = "auto"
    audit_share: Annotated[float, Field(ge=0, le=0.05)] = 0.05
    warm_start: bool = False
    eta: Annotated[int, Field(ge=2)] = 3
    min_steps: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_failure_rate: Share = 0.5
    failure_floor: Count = 6
    nominate: bool | None = None
    max_interruptions: Annotated[int, Field(ge=0)] = 2
    population: Annotated[int, Field(ge=4, le=1000)] = 8
    try_first: list[dict[Word, Any]] = []  # Any: read and checked by `searches`


class LaunchTable(Table):
    """[launch]"""

    executor: Word = "local"
    slots: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    per_device: Annotated[int, Field(ge=1, le=64)] = 1
    share_with_others: bool = False
    yield_to: Annotated[str, Field(alias="yield"), AfterValidator(_yielding)] = "gpu-busy"
    grace_s: Annotated[float, BeforeValidator(seconds), Field(ge=0, allow_inf_nan=False)] = 10.0
    grant: Duration = 600.0
    sample_every_s: Wait = 5.0
    checkpoint_every_s: Duration = 60.0
    eval_every: Count = 1
    keep_checkpoints: Count = 2
    keep_older: Annotated[int, Field(ge=0, le=64)] = 0
    keep_best: bool = True
    disk_cap_gb: Amount = 10.0
    quiet: Duration = 3600.0
    output_cap_mb: Amount = 1024.0
    env: dict[str, str] = {}


class StudyFile(Table):
    """The whole file."""

    command: Word
    name: str = ""
    folder: str = "."
    tier: Literal["opaque", "resumable", "cooperative"] | None = None
    constraints: list[str] = []
    among: str = ""
    objective: ObjectiveTable
    horizon: HorizonTable
    evaluate: EvaluateTable = EvaluateTable()
    agent: AgentTable = AgentTable()
    gate: GateTable = GateTable()
    search: dict[str, Any] = {}  # Any: read and checked by `searches`
    resume: ResumeTable = ResumeTable()
    params: ParamsTable = ParamsTable()
    budget: BudgetTable = BudgetTable()
    prices: PricesTable = PricesTable()
    protect: ProtectTable = ProtectTable()
    data: DataTable = DataTable()
    sandbox: SandboxTable = SandboxTable()
    captain: CaptainTable = CaptainTable()
    oncall: OncallTable = OncallTable()
    notify: NotifyTable = NotifyTable()
    metrics: MetricsTable = MetricsTable()
    policy: PolicyTable = PolicyTable()
    launch: LaunchTable = LaunchTable()


def keys_of(table: type[Table]) -> list[str]:
    """Name the keys of a table as they are written in the file."""
    return [field.alias or name for name, field in table.model_fields.items()]


def table_at(path: Sequence[str | int]) -> type[Table]:
    """Give the table that a key belongs to, of tables by name (`oncall.people.mina`) and of lists (`oncall.swaps[0]`) too."""
    table: type[Table] = StudyFile
    named = False  # the next part is a name that people choose, or a place in a list
    for part in path[:-1]:
        if named:
            named = False
            continue
        field = next((field for name, field in table.model_fields.items() if (field.alias or name) == part), None)
        if field is None:
            break
        classes = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        inner = next((one for one in classes if issubclass(one, Table)), None)
        if inner is None:
            break
        table, named = inner, not isinstance(field.annotation, type)
    return table


TABLES: dict[str, type[Table]] = {
    name: field.annotation
    for name, field in StudyFile.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Table)
}

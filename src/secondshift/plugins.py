"""Parts by name: searchers, schedulers and executors, ours and those of other packages. The only import-by-name."""

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple

from secondshift.errors import SecondshiftError
from secondshift.records.studies import Person, Rota, Study

if TYPE_CHECKING:  # only names of types: the study file is read without loading every record
    from secondshift.records.decisions import Decision
    from secondshift.records.rotas import Duty
    from secondshift.records.states import State

Decider = Callable[["State"], list["Decision"]]

SEARCHERS: Mapping[str, str] = {
    "random": "secondshift.policies.searchers.uniform:decide",
    "sobol": "secondshift.policies.searchers.sobol:decide",
    "grid": "secondshift.policies.searchers.grid:decide",
    "evolution": "secondshift.policies.searchers.evolution:decide",
    "model": "secondshift.policies.searchers.model:decide",
    "programs": "secondshift.policies.searchers.programs:decide",
}
SCHEDULERS: Mapping[str, str] = {
    "halving": "secondshift.policies.schedulers.halving:decide",
    "fifo": "secondshift.policies.schedulers.fifo:decide",
    "freezethaw": "secondshift.policies.schedulers.freezethaw:decide",
    "population": "secondshift.policies.schedulers.population:decide",
}
EXECUTORS: Mapping[str, str] = {
    "local": "secondshift.runtime.executors.local:LocalExecutor",
    "inline": "secondshift.runtime.executors.inline:InlineExecutor",
    "simulated": "secondshift.runtime.executors.simulated:SimulatedExecutor",
}
FORECASTERS: Mapping[str, str] = {
    "analogues": "secondshift.policies.forecasters.analogues:decide",
    "power_law": "secondshift.policies.forecasters.power_law:decide",
    "last_value": "secondshift.policies.forecasters.last_value:decide",
}
# On duty in every study, whatever searcher and scheduler it names.
OBSERVERS: Mapping[str, str] = {
    "symptoms": "secondshift.policies.captain.observing:decide",
    "failures": "secondshift.policies.captain.failures:decide",
    "verdicts": "secondshift.policies.evidence.verdicts:decide",
    "gate": "secondshift.policies.gate.judging:decide",
    "fitting": "secondshift.policies.forecasters.fitting:decide",
}
WATCH: Mapping[str, str] = {
    "answers": "secondshift.policies.captain.answers:decide",
    "captain": "secondshift.policies.captain.incidents:decide",
    "interruptions": "secondshift.policies.captain.interruptions:decide",
    "failure_rate": "secondshift.policies.captain.failure_rate:decide",
    "silence": "secondshift.policies.captain.silence:decide",
    "non_finite": "secondshift.policies.captain.non_finite:decide",
    "yielding": "secondshift.policies.captain.yielding:decide",
    "relieving": "secondshift.policies.oncall.relieving:decide",
    "paging": "secondshift.policies.oncall.paging:decide",
    "inbox": "secondshift.policies.evidence.inbox:decide",
    "turns": "secondshift.policies.searchers.turns:decide",
    "checking": "secondshift.policies.gate.ordering:decide",
    "promoting": "secondshift.policies.gate.promoting:decide",
    "accepting": "secondshift.policies.evidence.accepting:decide",
    "answering": "secondshift.policies.evidence.answering:decide",
    "canaries": "secondshift.policies.evidence.canaries:decide",
    "racing": "secondshift.policies.evidence.racing:decide",
    "asked": "secondshift.policies.searchers.asked:decide",
    "budgets": "secondshift.policies.schedulers.budgets:decide",
    "guards": "secondshift.policies.schedulers.guarding:decide",
    "auditing": "secondshift.policies.schedulers.auditing:decide",
}
# On duty where a person asks for something and no shift is open.
DESK = ("checking", "promoting", "accepting")
# How a rota is read: windows show it, and know no policy.
ROTA: Mapping[str, str] = {
    "duties": "secondshift.policies.oncall.rota:duties",
    "awake_at": "secondshift.policies.oncall.rota:awake_at",
    "by_turns": "secondshift.policies.oncall.rota:by_turns",
    "calendar": "secondshift.policies.oncall.calendars:calendar",
}
# What windows may ask of the evidence before a night.
FORESIGHT = "secondshift.policies.evidence.foresight:reaches"
QUOTE = "secondshift.policies.models.quoting:quote"
# What windows may ask of all curves of a study, looking back.
HINDSIGHT: Mapping[str, str] = {
    "counterfactual": "secondshift.policies.models.hindsight:counterfactual",
    "importance": "secondshift.policies.models.importance:importance",
}
RECKONING = "secondshift.policies.models.audits:reckoning"
REFEREE = "secondshift.runtime.refereeing:Referee"  # judges what trials left; loaded only where a study names an evaluator
FITS: Mapping[str, str] = {"outlook": "secondshift.policies.models.outlook"}  # what is fitted beside the loop
EXAMINER = "secondshift.runtime.examining:Examiner"  # looks at what a search left; loaded only where one calls an agent
CALLER = "secondshift.runtime.agents.calling:Caller"  # calls an agent; loaded only where one is called
BRIEFING = "secondshift.policies.searchers.briefing:brief"  # what an agent is told; loaded only where one is called
MEMORY = "secondshift.memory:Memory"  # what the loop remembers of points, for the deciders
GROUPS: Mapping[str, Mapping[str, str]] = {
    "secondshift.searchers": SEARCHERS,
    "secondshift.schedulers": SCHEDULERS,
    "secondshift.forecasters": FORECASTERS,
    "secondshift.executors": EXECUTORS,
}


class RotaReading(NamedTuple):
    """What can be asked of a rota; all times are UTC seconds."""

    duties: "Callable[[Rota, float, float], list[Duty]]"  # of a stretch of time, without a gap
    awake_at: "Callable[[Person, float], float]"  # when a person is next to be disturbed
    by_turns: "Callable[[Rota, float, float], list[Duty]]"  # of whole turns, each duty with the begin it always has
    calendar: Callable[..., str]  # duties as iCalendar


class Fit(NamedTuple):
    """How the settings of a model are fitted: a job and its memo are text, so that another process can do it."""

    job: "Callable[[State], str]"  # all that a fit needs; empty: there is nothing to fit
    quick: Callable[[str], bool]  # says of a job that it takes less than a process takes to start
    fitted: Callable[[str], str]  # the slow part: a job, and the memo of it
    unfitted: Callable[[str], str]  # the memo of a job that failed


class PluginUnknown(SecondshiftError):
    """No part of that name is installed. Choose one of the names listed, or install the package that brings it."""


class PluginBroken(SecondshiftError):
    """An installed part could not be imported. Repair or remove the package that brings it."""


def deciders(study: Study) -> list[tuple[str, Decider]]:
    """Give the deciders on duty, in a fixed order: captain, budgets, scheduler, searcher.

    Raises PluginUnknown for a searcher or scheduler that is not installed, PluginBroken for one that does not import.
    """
    found = [(name, _load(name, path)) for name, path in WATCH.items()]
    found.append((study.policy.scheduler, load("secondshift.schedulers", study.policy.scheduler)))
    found.append((study.policy.searcher, load("secondshift.searchers", study.policy.searcher)))
    return found


def observers(study: Study) -> list[tuple[str, Decider]]:
    """Give the deciders of the first stage, whose results are recorded before anything else is decided."""
    found = [(name, _load(name, path)) for name, path in OBSERVERS.items()]
    if name := study.policy.forecasts_with():
        found.append((name, load("secondshift.forecasters", name)))
    return found


def wants_curves(study: Study) -> bool:
    """Say whether a decider of this study asks for curves: its module says so by WANTS_CURVES."""
    modules = (sys.modules.get(decider.__module__) for _, decider in (*observers(study), *deciders(study)))
    return any(getattr(module, "WANTS_CURVES", False) for module in modules)


def desk() -> list[tuple[str, Decider]]:
    """Give the deciders that answer a person while no shift is open."""
    return [(name, _load(name, path)) for name, path in (("gate", OBSERVERS["gate"]), *((one, WATCH[one]) for one in DESK))]


def rota() -> RotaReading:
    """Give the functions that read a rota."""
    return RotaReading(**{name: _load(name, path) for name, path in ROTA.items()})


def foresight() -> "Callable[[State, float], tuple[Any, ...]]":  # Any: windows know no policy, and read its fields
    """Give the function that says how many ideas so many device-seconds settle, for effects of several sizes."""
    return _load("foresight", FORESIGHT)


def quoting() -> "Callable[[State], Any]":  # Any: windows know no policy, and read its fields
    """Give the function that says what the shift of a state may cost."""
    return _load("quote", QUOTE)


def hindsight(name: str) -> "Callable[[State], Any]":  # Any: windows know no policy, and read its fields
    """Give a function that looks back at a state that has its curves: `counterfactual` or `importance`."""
    return _load(name, HINDSIGHT[name])


def reckoning() -> "Callable[[State], Any]":  # Any: windows know no policy, and read its fields
    """Give the function that says what the audits of a study tell of its forecasts, and of what it stopped."""
    return _load("reckoning", RECKONING)


def executor(name: str) -> Callable[..., Any]:  # Any: the executor protocol lives in runtime
    """Give the class of an executor. Raises PluginUnknown, PluginBroken."""
    return load("secondshift.executors", name)


def fit(name: str) -> Fit:
    """Give the functions that fit the settings of a model, by the name under which they are remembered."""
    return Fit(**{field: _load(name, f"{FITS[name]}:{field}") for field in Fit._fields})


def referee() -> Callable[..., Any]:  # Any: the class lives in runtime, which knows what it is
    """Give the class that runs a study's evaluator."""
    return _load("referee", REFEREE)


def examiner() -> Callable[..., Any]:  # Any: the class lives in runtime, which knows what it is
    """Give the class that looks at the changes of a search for programs."""
    return _load("examiner", EXAMINER)


def caller() -> Callable[..., Any]:  # Any: the class lives in runtime, which knows what it is
    """Give the class that calls a study's agent."""
    return _load("caller", CALLER)


def briefing() -> Callable[..., str]:
    """Give the function that writes what an agent is told for a call."""
    return _load("briefing", BRIEFING)


def memory() -> Callable[..., Any]:  # Any: the class knows detectors, which the loop does not
    """Give the class that follows recorded points for the deciders."""
    return _load("memory", MEMORY)


def load(group: str, name: str) -> Any:  # Any: what a name stands for depends on the group
    """Import a part of a group by its name; ours come before those of other packages."""
    known = GROUPS[group]
    if name in known:
        return _load(name, known[name])
    for entry in entry_points(group=group, name=name):
        return _load(name, entry.value)
    raise PluginUnknown(unknown(group, name))


def names(group: str) -> tuple[str, ...]:
    """List the names of a group, ours first."""
    others = sorted({entry.name for entry in entry_points(group=group)} - GROUPS[group].keys())
    return (*GROUPS[group], *others)


def unknown(group: str, name: str) -> str:
    """Say that a group has no part of this name, which ones it has, and which may be meant."""
    kind = group.rpartition(".")[2].removesuffix("s")
    known = names(group)
    near = get_close_matches(name, known, n=1)
    meant = f" Is {near[0]!r} meant?" if near else ""
    return f"There is no {kind} named {name!r}. Expected one of {', '.join(known)}.{meant}"


def _load(name: str, path: str) -> Any:  # Any: see `load`
    module, _, attribute = path.partition(":")
    try:
        return getattr(sys.modules.get(module) or import_module(module), attribute)  # asked for many times in a tick
    except (ImportError, AttributeError) as error:
        raise PluginBroken(f"{name!r} stands for {path}, which could not be imported: {error}.") from error

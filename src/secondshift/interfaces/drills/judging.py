"""What a drill came to, read from its ledger alone: what was found and done, and how the run ended beside its twin."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from secondshift.interfaces.drills.kinds import KINDS, Kind
from secondshift.interfaces.drills.train_drill import HORIZON, onset_of
from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.states import State

SAME = 1.1  # times the twin's final value: as good as without the fault
SILENT = 1.5  # times the twin's: bad enough that somebody must have been asked


@dataclass(kw_only=True, slots=True)
class Row:
    """One faulty run."""

    kind: Kind
    case: int
    trial: str
    status: str
    ratio: float  # final objective over the twin's; infinite where it never came to one
    causes: tuple[str, ...] = ()  # of its incidents, in order
    remedies: tuple[tuple[str, str], ...] = ()  # remedy and outcome
    asked: int = 0
    found_after: int | None = None  # steps from the onset to the first incident
    executed: int = 0  # steps logged over all attempts
    kept: int = 0
    outcomes: list[str] = field(default_factory=list)

    @property
    def diagnosed(self) -> bool:
        """Whether a right cause was named."""
        return bool(self.kind.causes & set(self.causes))

    @property
    def mended(self) -> bool:
        """Whether it ended as good as its twin, by itself."""
        return self.status == "complete" and self.ratio <= SAME and not self.asked

    @property
    def silent(self) -> bool:
        """Whether it ended much worse, and nobody was told."""
        return self.ratio > SILENT and not self.asked and not self.outcomes

    @property
    def as_it_should(self) -> bool:
        """Whether it came to what this kind should come to."""
        said = " ".join(self.outcomes)
        match self.kind.ends:
            case "mended":
                return self.mended
            case "asked":
                return self.asked > 0
            case "not tried again":
                return self.status == "failed" and "not tried again" in said
            case "given up":
                return self.status == "failed"
            case "ended at its best":
                return self.diagnosed and self.status == "complete" and ("stop_early", "worked") in self.remedies and not self.asked
            case "noted":
                return self.diagnosed and self.status == "complete"


def judged(ledger: Ledger) -> list[Row]:
    """One row for each faulty run of a night of drills, in the order of its trials."""
    state, incidents, executed = _read(ledger)
    horizon = state.study.horizon_steps if state.study is not None else HORIZON
    twins = {_case(state, trial): _final(state, trial) for trial in state.trials if _fault(state, trial) == "none"}
    rows = []
    for name, trial in state.trials.items():
        kind = KINDS.get(_fault(state, name))
        if kind is None:
            continue
        own = [incident for incident in incidents.values() if incident.subject == name]
        twin, final = twins.get(_case(state, name), math.nan), _final(state, name)
        first = min((incident.step for incident in own), default=None)
        rows.append(Row(
            kind=kind, case=_case(state, name), trial=name, status=trial.status,
            ratio=final / twin if math.isfinite(final) else math.inf, causes=tuple(incident.cause for incident in own),
            remedies=tuple((act.remedy, act.outcome) for incident in own for act in incident.acts),
            asked=sum(len(incident.questions) for incident in own),
            found_after=None if first is None else first - onset_of(_case(state, name), horizon),
            executed=executed.get(name, 0), kept=trial.steps_done,
            outcomes=[incident.closed for incident in own if incident.closed],
        ))  # fmt: skip
    return rows


def _read(ledger: Ledger) -> tuple[State, dict[str, Incident], dict[str, int]]:
    """The state at the end, every incident as it stood last, and the steps that each trial has logged."""
    state, incidents, executed = State(), {}, {}
    for event in ledger.read():
        state = fold(state, [event])
        match event.payload:
            case facts.IncidentOpened(incident=one) | facts.IncidentAmended(incident=one) if one.cause:
                incidents[one.id] = one
            case facts.IncidentClosed(incident=name, outcome=outcome) if name in incidents:
                incidents[name] = replace(incidents[name], closed=outcome)
            case facts.MetricsLogged(trial=trial, metrics=metrics) if "loss" in metrics:
                executed[trial] = executed.get(trial, 0) + metrics["loss"].points
    return state, incidents, executed


def _fault(state: State, trial: str) -> str:
    return str(state.candidates[state.trials[trial].candidate].params.get("fault", ""))


def _case(state: State, trial: str) -> int:
    return int(state.candidates[state.trials[trial].candidate].params.get("case", 0))


def _final(state: State, trial: str) -> float:
    known, study = state.trials[trial], state.study
    value = known.objective(study.objective) if study is not None and known.status == "complete" else None
    return math.nan if value is None else value


def goodput(rows: Iterable[Row]) -> float:
    """Steps kept over steps executed, over all rows."""
    counted = [row for row in rows if row.executed]
    executed = sum(row.executed for row in counted)
    return sum(min(row.kept, row.executed) for row in counted) / executed if executed else math.nan

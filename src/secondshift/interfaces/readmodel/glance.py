"""The night at a glance: what one look in passing should show, and nothing that needs reading."""

from dataclasses import dataclass

from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.incidents import what
from secondshift.interfaces.readmodel.objectives import current, ranked
from secondshift.interfaces.readmodel.overview import Holder, engine_line, finite, shift_line, trial_row, upcoming
from secondshift.records.answers import waiting
from secondshift.records.nights import Statement
from secondshift.records.states import State

MOST = 5  # trials, and things that need a person
TELLING = ("status.next_ending", "status.next_all_done")  # of what comes next; the rest stands in `status`


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One trial that runs."""

    trial: str
    progress: float  # 0 to 1
    value: float | None  # of the objective, as it stands; None: none yet, or none that is finite
    left_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """What a study is doing, in a few lines."""

    study: str
    metric: str
    mood: str  # asks (a person is needed), works, rests
    needs: tuple[Statement, ...]
    lines: tuple[Statement, ...]
    running: tuple[Bar, ...]
    more: int  # trials that run beside those shown
    spent_share: float | None  # of the device-time budget; None: no cap


def glance(state: State, holder: Holder, *, now: float, fallback: str = "") -> Glance:
    """Look at a study. `now` is UTC seconds, `fallback` a name for it where none is recorded."""
    running = sorted(state.running(), key=lambda t: -t.logged_step)
    needs = tuple(_needs(state))
    works = holder.life in ("alive", "remote") and state.shift is not None
    lines = [*_best(state), *_counts(state), shift_line(state) if works else engine_line(state, holder)]
    if works:
        lines += [line for line in upcoming(state, 0, now) if line.key in TELLING]
    return Glance(
        study=one_line(state.study.name if state.study else fallback, limit=80),
        metric=one_line(state.study.objective.metric if state.study else "", limit=60),
        mood="asks" if needs else "works" if works else "rests",
        needs=needs,
        lines=tuple(lines),
        running=tuple(_bar(state, trial.id, now) for trial in running[:MOST]),
        more=max(0, len(running) - MOST),
        spent_share=_share(state),
    )


def _needs(state: State) -> list[Statement]:
    """What waits for a person: each open question by its incident."""
    asking = [incident for incident in state.incidents.values() if waiting(state, incident) is not None]
    told = []
    for incident in asking[:MOST]:
        known = what(incident)
        values = {"incident": incident.id, "subject": incident.subject, **known.values}
        told.append(Statement(key="glance.asks" if incident.cause else "glance.asks_plain", values=values))
    if len(asking) > MOST:
        told.append(Statement(key="needs.more", values={"n": len(asking) - MOST}))
    return told


def _best(state: State) -> list[Statement]:
    """The best complete trial: seen, not proved."""
    if state.study is None:
        return []
    complete = [trial for trial in current(state) if trial.status == "complete"]
    order = ranked(state.study.objective, complete)
    if not order:
        return []
    value = order[0].objective(state.study.objective)
    assert value is not None, "ranked trials have a value"
    values = {"trial": order[0].id, "metric": state.study.objective.metric, "value": value, "n": len(order)}
    return [Statement(key="glance.best", values=values)]


def _counts(state: State) -> list[Statement]:
    """How many trials there are of each kind."""
    if not state.trials:
        return []
    kinds = ("complete", "paused", "stopped", "failed", "running", "queued")
    counts = {kind: state.statuses.get(kind, 0) for kind in kinds}
    return [Statement(key="found.counts", values={"n": sum(counts.values()), **counts})]


def _bar(state: State, name: str, now: float) -> Bar:
    row = trial_row(state, state.trials[name], now)
    value = row["last"]
    return Bar(trial=name, progress=row["progress"], value=value if finite(value) else None, left_s=row["eta_s"])


def _share(state: State) -> float | None:
    cap = state.study.budget.device_s if state.study else None
    if not cap:
        return None
    return (state.spend.settled_device_s + state.spend.reserved_device_s) / cap

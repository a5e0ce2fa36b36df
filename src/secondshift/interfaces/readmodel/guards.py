"""How trials stand with the guards of their study, for every window that shows one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.readmodel.objectives import current, names, ordered, ranked
from secondshift.records.guards import Breach, Guard, guards_of, standing
from secondshift.records.nights import Statement
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial

if TYPE_CHECKING:  # windows nest deep; only names of types are needed
    from secondshift.records.states import State

MOST = 6  # trials told one by one


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A sentence about a guard, and the trials it is about."""

    statement: Statement
    trials: tuple[Trial, ...]
    guard: Guard


def told(state: State, trials: Sequence[Trial]) -> Iterator[Told]:
    """What broke a guard, beginning with what would have been the best; then the baseline; then what nobody checked."""
    study = state.study
    if study is None or not study.objective.guards:
        return
    objective = study.objective
    breaking = [(t, standing(objective, t).broken[0]) for t in trials if standing(objective, t).broken]
    plain = [(t, b) for t, b in breaking if is_plain(state, t)]
    for guard in guards_of(objective):
        here = [(t, b) for t, b in breaking if b.guard == guard and not is_plain(state, t)]
        yield from _broken(objective, guard, here, ranked(objective, [t for t in trials if t.status == "complete"]))
        for trial, breach in [pair for pair in plain if pair[1].guard == guard][:1]:
            values: dict[str, Any] = {"trial": trial.id, **_values(breach)}
            yield Told(statement=Statement(key="guards.baseline", values=values), trials=(trial,), guard=guard)
    yield from _unchecked(objective, [t for t in trials if t.status == "complete"])


def _broken(
    objective: Objective, guard: Guard, here: list[tuple[Trial, Breach]], best: list[Trial]
) -> Iterator[Told]:
    """The trials that a guard keeps from being the best, and the others that break it."""
    least = _loss(objective, best[0]) if best else float("inf")
    complete = ordered(objective, [t for t, _ in here if t.status == "complete"])
    better = [t for t in complete if best and _loss(objective, t) < least]
    rest = [t for t, _ in here if t not in better]
    of = {t.id: b for t, b in here}
    for key, group in (("guards.better", better), ("guards.broken", rest)):
        if group:
            listed, leader = _listed(objective, group, of), best[0].id if best else ""
            values = {"n": len(group), "guard": guard.text, "trial": leader, "broken_by": listed}
            yield Told(statement=Statement(key=key, values=values), trials=tuple(group), guard=guard)


def _loss(objective: Objective, trial: Trial) -> float:
    value = trial.objective(objective)
    return objective.loss(value) if value is not None else float("inf")


def _listed(objective: Objective, trials: Sequence[Trial], breaches: dict[str, Breach]) -> str:
    """Each trial with its result and how far from the limit it is: t3 (loss 0.21; peak_mem_gb 23.4, +1.4)."""
    said = []
    for trial in trials[:MOST]:
        breach, value = breaches[trial.id], trial.objective(objective)
        result = f"{objective.metric} {number(value)}; " if value is not None else ""
        far = ("+" if breach.guard.from_above() else "−") + number(breach.over())
        said.append(f"{trial.id} ({result}{breach.guard.metric} {number(breach.value)}, {far})")
    return ", ".join(said) + (f" +{len(trials) - MOST}" if len(trials) > MOST else "")


def _values(breach: Breach) -> dict[str, Any]:
    side = "guard_high" if breach.guard.from_above() else "guard_low"
    return {"guard": breach.guard.text, "value": breach.value, "over": breach.over(), "side_word": side}


def _unchecked(objective: Objective, complete: list[Trial]) -> Iterator[Told]:
    """The guards of which complete trials say nothing."""
    for guard in guards_of(objective):
        unknown = [t for t in complete if guard in standing(objective, t).unknown]
        if not unknown:
            continue
        values = {"guard": guard.text, "metric": guard.metric, "n": len(unknown), "of": len(complete), "trials": names(unknown)}
        key = "guards.never_logged" if len(unknown) == len(complete) else "guards.not_checked"
        yield Told(statement=Statement(key=key, values=values), trials=tuple(unknown), guard=guard)


def is_plain(state: State, trial: Trial) -> bool:
    """Say whether a trial ran with the default parameters."""
    return state.has_defaults(trial.candidate)


def lines(state: State) -> list[Statement]:
    """The same for a window that shows the whole study as it is now."""
    return [one.statement for one in told(state, current(state))]


def rows(state: State, trial: Trial) -> list[dict[str, Any]]:
    """Each guard of the study with how one trial stands, as a document; a value that is not known is None."""
    if state.study is None:
        return []
    objective, found = state.study.objective, standing(state.study.objective, trial)
    broken = {breach.guard: breach for breach in found.broken}
    said = []
    for guard in guards_of(objective):
        word = "broken" if guard in broken else "unknown" if guard in found.unknown else "ok"
        worst = guard.worst(trial.metrics.get(guard.metric))
        over = broken[guard].over() if guard in broken else None
        said.append({"guard": guard.text, "metric": guard.metric, "standing": word, "worst": worst, "over": over})
    return said

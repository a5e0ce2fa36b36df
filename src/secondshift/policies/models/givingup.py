"""Which trials a scheduler has given up: paused or stopped, and not to go on unless others disappoint."""

import math
from dataclasses import dataclass

from scipy.special import ndtr

from secondshift.policies.models.audits import OUTLOOK, TAIL, widening
from secondshift.policies.models.guarding import barred
from secondshift.policies.models.outlook import Outlook, outlook
from secondshift.policies.models.resuming import cut_short, may_resume
from secondshift.policies.models.standings import reached, rung_of, rungs, standings
from secondshift.policies.models.thawing import HOPELESS, SCHEDULER, bench
from secondshift.records.forecasts import Forecast
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenUp:
    """One that was given up, and what is expected of it."""

    trial: str
    chance: float = math.nan  # to beat the best; NaN: nobody has said
    forecast: Forecast | None = None
    widened: float = 1.0


def given_up(state: State, study: Study) -> list[GivenUp]:
    """All that could be audited now, oldest first; none under a scheduler that gives nothing up.

    Freeze-thaw has given up what it would not thaw any more; halving, what waits below the cut of its rung; both, what
    they stopped because it cannot pause. What was helped, breaks a guard or never gave a finite value is left out.
    """
    stopped = [_known(state, state.trials[name]) for name in state.outranked if _may_be(state, study, state.trials[name])]
    stopped = [one for one in stopped if state.trials[one.trial].status == "stopped"]
    waiting = _hopeless(state, study) if study.policy.scheduler == SCHEDULER else []
    if study.policy.scheduler == "halving":
        waiting = _below_the_cut(state, study)
    return stopped + waiting


def _may_be(state: State, study: Study, trial: Trial) -> bool:
    value = trial.objective(study.objective)
    if trial.revision != study.revision or trial.pair >= 0 or trial.id in state.audits or not trial.unaided():
        return False
    if value is None or not math.isfinite(value) or barred(state, trial):
        return False
    return trial.candidate in state.candidates and not state.has_defaults(trial.candidate)


def _known(state: State, trial: Trial) -> GivenUp:
    """What the newest recorded forecast says of a trial."""
    said = next((one for one in reversed(state.forecasts.get(trial.id, ())) if not one.abstains), None)
    return GivenUp(trial=trial.id, chance=said.chance if said else math.nan, forecast=said)


def _hopeless(state: State, study: Study) -> list[GivenUp]:
    waiting = [trial for trial in bench(state, study).waiting if _may_be(state, study, trial)]
    view = outlook(state) if waiting else None
    if view is None:
        return []
    known, factor = [trial for trial in waiting if trial.id in view.rows], widening(state)
    mean, spread = view.of([trial.id for trial in known], [study.horizon_steps] * len(known))
    spread = spread * factor
    chances = ndtr((view.seen.best - mean) / spread)
    return [
        GivenUp(trial=trial.id, chance=float(chance), widened=factor,
                forecast=_expected(study, view, trial, float(middle), float(width), float(chance)))
        for trial, middle, width, chance in zip(known, mean, spread, chances, strict=True) if chance < HOPELESS
    ]  # fmt: skip


def _expected(study: Study, view: Outlook, trial: Trial, mean: float, spread: float, chance: float) -> Forecast:
    """The outlook on one trial as a forecast in the metric's own unit."""
    ends = [view.seen.scale.back(mean + side * TAIL * spread) for side in (-1, 0, 1)]
    low, middle, high = ends if study.objective.goal == "min" else [-end for end in reversed(ends)]
    return Forecast(
        trial=trial.id, step=reached(trial), horizon=study.horizon_steps, low=low, middle=middle, high=high, chance=chance,
        curves=len(view.seen.own()), by=OUTLOOK,
    )  # fmt: skip


def _below_the_cut(state: State, study: Study) -> list[GivenUp]:
    ladder, found = rungs(study), list[GivenUp]()
    table = standings(state, study, ladder)
    above = [set(rung.best(len(rung.trials) // study.policy.eta)) for rung in table]
    for trial in state.waiting("paused"):
        at = rung_of(ladder, reached(trial))
        waits = at >= 0 and not cut_short(study, trial) and may_resume(study, trial)
        if waits and trial.id not in above[at] and _may_be(state, study, trial):
            found.append(_known(state, trial))
    return found

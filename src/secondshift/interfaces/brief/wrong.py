"""What the forecasts of a study were worth, as its brief says it: how many ends lay where they were said to lie."""

from collections.abc import Iterable, Sequence

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.forecasts import Tested, at_a_quarter, put_to_test
from secondshift.interfaces.readmodel.objectives import current, names
from secondshift.records.forecasts import COVERED
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Objective

FEW = 10  # tested forecasts, below which no share is given


def wrong(night: Trace, state: State, objective: Objective) -> Iterable[Statement]:
    """Of the forecasts made at a quarter of the way, how many held, and the worst miss; nothing where none was ever made."""
    trials = [trial for trial in current(state) if trial.id in night.trials]
    made = [trial for trial in trials if at_a_quarter(state, trial.id) is not None]
    found = put_to_test(state, objective, trials)
    if not made:
        yield from _silent(night, state)
        return
    if not found:
        facts = tuple(seq for trial in made for seq in _made(night, trial.id))
        yield Statement(key="wrong.untested", values={"n": len(made), "trials": names(made)}, facts=facts)
        return
    yield _held(night, found, "wrong.held" if len(found) >= FEW else "wrong.held_few")
    here = _closed_here(night)
    tonight = [one for one in found if one.forecast.trial in here]
    if tonight and len(tonight) < len(found):
        yield _held(night, tonight, "wrong.held_tonight" if len(tonight) >= FEW else "wrong.held_tonight_few")
    if found[0].off() > 0:
        yield _worst(night, found[0], objective)
    ended = [trial for trial in made if trial.status == "complete"]
    if len(ended) < len(made):
        facts = tuple(seq for trial in made if trial not in ended for seq in _made(night, trial.id))
        yield Statement(key="wrong.chosen", values={"n": len(made) - len(ended), "of": len(made)}, facts=facts)


def _held(night: Trace, found: Sequence[Tested], key: str) -> Statement:
    held = sum(one.held for one in found)
    values = {"held": held, "n": len(found), "covered_share": COVERED, "held_share": held / len(found)}
    facts = tuple(seq for one in found for seq in _facts(night, one))
    return Statement(key=key, values=values, facts=facts)


def _worst(night: Trace, one: Tested, objective: Objective) -> Statement:
    said = one.forecast
    values = {
        "trial": said.trial, "low": said.low, "high": said.high, "step": said.step, "value": one.value,
        "metric": objective.metric,
    }  # fmt: skip
    return Statement(key="wrong.worst", values=values, facts=_facts(night, one))


def _silent(night: Trace, state: State) -> Iterable[Statement]:
    """Where a forecaster spoke, but only to abstain, or of other moments: it was never wrong because it was never tested."""
    spoken = [trial for trial in current(state) if state.forecasts.get(trial.id) and trial.id in night.trials]
    if spoken:
        facts = tuple(seq for trial in spoken for seq in _made(night, trial.id))
        yield Statement(key="wrong.silent", values={"n": len(spoken), "trials": names(spoken)}, facts=facts)


def _made(night: Trace, trial: str) -> tuple[int, ...]:
    return tuple(night.trials[trial].forecasts.values())


def _facts(night: Trace, one: Tested) -> tuple[int, ...]:
    of = night.trials[one.forecast.trial]
    return tuple(s for s in (of.forecasts.get(one.forecast.step, 0), of.final, *of.ended[-1:]) if s)


def _closed_here(night: Trace) -> set[str]:
    """The trials whose end was recorded in this shift."""
    return {name for name, of in night.trials.items() if any(seq > night.started for seq in of.ended[-1:])}

"""What a brief says of imported runs: apart from the study's own trials, and never without their mark."""

from collections.abc import Iterable

from secondshift.interfaces.readmodel.objectives import names, ranked, written
from secondshift.records.nights import Statement
from secondshift.records.pastruns import Imported
from secondshift.records.states import State

MOST_FACTS = 20  # of many imported runs that the sentence on all of them cites


def before(state: State) -> list[Imported]:
    """The imported runs of the study's present revision, oldest import first."""
    revision = state.study.revision if state.study else 1
    return [run for run in state.imported.values() if run.trial.revision == revision]


def imported(state: State) -> Iterable[Statement]:
    """How many there are from each source, and the best of them."""
    past = before(state)
    if state.study is None or not past:
        return
    for source in dict.fromkeys(run.source for run in past):
        here = [run for run in past if run.source == source]
        counts = {status: sum(r.trial.status == status for r in here) for status in ("complete", "stopped", "failed")}
        values = {"n": len(here), "source": source, "trials": names([run.trial for run in here]), **counts}
        yield Statement(key="found.imported", values=values, facts=tuple(run.seq for run in here[:MOST_FACTS]))
    objective = state.study.objective
    best = ranked(objective, [run.trial for run in past if run.trial.status == "complete"])
    if best:
        run = state.imported[best[0].id]
        values = {
            "trial": best[0].id,
            "metric": objective.metric,
            "value": best[0].objective(objective) or 0.0,
            "seed": str(best[0].seed) if run.seed_known else "?",
            "params": written(best[0].params) or "—",
        }
        yield Statement(key="found.imported_best", values=values, facts=(run.seq,))

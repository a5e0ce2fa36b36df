"""What broke a guard of the study, what would have been the best, and what nobody checked; with the facts behind each."""

from collections.abc import Iterable
from dataclasses import replace

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.guards import told
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Trial


def guards(night: Trace, state: State, seen: list[Trial]) -> Iterable[Statement]:
    """One sentence for each guard that is broken, and for each that was not checked; nothing where a study has none."""
    for one in told(state, seen):
        found = [night.trials[trial.id] for trial in one.trials if trial.id in night.trials]
        worst = {of.guards[one.guard.text][0] for of in found if one.guard.text in of.guards}
        facts = sorted(worst | {seq for of in found for seq in of.outcome()})
        yield replace(one.statement, facts=tuple(facts) or ((night.study,) if night.study else ()))

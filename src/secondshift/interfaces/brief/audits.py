"""What training some of those to their end that were given up has shown, as the brief says it."""

import math
from collections.abc import Iterable

from secondshift import plugins
from secondshift.interfaces.brief.trace import Trace
from secondshift.records.forecasts import COVERED
from secondshift.records.nights import Statement
from secondshift.records.states import State

FEW = 5  # audits with a forecast, below which nothing is said of all trials
WIDER = 1.05  # factors below it are not worth a sentence


def audited(night: Trace, state: State) -> Iterable[Statement]:
    """How trials ended that were given up and drawn by chance; nothing where none was drawn."""
    ours = [one for one in state.audits.values() if state.study is not None and one.revision == state.study.revision]
    if not ours:
        return
    found, facts = plugins.reckoning()(state), tuple(night.audits)
    counts = {"n": found.ended, "given_up": found.given_up, "better": found.better, "regret": found.regret}
    if found.ended:
        yield Statement(key="audit.better" if found.better else "audit.none_better", values=counts, facts=facts)
    if found.tested:
        values = {"n": found.tested, "held_share": found.held, "covered_share": COVERED}
        yield Statement(key="audit.held", values=values, facts=facts)
    if math.isfinite(found.coverage) and found.tested >= FEW:
        values = {
            "own": found.own_tested, "own_share": found.own_held, "given_up": found.given_up,
            "coverage_share": found.coverage, "covered_share": COVERED,
        }  # fmt: skip
        yield Statement(key="audit.coverage", values=values, facts=facts)
    if found.widened >= WIDER:
        yield Statement(key="audit.widened", values={"factor": found.widened}, facts=facts)
    for key, outcome in (("audit.going", ""), ("audit.cut", "cut")):
        names = [one.trial for one in ours if one.outcome == outcome]
        if names:
            yield Statement(key=key, values={"n": len(names), "trials": ", ".join(names)}, facts=facts)

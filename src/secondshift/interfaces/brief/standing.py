"""What the doctor did not prove of a script, as the brief says it."""

from collections.abc import Iterable

from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.ledger.attempts import trial_of
from secondshift.records.events import AttemptOrdered, CheckpointSaved
from secondshift.records.nights import Statement
from secondshift.records.states import State


def not_proved(night: Trace, state: State) -> Iterable[Statement]:
    """That the script resumes, that its own checkpoints are of the steps shown, and all that the doctor found wrong."""
    study = state.study
    if study is None:
        return
    facts = (night.study,) if night.study else ()
    if study.proof in ("missing", "stale", "failed", "trusted"):
        values = {"tier": study.tier_offered()}
        yield Statement(key=f"unproven.tier_{study.proof}", values=values, facts=facts)
    known = sentences("en")
    told = [code for code in study.faults if f"unproven.fault_{code}" in known]
    for code in told:
        yield Statement(key=f"unproven.fault_{code}", values={"metric": study.objective.metric}, facts=facts)
    if others := [code for code in study.faults if code not in told]:
        yield Statement(key="unproven.fault", values={"codes": ", ".join(others)}, facts=facts)
    yield from _own_checkpoints(night)


def _own_checkpoints(night: Trace) -> Iterable[Statement]:
    own = {saved.fact.checkpoint.trial for saved in night.of(CheckpointSaved) if saved.fact.checkpoint.own()}
    resumed = [e for e in night.of(AttemptOrdered) if e.fact.from_step and trial_of(e.fact.attempt) in own]
    if resumed:
        yield Statement(
            key="unproven.own_checkpoints", values={"n": len(resumed)}, facts=tuple(e.seq for e in resumed)
        )

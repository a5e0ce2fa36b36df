"""Which stream is drawn around an incident."""

from interfaces.nights import Night
from secondshift.interfaces.brief.streams import surroundings
from secondshift.ledger.fold import fold
from secondshift.records.incidents import Finding, Incident
from secondshift.records.states import State


def found(stream: str, confidence: float) -> Finding:
    return Finding(symptom="spike", stream=stream, step=6, since=5, lasted=1, confidence=confidence, evidence={})


def test_the_stream_of_the_surest_finding_is_drawn_and_not_of_the_first_one() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}))
    for metric in ("grad_norm", "loss"):
        night.log(attempt, [1.0] * 9, metric=metric)
    ledger = night.record()
    incident = Incident(id="i1", subject="t1", finding="", since=5, step=6, findings=(found("grad_norm", 0.5), found("loss", 0.98)))
    drawn = surroundings(ledger, fold(State(), list(ledger.read())), incident)
    assert drawn is not None and drawn.metric == "loss"

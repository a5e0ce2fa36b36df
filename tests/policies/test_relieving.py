"""A hand-over and a swap are requests: recorded once, with who asked, and then the rota is another."""

from dataclasses import replace
from datetime import date, time
from pathlib import Path

import pytest

from secondshift.policies.oncall.relieving import decide
from secondshift.policies.oncall.rota import duties, on_call
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.studies import Cover, Oncall, Person, Rota
from secondshift.runtime.spool import put_request
from simulated_nights import EVENING, Night, study

HOUR = 3600.0
ROTA = Rota(
    people={"mina": Person(name="mina"), "jonas": Person(name="jonas")}, order=("mina", "jonas"), days=7,
    starts=date(2027, 1, 11), handover=time(9), zone="UTC",
)  # fmt: skip
STUDY = study(oncall=Oncall(rota=ROTA))  # the evening is Friday, 15 January 2027, 08:00 UTC


@pytest.fixture
def night(tmp_path: Path) -> Night:
    for name in ("spool/tmp", "attempts", "trials"):
        (tmp_path / name).mkdir(parents=True)
    night = Night(tmp_path, STUDY)
    night.engine.begin(EVENING + 8 * HOUR)
    return night


def test_a_hand_over_begins_now_ends_with_the_duty_and_keeps_its_note(night: Night) -> None:
    request = put_request(night.folder, "hand-over", {"to": "jonas", "note": "look at i3"}, "mina")
    night.engine.tick()
    (covered,) = night.payloads(facts.DutyCovered)
    cover = covered.cover
    assert (cover.who, cover.asked_by, cover.note, cover.id, cover.why) == ("jonas", "mina", "look at i3", request, "hand-over")
    state = night.engine.state
    assert on_call(state.rota(), cover.begins) == ("jonas", "hand-over", "mina")
    assert cover.begins == pytest.approx(EVENING, abs=5) and cover.ends == 1_800_262_800.0  # Monday, 09:00
    found = [(d.person, d.why) for d in duties(state.rota(), EVENING - 1, cover.ends + 1)]
    assert found == [("mina", "turn"), ("jonas", "hand-over"), ("jonas", "turn")]
    (made,) = (d.decision for d in night.payloads(facts.DecisionMade) if d.decision.verb == "cover")
    assert made.source == "person" and made.based_on == (request,) and "look at i3" in made.reason


def test_the_same_request_counts_once_although_the_engine_dies_and_sees_it_again(night: Night) -> None:
    request = put_request(night.folder, "hand-over", {"to": "jonas"}, "mina")
    kept = (night.folder / "spool" / f"{request}.json").read_bytes()
    night.engine.tick()
    (night.folder / "spool" / f"{request}.json").write_bytes(kept)
    night.take_over(night.engine.state)
    night.engine.tick()
    assert len(night.payloads(facts.DutyCovered)) == 1 and len(night.engine.state.covers) == 1


def test_the_same_cover_recorded_twice_counts_once(night: Night) -> None:
    cover = Cover(begins=EVENING, ends=EVENING + HOUR, who="jonas", id="r1")
    night.engine.record([facts.DutyCovered(cover=cover, decision="d1")])
    night.engine.record([facts.DutyCovered(cover=cover, decision="d1")])
    assert night.engine.state.covers == (cover,)


def test_a_swap_lasts_from_handover_to_handover(night: Night) -> None:
    put_request(night.folder, "swap", {"to": "jonas", "first": "2027-01-16", "last": "2027-01-17"}, "mina")
    night.engine.tick()
    found = duties(night.engine.state.rota(), EVENING, EVENING + 4 * 24 * HOUR)
    assert [(d.person, d.why) for d in found] == [("mina", "turn"), ("jonas", "swap"), ("jonas", "turn")]
    assert found[1].begins == 1_800_090_000.0  # Saturday, 09:00


@pytest.mark.parametrize(
    ("verb", "args", "why"),
    [
        ("hand-over", {"to": "bob"}, "nobody of [oncall] is called 'bob'; there are mina, jonas"),
        ("hand-over", {}, "nobody of [oncall] is called ''"),
        ("swap", {"to": "jonas", "first": "2020-01-01"}, "is over"),
        ("swap", {"to": "jonas", "first": "tomorrow"}, "is over"),
        ("swap", {"to": "jonas"}, "is over"),
    ],
)
def test_what_cannot_be_is_answered_with_a_reason_and_changes_nothing(night: Night, verb: str, args: dict, why: str) -> None:
    put_request(night.folder, verb, args, "mina")
    night.engine.tick()
    (dropped,) = (d for d in night.payloads(facts.DecisionDropped) if d.decision.verb == "cover")
    assert why in dropped.reason
    assert not night.engine.state.covers and not night.engine.state.requests


def test_without_people_a_hand_over_is_refused_and_nothing_breaks() -> None:
    request = facts.RequestReceived(id="r1", verb="hand-over", who="mina", args={"to": "jonas"})
    state = State(study=replace(STUDY, oncall=Oncall()), requests={"r1": request}, now_s=EVENING)
    (decision,) = decide(state)
    assert decision.covers[0].begins == decision.covers[0].ends

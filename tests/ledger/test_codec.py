import json
import math
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import LedgerDamaged, LedgerNewer
from secondshift.ledger.attempts import number_of, trial_of
from secondshift.ledger.batches import clean
from secondshift.ledger.codec import chain, continued, decode, encode
from secondshift.ledger.subjects import subject_of
from secondshift.records.events import (
    KINDS,
    VERSION,
    ChargeReserved,
    Event,
    IncidentClosed,
    ParamsResolved,
    TickDecided,
)
from tests.ledger.payloads import PAYLOADS


def same(a: object, b: object) -> bool:
    """Compare records; NaN is like NaN, and True is not 1."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fact_comes_back_as_it_went_in(kind: str) -> None:
    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(PAYLOADS[kind])
    def comes_back(payload) -> None:
        found, text = encode(payload)
        assert found == kind
        again = decode(kind, VERSION, text)
        assert same(again, payload)
        # Once more gives the same line, or a replayed night would have another digest than the live one.
        assert encode(again)[1] == text
        assert isinstance(subject_of(payload), str)
        json.loads(text, parse_constant=pytest.fail)

    comes_back()


def test_numbers_and_mappings_of_other_libraries_are_written_plainly() -> None:
    fact = ParamsResolved(
        trial="t1", params=MappingProxyType({"lr": np.float64(0.1), "n": np.int64(3), "x": np.float32("nan")})
    )
    found = decode(*_line(fact))
    assert isinstance(found, ParamsResolved)
    assert (found.params["lr"], found.params["n"]) == (0.1, 3)
    assert math.isnan(float(found.params["x"]))


def test_a_whole_number_in_a_field_of_seconds_has_the_same_digest_live_and_replayed() -> None:
    live = decode(*_line(ChargeReserved(charge="t1.a1", trial="t1", device_s=600)))
    replayed = decode(*_line(live))
    assert chain("", [_event(live)]) == chain("", [_event(replayed)])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"incident": 3, "outcome": "x"}', '{"incident": "i1"}', "null", "garbage"]
)
def test_a_line_that_is_not_a_fact_is_damage(text: str) -> None:
    with pytest.raises(LedgerDamaged, match="Event 7"):
        decode("incident.closed", VERSION, text, seq=7)


def test_a_decision_that_lost_its_reason_is_damage() -> None:
    with pytest.raises(LedgerDamaged, match="no reason"):
        decode("decision.made", VERSION, '{"decision":{"verb":"stop","reason":" ","by":"x","source":"person"}}')


def test_kinds_and_versions_of_the_future_ask_for_an_upgrade() -> None:
    with pytest.raises(LedgerNewer, match="Upgrade"):
        decode("verdict.given", VERSION, "{}")
    with pytest.raises(LedgerNewer, match="Upgrade"):
        decode("incident.closed", VERSION + 1, '{"incident":"i1","outcome":"x"}')


def test_fields_a_newer_release_added_within_a_version_are_passed_over() -> None:
    found = decode("incident.closed", VERSION, '{"incident":"i1","outcome":"x","mood":"good"}')
    assert found == IncidentClosed(incident="i1", outcome="x")


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(PAYLOADS["decision.made"] | PAYLOADS["metrics.logged"], max_size=6), st.integers(0, 6))
def test_chaining_in_two_parts_is_chaining_at_once(payloads: list, cut: int) -> None:
    events = [_event(payload) for payload in payloads]
    assert chain(chain("", events[:cut]), events[cut:]) == chain("", events)


def test_the_chain_begun_at_a_truthful_tick_is_the_whole_chain() -> None:
    before = [_event(IncidentClosed(incident=f"i{n}", outcome="x")) for n in range(3)]
    tick = _event(TickDecided(tick=1, now_s=0.0, stage="decide", policy="p", digest=chain("", before)))
    assert continued("", [tick]) == chain("", [*before, tick])
    assert continued("", [*before, tick]) == chain("", [*before, tick])


def test_attempts_are_told_from_trials() -> None:
    assert [trial_of(name) for name in ("t7.a2", "t7", "my.alpha", "x.a1.a12")] == ["t7", "t7", "my.alpha", "x.a1"]
    assert [number_of(name) for name in ("t7.a2", "t7", "my.alpha", "x.a1.a12")] == [2, 0, 0, 12]


def test_names_are_cleaned_only_where_they_must_be() -> None:
    assert clean("val/손실") == "val/손실"
    assert clean("a\0b\ud800") == "a?b?"


def _line(payload) -> tuple[str, int, str]:
    kind, text = encode(payload)
    return kind, VERSION, text


def _event(payload) -> Event:
    return Event(seq=1, at=0.0, token=1, kind=encode(payload)[0], payload=payload)

"""What a script's notes become in the ledger, read from fragments as the SDK writes them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secondshift.ledger.codec import decode, encode
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Layer, Trial
from secondshift.runtime.ingest import observations
from secondshift.runtime.ownsaves import OwnSaves
from secondshift.runtime.readers.fragments import collect_folder
from secondshift.tracking.fragments import Fragment

ATTEMPT = Attempt(id="t1.a1", trial="t1", number=1, status="running")


@dataclass
class Reading:
    """An executor that only reads an attempt's folder."""

    folder: Path

    def poll(self, attempts: object) -> list[Any]:
        return []

    def collect(self, attempt: Attempt) -> list[Any]:
        return collect_folder(self.folder, attempt.offsets, trial=attempt.trial, attempt=attempt.id)


def facts_of(folder: Path, attempt: Attempt = ATTEMPT) -> list[facts.Payload]:
    state = State(trials={"t1": Trial(id="t1", candidate="c1", seed=0)}, attempts={attempt.id: attempt})
    executor: Any = Reading(folder)
    return observations(state, executor, 10.0, {}, OwnSaves(folder=folder)).out


def told(folder: Path, kind: str, **values: object) -> list[facts.Payload]:
    """The facts that one note of a script becomes, the points' own left out."""
    stream = Fragment(str(folder), base=0.0, warn=print)
    stream.note(kind, values)
    stream.close()
    return [fact for fact in facts_of(folder) if not isinstance(fact, facts.MetricsLogged)]


def test_an_announced_change_becomes_a_fact(tmp_path):
    assert told(tmp_path, "announced", what="lr_drop", step=40) == [
        facts.ChangeAnnounced(trial="t1", attempt="t1.a1", step=40, what="lr_drop")
    ]


def test_an_applied_directive_becomes_a_fact(tmp_path):
    assert told(tmp_path, "applied", directive="skip", value="100:120", step=100) == [
        facts.DirectiveApplied(trial="t1", attempt="t1.a1", directive="skip", step=100, value="100:120")
    ]


@pytest.mark.parametrize(("said", "known"), [({"objective": 0.5}, 0.5), ({}, None), ({"objective": "good"}, None)])
def test_a_checkpoint_becomes_a_fact_with_the_objective_it_was_saved_at(tmp_path, said, known):
    [fact] = told(tmp_path, "saved", step=7, bytes=3, digest="d", **said)
    assert isinstance(fact, facts.CheckpointSaved)
    assert (fact.checkpoint.step, fact.checkpoint.objective) == (7, known)


def test_a_checkpoint_that_could_not_be_saved_becomes_a_fact_without_keys(tmp_path):
    reason = "OSError: no room beside ghp_0123456789abcdefghijklmnopqrstuvwxyz"
    assert told(tmp_path, "unsaved", step=7, reason=reason) == [
        facts.CheckpointFailed(trial="t1", attempt="t1.a1", step=7, reason="OSError: no room beside ***masked***")
    ]


def test_what_a_model_is_made_of_becomes_a_fact_of_what_could_be_read(tmp_path):
    layers = [{"name": "0", "kind": "Linear", "parameters": 9, "shapes": {"weight": [1, 8]}}, {"kind": "?"}, 5]
    assert told(tmp_path, "described", layers=json.dumps(layers)) == [
        facts.ModelDescribed(
            trial="t1", attempt="t1.a1",
            layers=(Layer(name="0", kind="Linear", parameters=9, shapes={"weight": (1, 8)}),),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "5", "[5]", '[{"name": 3}]', "[" * 100_000])
def test_a_description_that_is_none_becomes_nothing(tmp_path, text):
    assert told(tmp_path, "described", layers=text) == []


@pytest.mark.parametrize(
    "wrong", [{"parameters": 10**30}, {"parameters": True}, {"shapes": {"w": ["a", -1, 10**30]}}, {"shapes": 5}]
)
def test_numbers_of_a_description_are_such_as_the_ledger_holds(tmp_path, wrong):
    (fact,) = told(tmp_path, "described", layers=json.dumps([{"name": "x", **wrong}]))
    assert decode(*_versioned(fact)) == fact


def test_what_is_announced_is_recorded_before_the_points_it_is_about(tmp_path):
    stream = Fragment(str(tmp_path), base=0.0, warn=print)
    stream.points(40, {"loss": 1.0})
    stream.note("announced", {"what": "lr_drop", "step": 40})
    stream.close()
    assert [type(fact) for fact in facts_of(tmp_path)] == [facts.ChangeAnnounced, facts.MetricsLogged]


@pytest.mark.parametrize("step", [10**30, -(10**30), "many", True, 1e400, float("nan")])
@pytest.mark.parametrize("kind", ["announced", "applied", "unsaved", "saved", "rejected", "pruned"])
def test_a_step_that_makes_no_sense_is_recorded_as_one_the_ledger_can_hold(tmp_path, kind, step):
    (fact,) = told(tmp_path, kind, step=step)
    assert decode(*_versioned(fact)) == fact


def _versioned(fact: facts.Payload) -> tuple[str, int, str]:
    kind, text = encode(fact)
    return kind, facts.VERSION, text

"""A hash of each batch says what is new: a loader that repeats itself is found by it, and training again is no repetition."""

import numpy as np
import pytest

from secondshift.policies.captain.batches import KEPT, Batches
from secondshift.records import events as facts
from secondshift.watching.once import look
from secondshift.watching.sightings import Asked
from simulated_nights import falling, on_curve
from watching.test_once import csv

STEPS, ONSET = 1200, 500


def test_only_so_many_hashes_are_remembered_and_a_new_process_knows_none() -> None:
    batches = Batches()
    assert [batches.distinct(number) for number in (1.0, 2.0, 1.0)] == [1.0, 1.0, 0.0]
    for number in range(3, KEPT + 2):
        batches.distinct(float(number))
    assert batches.distinct(1.0) == 0.0 and batches.distinct(2.0) == 1.0, "the one that came last longest ago is forgotten"
    batches.forget()
    assert batches.distinct(1.0) == 1.0


def hashes(dead: bool) -> np.ndarray:
    numbers = np.arange(STEPS, dtype=float) + 1e9
    if dead:
        numbers[ONSET:] = numbers[ONSET]
    return numbers


def test_a_loader_that_gives_one_batch_for_good_is_found_by_its_hash(tmp_path, monkeypatch) -> None:
    def curve(order):
        loss, dead = falling(int(order.trial[1:]), STEPS), order.trial == "t1"
        if dead:
            loss[ONSET:] = loss[ONSET]
        return {"loss": loss, "batch_hash": hashes(dead)}

    night = on_curve(tmp_path, monkeypatch, curve, steps=STEPS, may=("retry_infrastructure",))
    night.run()
    seen = [(fact.trial, one.symptom, one.since) for fact in night.payloads(facts.SymptomSeen) for one in fact.findings]
    assert ("t1", "dead_loader", ONSET + 1) in seen and not [one for one in seen if one[0] == "t2"]


@pytest.mark.parametrize("text", ["{:.0f}", "{:x}-ab"])
def test_foreign_tables_may_have_numbers_or_texts_and_a_resumed_run_repeats_nothing(tmp_path, text: str) -> None:
    loss = [*falling(1, 300).tolist(), *falling(1, 600)[200:500].tolist()]
    steps, fresh = [*range(300), *range(200, 500)], [text.format(n if "f" in text else int(n)) for n in range(1000, 1500)]
    csv(tmp_path / "resumed.csv", step=steps, loss=loss, data_hash=[fresh[step] for step in steps])
    csv(tmp_path / "dead.csv", step=steps[:300], loss=loss[:150] + [loss[150]] * 150, data_hash=fresh[:150] + [fresh[0]] * 150)
    report = look([tmp_path], Asked())
    found = {seen.run: {(one.symptom, one.column) for one in seen.sightings} for seen in report.runs}
    assert ("dead_loader", "data_hash") in found["dead.csv"] and not any("loader" in name for name, _ in found["resumed.csv"])

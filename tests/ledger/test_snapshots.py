import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.ledger import snapshots
from secondshift.ledger.fold import fold
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.snapshots import load_state, save_state
from secondshift.records.events import CandidateProposed, MetricsLogged, TrialQueued
from secondshift.records.states import State
from secondshift.records.trials import Candidate, Milestone, Summary, Trial
from tests.ledger.scenes import ME, fact, opened, small_disk


def busy(trials: int, at: float = 1.0) -> tuple[MemoryLedger, int]:
    """Make a ledger with some trials, each with a candidate and a curve."""
    ledger = MemoryLedger()
    token = ledger.take_lease(ME, how_dead=lambda _: False).token
    events = []
    for number in range(1, trials + 1):
        candidate = Candidate(id=f"c{number}", params={"lr": 0.1 / number, "width": number, "kind": "a"}, by="random")
        trial = Trial(
            id=f"t{number}", candidate=f"c{number}", seed=number, milestones=(Milestone(step=9, value=1.0 / number),)
        )
        summary = Summary(points=10, last_step=9, last=1.0 / number, low=0.0, high=1.0)
        events.append(CandidateProposed(candidate=candidate, decision=f"d{number}"))
        events.append(TrialQueued(trial=trial, decision=f"d{number}"))
        events.append(
            MetricsLogged(
                attempt=f"t{number}.a1", trial=f"t{number}", fragment="f", start=0, end=1, points=10, crc=0,
                metrics={"loss": summary, "acc": summary},
            )
        )  # fmt: skip
    ledger.append(events, at=at, token=token)
    return ledger, token


def test_the_copy_is_the_state_and_only_what_is_new_is_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, token = busy(20)
    file = tmp_path / "cache" / "state.bin"
    state = load_state(ledger, file)
    assert save_state(state, file, ledger=ledger)
    ledger.append([fact("t3")], at=2.0, token=token)
    folded: list[int] = []

    def counting(state: State, events) -> State:
        events = list(events)
        folded.append(len(events))
        return fold(state, events)

    monkeypatch.setattr(snapshots.fold, "fold", counting)
    assert repr(load_state(ledger, file)) == repr(fold(State(), ledger.read()))
    assert folded == [1]


def damages() -> dict[str, object]:
    return {
        "gone": lambda blob: None,
        "empty": lambda blob: b"",
        "cut": lambda blob: blob[:-10],
        "rubbish": lambda blob: b"x" * 1000,
        "other release": lambda blob: blob.replace(b"secondshift state 1", b"secondshift state 0"),
        "other fields": lambda blob: blob[:25] + bytes([blob[25] ^ 1]) + blob[26:],
    }


@pytest.mark.parametrize("damage", damages())
def test_an_odd_copy_is_ignored_and_the_facts_are_folded(tmp_path: Path, damage: str) -> None:
    ledger, _ = busy(5)
    file = tmp_path / "state.bin"
    right = load_state(ledger, file)
    # A copy that says something else shows whether it was believed.
    save_state(replace(right, ticks=99), file, ledger=ledger)
    assert load_state(ledger, file).ticks == 99
    blob = damages()[damage](file.read_bytes())
    file.unlink() if blob is None else file.write_bytes(blob)
    assert repr(load_state(ledger, file)) == repr(right)


def test_a_copy_with_one_wrong_bit_anywhere_is_ignored(tmp_path: Path) -> None:
    ledger, _ = busy(1)
    file = tmp_path / "state.bin"
    right = load_state(ledger, file)
    save_state(replace(right, ticks=99), file, ledger=ledger)
    blob = file.read_bytes()
    for place in range(0, len(blob), 7):
        file.write_bytes(blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :])
        assert repr(load_state(ledger, file)) == repr(right), place


def test_the_copy_of_another_ledger_or_of_a_later_state_is_ignored(tmp_path: Path) -> None:
    ledger, token = busy(5)
    file = tmp_path / "state.bin"
    save_state(replace(load_state(ledger, file), ticks=99), file, ledger=ledger)
    other, _ = busy(6, at=7.0)
    assert load_state(other, file).ticks == 0
    assert load_state(MemoryLedger(), file).ticks == 0
    ledger.append([fact()], at=0.0, token=token)
    save_state(replace(load_state(ledger, file), ticks=99), file, ledger=ledger)
    shorter, _ = busy(5)
    assert load_state(shorter, file).ticks == 0


def test_a_copy_made_by_other_folding_code_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, _ = busy(5)
    file, code = tmp_path / "state.bin", tmp_path / "fold.py"
    save_state(replace(load_state(ledger, file), ticks=99), file, ledger=ledger)
    assert load_state(ledger, file).ticks == 99
    shutil.copy(snapshots.fold.__file__, code)
    code.write_text(code.read_text() + "# changed\n")
    monkeypatch.setattr(snapshots.fold, "__file__", str(code))
    snapshots._shape.cache_clear()
    assert load_state(ledger, file).ticks == 0
    monkeypatch.undo()
    snapshots._shape.cache_clear()


def test_on_a_full_disk_there_is_no_copy_and_no_harm(tmp_path: Path) -> None:
    ledger, _ = busy(3000)
    with small_disk(tmp_path / "disk", "64k") as disk:
        assert not save_state(load_state(ledger, disk / "state.bin"), disk / "state.bin", ledger=ledger)
        assert list(disk.iterdir()) == []


def test_a_study_of_ten_thousand_trials_is_open_again_in_a_blink(tmp_path: Path) -> None:
    source, _ = busy(10_000)
    ledger, token = opened(tmp_path)
    ledger.append([event.payload for event in source.read()], at=0.0, token=token)
    file = tmp_path / "state.bin"
    assert save_state(fold(State(), ledger.read()), file, ledger=ledger)
    ledger.close()
    took = []
    for _ in range(3):
        began = time.process_time()
        ledger, _ = opened(tmp_path)
        state = load_state(ledger, file)
        took.append(time.process_time() - began)
        assert len(state.trials) == 10_000
        ledger.close()
    # 0.1 s is the figure to hold; benchmarks/overhead.py judges it. Here only a loss of the copy's purpose fails.
    assert min(took) < 0.3, took

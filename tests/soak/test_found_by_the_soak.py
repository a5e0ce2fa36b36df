"""What the soaks broke once stays mended."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secondshift import shifts
from secondshift.errors import LedgerBusy, LedgerFull
from secondshift.ledger.probe import Site, probe
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.records.studies import Budget
from secondshift.runtime import opening, spool
from simulated_nights import EVENING, Night, study

STUDY = """
command = "python3 -c pass"
[objective]
metric = "loss"
[horizon]
steps = 3
[budget]
trials = 1
[launch]
slots = {slots}
"""


def written(folder: Path, *, slots: int) -> Path:
    file = folder / "secondshift.toml"
    file.write_text(STUDY.format(slots=slots))
    return file


def test_a_study_that_asks_for_more_slots_than_there_are_processors_gets_as_many_devices(
    tmp_path: Path,
) -> None:
    with opening.open_night(written(tmp_path, slots=70)) as night:
        assert len(night.executor.devices()) == 70


def test_slots_asked_for_on_the_command_line_bring_their_devices_too(tmp_path: Path) -> None:
    with opening.open_night(written(tmp_path, slots=2), slots=71) as night:
        assert len(night.executor.devices()) == 71


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    for name in ("spool/tmp", "attempts", "trials"):
        (tmp_path / name).mkdir(parents=True)


def once(act: Callable[..., Any], problem: BaseException, at: int) -> Callable[..., Any]:
    """Let the call number `at` fail."""
    calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise problem
        return act(*arguments, **named)

    return wrapped


def whole(night: Night) -> State:
    """Work the shift by the engine's own loop, which waits where a single tick gives up."""
    night.engine.begin(EVENING + 8 * 3600.0)
    night.engine.run()
    return night.engine.state


def incidents(night: Night) -> list[str]:
    return [fact.incident.finding for fact in night.payloads(facts.IncidentOpened)]


def test_an_order_that_finds_no_room_on_the_disk_waits_for_room_and_the_night_goes_on(tmp_path: Path) -> None:
    night = Night(tmp_path, study(budget=Budget(trials=4)))
    night.executor.submit = once(night.executor.submit, OSError(errno.ENOSPC, "No space left on device"), at=3)
    state = whole(night)
    assert state.shift is None and len(state.trials) == 4 and not state.attempts
    assert "the disk is full" in incidents(night)


def test_another_program_that_locks_the_ledger_for_a_while_is_waited_for(tmp_path: Path) -> None:
    night = Night(tmp_path, study(budget=Budget(trials=4)))
    night.ledger.append = once(night.ledger.append, LedgerBusy(), at=7)
    state = whole(night)
    assert state.shift is None and len(state.trials) == 4 and not state.attempts


def test_any_other_fault_of_the_system_still_ends_the_engine(tmp_path: Path) -> None:
    night = Night(tmp_path, study(budget=Budget(trials=4)))
    night.executor.submit = once(night.executor.submit, OSError(errno.EIO, "Input/output error"), at=3)
    with pytest.raises(OSError, match="Input/output"):
        whole(night)


def test_ctrl_c_is_recorded_without_the_spool_so_that_a_full_disk_cannot_swallow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> str:
        raise LedgerFull()

    monkeypatch.setattr(spool, "put_request", full)
    night = Night(tmp_path, study())
    night.engine.wanted.append("stop")
    state = whole(night)
    assert state.shift is None and [fact.who for fact in night.payloads(facts.RequestReceived)] == ["terminal"]


def test_a_probe_on_a_full_disk_says_that_it_is_full_and_not_that_the_filesystem_is_unfit(tmp_path: Path) -> None:
    def step(site: Site) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LedgerFull, match="Free some space"):
        probe(tmp_path, steps=[step])


def test_a_brief_that_an_engine_died_over_is_written_by_the_next_one(tmp_path: Path) -> None:
    file = written(tmp_path, slots=1)

    def dies(*arguments: object) -> tuple[str, ...]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shifts.work(file, for_s=60.0, write_brief=dies)
    asked: list[str] = []

    def notes(folder: Path, ledger: Ledger, state: State, shift: str) -> tuple[str, ...]:
        asked.append(shift)
        return ("briefs/s1.md",)

    assert shifts.work(file, resume=True, write_brief=notes) == shifts.FINISHED
    assert shifts.work(file, resume=True, write_brief=notes) == shifts.FINISHED
    assert asked == ["s1"], "once, and only once"

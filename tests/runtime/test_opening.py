"""A study file edited while a night runs: what is right takes effect, what is wrong is told until it is mended."""

import os
from pathlib import Path

import pytest

from secondshift import config
from secondshift.engine import Engine
from secondshift.errors import ConfigInvalid
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.runtime.opening import Reload, open_night
from secondshift.runtime.tiers import in_effect

STUDY = """command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 10
[budget]
trials = {trials}
"""


class Edited:
    """A study file and all that was recorded about its edits."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "secondshift.toml"
        self.state, self.edits = State(), 0
        self.write(STUDY.format(trials=6))
        self.look = Reload(self.file, "boot-1")
        self.fold([facts.StudyOpened(study=in_effect(self.file, config.load_study(self.file)))])

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.edits += 1
        os.utime(self.file, ns=(self.edits, self.edits))  # two edits within one tick of the filesystem's clock

    def fold(self, payloads) -> list[facts.Payload]:
        events = [
            facts.Event(
                seq=self.state.last_seq + n + 1, at=1.0, token=1, kind=facts.KIND_OF[type(payload)], payload=payload
            )
            for n, payload in enumerate(payloads)
        ]
        self.state = fold(self.state, events)
        return list(payloads)

    def edit(self, text: str) -> list[str]:
        self.write(text)
        return [facts.KIND_OF[type(payload)] for payload in self.fold(self.look(self.state))]


def test_a_mistake_stays_an_open_incident_until_the_file_is_mended(tmp_path: Path) -> None:
    study = Edited(tmp_path)
    assert study.edit(STUDY.format(trials=-6)) == ["incident.opened"]
    [incident] = study.state.incidents.values()
    assert "budget.trials" in incident.finding and "nothing was started" not in incident.finding
    assert study.state.study and study.state.study.budget.trials == 6  # it goes on as it was
    assert study.edit("not toml") == ["incident.closed", "incident.opened"]  # one at a time
    assert study.edit(STUDY.format(trials=3)) == ["study.amended", "incident.closed"]
    assert study.state.study.budget.trials == 3 and not study.state.incidents


def test_a_mistake_taken_back_is_closed_though_nothing_changed(tmp_path: Path) -> None:
    study = Edited(tmp_path)
    study.edit("not toml")
    assert study.edit(STUDY.format(trials=6)) == ["incident.closed"]
    assert study.edit(STUDY.format(trials=6)) == []


def test_a_study_file_that_is_gone_is_told_and_ends_nothing(tmp_path: Path) -> None:
    study = Edited(tmp_path)
    study.file.unlink()
    assert [type(fact) for fact in study.fold(study.look(study.state))] == [facts.IncidentOpened]
    assert "is gone" in next(iter(study.state.incidents.values())).finding
    assert study.state.study is not None


def begun(file: Path, *, shift: bool) -> None:
    """An engine that opened the study, perhaps began a shift, and is gone."""
    with open_night(file) as night:
        engine = Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        engine.record(night.opening)
        if shift:
            engine.begin(None)


def test_an_engine_that_died_while_the_file_was_wrong_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "secondshift.toml"
    file.write_text(STUDY.format(trials=6))
    begun(file, shift=True)
    file.write_text(STUDY.format(trials=-6))
    with pytest.raises(ConfigInvalid), open_night(file):
        pass  # a person stands by, and is told
    with open_night(file, resume=True) as night:
        assert [facts.KIND_OF[type(fact)] for fact in night.opening] == ["lease.taken", "incident.opened"]
        assert night.state.study and night.state.study.budget.trials == 6


def test_a_wrong_file_is_refused_where_no_shift_is_open(tmp_path: Path) -> None:
    file = tmp_path / "secondshift.toml"
    file.write_text(STUDY.format(trials=6))
    begun(file, shift=False)
    file.write_text("not toml")
    with pytest.raises(ConfigInvalid), open_night(file, resume=True):
        pass


POPULATION = STUDY.format(trials=6) + '[policy]\nscheduler = "population"\n'


def test_a_population_is_not_begun_unproved_and_a_night_that_goes_on_is_not_ended_for_it(tmp_path: Path) -> None:
    file = tmp_path / "secondshift.toml"
    file.write_text(POPULATION)
    (tmp_path / "train.py").write_text("print('loss=1')\n")
    with pytest.raises(ConfigInvalid, match="nobody proved"), open_night(file):
        pass
    with open_night(file, resume=True) as night:
        assert night.opening


def test_an_edit_to_an_unproved_population_takes_no_effect_and_is_told(tmp_path: Path) -> None:
    study = Edited(tmp_path)
    assert study.edit(POPULATION) == ["incident.opened"]
    [incident] = study.state.incidents.values()
    assert "nobody proved that it does" in incident.finding
    assert study.state.study and study.state.study.policy.scheduler == "halving"

"""A trial that began from another's checkpoint is shown as such, and set beside no other."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.cli.grids import trials_grid
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.objectives import ranked
from secondshift.interfaces.readmodel.overview import Holder, overview
from secondshift.interfaces.readmodel.reasons import story, trial_events
from secondshift.ledger.opening import open_ledger
from secondshift.records.decisions import bear
from secondshift.records.events import CandidateProposed, CheckpointInherited, TrialQueued
from secondshift.records.inheritances import Inheritance
from secondshift.records.trials import Candidate, Checkpoint, Exit, Trial
from tests.interfaces.nights import Night, complete


def bred() -> Night:
    """t1 (the defaults) and t2 come to the end by themselves; t3 begins from t2's checkpoint and is better than both."""
    night = Night().open()
    complete(night, {}, [2.0 - 0.1 * n for n in range(9)])
    second = night.start(night.queue({"lr": 0.01, "width": 64}))
    night.log(second, [2.0 - 0.12 * n for n in range(3)])
    night.save(second, 3)
    night.log(second, [2.0 - 0.12 * n for n in range(3, 9)], first=3)
    night.end(second, Exit(code=0, elapsed_s=30.0))
    inherits = Inheritance(trial="t2", step=3)
    d = night.decide(bear(params={"lr": 0.002, "width": 64}, parent="c2", inherits=inherits, reason="t2 was good", by="population"))
    child = Candidate(id="c3", params={"lr": 0.002, "width": 64}, parents=("c2",), by="population")
    night.add(CandidateProposed(candidate=child, decision=d))
    night.add(TrialQueued(trial=Trial(id="t3", candidate="c3", seed=0, inherits=inherits), decision=d))
    night.add(CheckpointInherited(checkpoint=Checkpoint(trial="t3", step=3, folder="x"), source="t2"))
    third = night.start("t3", from_step=3)
    night.log(third, [0.5, 0.4, 0.3, 0.2, 0.15, 0.1], first=3)
    night.end(third, Exit(code=0, elapsed_s=20.0))
    return night.close()


def told(lang: str = "en") -> str:
    night = bred()
    state = night.state
    assert state.study
    brief = compose(state, night.events, state.study.objective, "s1", written_at=0.0)
    return "\n".join(tell(statement, lang) for section in brief.sections for statement in section.statements)


def test_it_is_never_the_best_and_its_result_is_said_beside_that() -> None:
    night = bred()
    state = night.state
    assert state.study and state.trials["t3"].status == "complete"
    assert [t.id for t in ranked(state.study.objective, list(state.trials.values()))] == ["t2", "t1"]
    text = told()
    assert next(line for line in text.splitlines() if line.startswith("Best complete trial")).count("t2,") == 1
    assert "Inherited: 1 trial that began from the checkpoint of another came to the end" in text and "t3 (0.1)" in text
    assert "Anything about 1 trial (t3) that began from the checkpoint of another" in text
    assert "Assisted" not in text
    korean = told("ko")
    assert "다른 실험의 체크포인트에서 시작한 실험 1개" in korean


def test_its_story_says_whose_checkpoint_it_has() -> None:
    lines = [tell(s, "en") for s in story(trial_events(bred().record(), "t3"))]
    assert any(line.startswith("population proposed it: t2 was good") for line in lines)
    assert "A copy of t2's checkpoint at step 3 was put in its place and verified; it begins from there." in lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = 'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 9\n'
    (tmp_path / "secondshift.toml").write_text(text)
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    bred().record(ledger)
    ledger.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_show_says_what_it_began_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["show", "t3"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "inherits the checkpoint of t2 at step 3, so its result is compared with no other" in shown
    assert called(["show", "t2"]) == 0
    assert "inherits" not in capsys.readouterr().out


def test_a_list_of_trials_marks_it_and_says_what_the_mark_means() -> None:
    night = bred()
    state = night.state
    queued = Trial(id="t4", candidate="c3", seed=0, inherits=Inheritance(trial="t2", step=3))
    state = replace(state, trials={**state.trials, "t4": queued}, open={"t4": True})
    doc = overview(state, Holder(life="dead", name="wks:1"), requests=0, now=night.at)
    (row,) = doc["trials"]
    assert row["inherits"] == {"trial": "t2", "step": 3} and not row["assisted"]
    screen = Console(width=120, record=True, file=io.StringIO())
    screen.print(trials_grid(doc, {}, None, "en", 120))
    said = screen.export_text()
    assert "t4^" in said and "^ inherited: began from the checkpoint of another" in said and "assisted" not in said

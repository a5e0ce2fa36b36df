"""`secondshift watch`, as a person and as a program use it."""

import json
from pathlib import Path
from typing import get_args

import pytest

from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.policies.captain.crashes import CrashClass
from secondshift.policies.captain.diagnosis import Cause
from secondshift.policies.captain.ladder import Rung
from secondshift.policies.captain.symptoms.findings import SYMPTOMS
from watching.test_once import csv, curve


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDSHIFT_LANG", "en")
    csv(tmp_path / "good.csv", step=list(range(300)), loss=curve(300))
    csv(tmp_path / "bad.csv", step=list(range(300)), loss=curve(300, nan_from=200))
    return tmp_path


def test_json_is_one_line_for_each_finding_and_nothing_else(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["watch", str(runs), "--once", "--json"]) == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert found and err == ""
    assert set(found[0]) == {"stream", "step", "symptom", "diagnosis", "action", "confidence", "evidence"}
    assert {one["stream"] for one in found} == {"bad.csv:loss"}
    assert (found[0]["step"], found[0]["symptom"], found[0]["action"]) == (200, "non_finite", "stop")
    assert found[0]["evidence"]["since"] == 200


@pytest.mark.parametrize(
    ("lang", "said"),
    [("en", "not a finite number, since step 200"), ("ko", "유한한 수가 아님. 시작: 스텝 200")],
)
def test_a_person_reads_what_was_guessed_and_what_was_found(runs: Path, capsys, lang: str, said: str) -> None:
    assert called(["watch", str(runs), "--once", "--lang", lang]) == 0
    out = capsys.readouterr().out
    assert "loss = loss" in out and said in out and "bad.csv" in out and "good.csv" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--map", "loss"], "names no stream and column"), (["--map", "lss=loss"], "STREAM is one of step, event, run, loss"),
     (["--map", "loss=nothing"], "no run under")],
)  # fmt: skip
def test_a_mistake_is_explained_and_is_exit_code_2(runs: Path, capsys, arguments: list[str], said: str) -> None:
    assert called(["watch", str(runs), "--once", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_nothing_named_and_nothing_there_are_mistakes_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["watch", "--once"]) == 2 and "Nothing to watch was named" in capsys.readouterr().err
    assert called(["watch", "--once", str(tmp_path / "none")]) == 2 and "There is no" in capsys.readouterr().err


def test_every_symptom_cause_and_action_has_its_words_in_both_languages() -> None:
    causes = {*get_args(Cause), *get_args(CrashClass), "unknown", "ended_by_signal"} - {"benign_only"}
    wanted = {f"symptom_{name}" for name in (*SYMPTOMS, "crash")} | {f"cause_{name}" for name in causes}
    wanted |= {f"action_{name}" for name in get_args(Rung)} | {"goal_min", "goal_max"}
    for lang in ("en", "ko"):
        assert not {f"word.{name}" for name in wanted} - set(sentences(lang))

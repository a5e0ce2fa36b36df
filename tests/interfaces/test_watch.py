"""`secondshift watch`, as a person and as a program use it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from secondshift.interfaces.cli.main import called
from secondshift.interfaces.cli.watchview import view
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.policies.captain.crashes import CrashClass
from secondshift.policies.captain.diagnosis import Cause
from secondshift.policies.captain.ladder import Rung
from secondshift.policies.captain.symptoms.findings import SYMPTOMS
from secondshift.watching.live import Live
from secondshift.watching.sightings import Asked
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
    [("en", "not a finite number, since step 200"), ("ko", "유한한 수가 아님. 시작: 200스텝")],
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


@pytest.mark.parametrize("length", ["-3", "nan", "inf"])
def test_a_silence_has_a_length(runs: Path, capsys: pytest.CaptureFixture[str], length: str) -> None:
    assert called(["watch", str(runs), "--once", "--quiet-seconds", length]) == 2
    assert "Expected seconds, or 0" in capsys.readouterr().err


def test_one_look_may_be_told_to_a_file_and_then_nothing_is_printed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = runs / "told.txt"
    assert called(["watch", str(runs / "bad.csv"), "--once", "--to", str(told)]) == 0
    assert called(["watch", str(runs / "bad.csv"), "--once", "--to", str(told), "--json"]) == 0
    first, *others = told.read_text("utf-8").splitlines()
    assert "bad.csv:loss: not a finite number" in first and json.loads(others[-1])["symptom"] == "non_finite"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("lang", "said"), [("en", "points in a row 64, newest level"), ("ko", "연속한 점 64, 최근 수준")])
def test_the_numbers_of_a_finding_have_their_names_in_words(runs: Path, capsys, lang: str, said: str) -> None:
    assert called(["watch", str(runs), "--once", "--lang", lang]) == 0
    out = capsys.readouterr().out
    assert said in out and "points_in_a_row" not in out


@pytest.mark.parametrize(
    ("more", "said"), [([], "--map loss=nope: no run has such a column so far. They have: loss"), (["--json"], "")]
)
def test_a_column_that_a_command_never_prints_is_said_when_it_is_over(more: list[str], said: str) -> None:
    command = [sys.executable, "-c", "for i in range(9): print(f'step={i} loss={1 / (i + 1):.3f}')"]
    asked = [sys.executable, "-m", "secondshift", "watch", "--map", "loss=nope", *more, "--", *command]
    speaking = {**os.environ, "SECONDSHIFT_LANG": "en"}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False, env=speaking)
    assert done.returncode == 0 and ((said in done.stderr) if said else not done.stderr), done.stderr


def test_a_column_that_no_run_has_is_said_while_runs_are_watched(runs: Path) -> None:
    assert "--map lr=nope: no run has such a column so far" in drawn(runs, 40, told={"lr": "nope"})
    assert "--map" not in drawn(runs, 40, told={"loss": "loss"}).replace("--map loss=COLUMN", "")


def test_nothing_named_and_nothing_there_are_mistakes_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["watch", "--once"]) == 2 and "Nothing to watch was named" in capsys.readouterr().err
    assert called(["watch", "--once", str(tmp_path / "none")]) == 2 and "There is no" in capsys.readouterr().err


def test_every_symptom_cause_and_action_has_its_words_in_both_languages() -> None:
    causes = {*get_args(Cause), *get_args(CrashClass), "unknown", "ended_by_signal"} - {"benign_only"}
    wanted = {f"symptom_{name}" for name in (*SYMPTOMS, "crash")} | {f"cause_{name}" for name in causes}
    wanted |= {f"action_{name}" for name in get_args(Rung)} | {"goal_min", "goal_max"}
    for lang in ("en", "ko"):
        assert not {f"word.{name}" for name in wanted} - set(sentences(lang))


def drawn(runs: Path, height: int, lang: str = "en", told: dict[str, str] | None = None) -> str:
    live = Live([runs], Asked(told=told or {}))
    found = live.tick(0.0)
    screen = Console(width=160, height=height, file=io.StringIO(), markup=False, highlight=False)
    screen.print(view(screen, live.seen(), found, lang, told or {}))
    return screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_the_view_has_a_sparkline_for_each_stream_and_the_findings_below(runs: Path) -> None:
    csv(runs / "two.csv", step=list(range(100)), loss=curve(100), lr=[0.1] * 100)
    text = drawn(runs, 40)
    lines = text.splitlines()
    [bad] = [line for line in lines if line.startswith("bad.csv ")]
    assert "growing" in bad and "299" in bad and "▁" in bad and "·" in bad  # NaN is a gap
    [rate] = [line for line in lines if " lr " in line and "▁" in line]
    assert rate.strip().endswith("0.1")
    told = next(index for index, line in enumerate(lines) if "bad.csv:loss: not a finite number" in line)
    assert told > lines.index(rate) and "stop the run" in lines[told]
    assert "유한한 수가 아님" in drawn(runs, 40, "ko")


def test_a_small_terminal_shows_the_runs_with_findings_first_and_says_how_many_are_hidden(tmp_path: Path) -> None:
    for run in range(9):
        csv(tmp_path / f"{run}.csv", step=list(range(100)), loss=curve(100, nan_from=90 if run == 8 else -1))
    lines = drawn(tmp_path, 12).splitlines()
    first = next(line for line in lines if ".csv " in line)
    assert first.startswith("8.csv") and any("more runs do not fit" in line for line in lines)


def test_nothing_to_read_yet_is_said(tmp_path: Path) -> None:
    assert "Nothing to read yet" in drawn(tmp_path, 20)


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"손실": curve(60), "lr": [0.1] * 60}, "no column is taken for the loss"),
     ({"loss": ["2,5"] * 60, "lr": ["0.1"] * 60}, "loss holds nothing that is a number")],
)  # fmt: skip
def test_a_loss_that_is_not_seen_is_said_and_nothing_is_called_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: dict, said: str
) -> None:
    monkeypatch.setenv("SECONDSHIFT_LANG", "en")
    rows = zip(range(60), *columns.values(), strict=True)
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "a.tsv").write_text("step\t" + "\t".join(columns) + "\n" + text, encoding="utf-8")
    assert called(["watch", str(tmp_path), "--once"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert said in out and "the loss is not watched" in out and "Nothing is wrong that the captain can see" not in out
    shown = " ".join(drawn(tmp_path, 40).split())
    assert said in shown and "the loss is not watched" in shown


def test_a_table_of_which_no_column_is_known_is_not_called_empty(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", step=list(range(60)), quality=curve(60))
    shown = " ".join(drawn(tmp_path, 40).split())
    assert "Columns not used: quality" in shown and "Nothing to read yet" not in shown

"""The verb init: a first study file that holds, says what it guessed, and is never written over another."""

import json
import sys
import tomllib
from pathlib import Path

import pytest

from secondshift import config
from secondshift.interfaces.cli.drafting import command_line, written
from secondshift.interfaces.cli.main import called
from secondshift.runtime.guessing import sketch
from secondshift.runtime.looks import Looked, Option, Stream

SCRIPT = """\
import argparse
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.01)
p.add_argument("--note", default="")
p.add_argument("--checkpoint-dir", default="c")
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
for e in range(4):
    print(f"epoch={e} val_loss={a.lr / (e + 1)}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_init_writes_a_study_that_can_be_run_and_marks_its_guesses(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = (
        "init",
        "--folder",
        str(folder),
        "--seconds",
        "5",
        "--",
        sys.executable,
        "train.py",
        "--lr",
        "0.02",
        "--note",
        "{a b}",
    )
    assert called(call) == 0
    assert "Wrote" in capsys.readouterr().out
    text = (folder / "secondshift.toml").read_text()
    assert text.count("guess") >= 4
    study = config.load_study(folder / "secondshift.toml", environment={})
    assert (study.objective.metric, study.horizon_steps, study.tier) == ("val_loss", 4, "resumable")
    command = config.given(study, {"lr": 0.5}, seed=3, checkpoint_dir="/c", folder="/f").command
    assert command == (
        sys.executable, "train.py", "--lr", "0.5", "--note", "{a b}", "--seed", "3", "--checkpoint-dir", "/c"
    )  # fmt: skip


def test_a_study_file_that_is_there_is_never_written_over_without_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "secondshift.toml").write_text("mine")
    (folder / "train.py").write_text("open('ran', 'w')")
    call = ("init", "--folder", str(folder), "--seconds", "0", "--json")
    assert called((*call, "--", sys.executable, "train.py")) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / "secondshift.toml").read_text() == "mine" and not (folder / "ran").exists()
    assert called((*call, "--force", "--", sys.executable, "train.py")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mistakes"] == [] and found["guesses"]["metric"] == "loss"


def test_init_without_a_command_or_with_one_that_is_not_there_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(("init", "--folder", str(folder))) == 2
    assert "behind --" in capsys.readouterr().err
    assert called(("init", "--folder", str(folder), "--", "no-such-program")) == 2
    assert "cannot be started" in capsys.readouterr().err and not (folder / "secondshift.toml").exists()


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_command_of_hydra_gets_its_parameters_as_overrides(tmp_path: Path, lang: str) -> None:
    options = (
        Option(name="optimizer.lr", flag="optimizer.lr", kind="float", default=0.1, source="hydra"),
        Option(name="seed", flag="seed", kind="int", default=1, source="hydra"),
    )
    looked = Looked(command=("python", "t.py", "optimizer.lr=0.2", "x='{a}'"), hydra=True, options=options)
    found = sketch(looked)
    assert command_line(looked, found) == """python t.py 'x='"'"'{{a}}'"'"'' seed={seed} hydra.run.dir={out}"""
    (tmp_path / "secondshift.toml").write_text(written(looked, found, lang), encoding="utf-8")
    study = config.load_study(tmp_path / "secondshift.toml", environment={})
    command = config.given(study, {"optimizer.lr": 0.5}, seed=3, checkpoint_dir="/c", folder="/f").command
    assert command == ("python", "t.py", "x='{a}'", "seed=3", "hydra.run.dir=/f/out", "optimizer.lr=0.5")


def test_a_folder_that_a_run_writes_to_becomes_one_of_each_trial() -> None:
    options = (Option(name="log_dir", flag="--log_dir", kind="text", default="logs"),)
    for command, expected in (
        (("python", "t.py"), "python t.py --log_dir {out}"),
        (("python", "t.py", "--log_dir", "x", "-v"), "python t.py --log_dir {out} -v"),
    ):
        looked = Looked(command=command, options=options)
        assert command_line(looked, sketch(looked)) == expected
        assert "each is given one of its own" in written(looked, sketch(looked), "en")


def test_a_metric_of_a_file_in_the_working_folder_is_read_there_one_trial_at_a_time(tmp_path: Path) -> None:
    stream = Stream(name="val_loss", source="csv: runs/7/log.csv", points=3)
    looked = Looked(command=("python", "t.py"), metrics=(stream,), ran_s=1.0)
    (tmp_path / "secondshift.toml").write_text(written(looked, sketch(looked), "en"), encoding="utf-8")
    study = config.load_study(tmp_path / "secondshift.toml", environment={})
    assert (study.metrics.source, study.metrics.path, study.launch.slots) == ("csv", "runs/*/log.csv", 1)


def test_what_the_command_sets_is_searched_though_its_help_says_nothing_of_it(tmp_path: Path) -> None:
    given = ("--training.seed", "1", "--training.learn_rate", "0.01", "--corpus", "a b", "--training.dropout=0.1")
    looked = Looked(command=("python", "-m", "t", "train", *given))
    (tmp_path / "secondshift.toml").write_text(written(looked, sketch(looked), "en"), encoding="utf-8")
    study = config.load_study(tmp_path / "secondshift.toml", environment={})
    params = {"training.learn_rate": 0.5, "training.dropout": 0.25}
    assert {p.name: p.default for p in study.space.parameters} == {"training.learn_rate": 0.01, "training.dropout": 0.1}
    assert config.given(study, params, seed=3, checkpoint_dir="/c", folder="/f").command[4:] == (
        "--training.seed", "3", "--training.learn_rate", "0.5", "--corpus", "a b", "--training.dropout=0.25"
    )  # fmt: skip


def test_what_a_script_prints_cannot_break_out_of_a_comment() -> None:
    hostile = Stream(name='loss"\n[policy]\nsearcher = "x', source="stdout", points=3)
    looked = Looked(
        command=("python", "t.py\n[x]"), metrics=(hostile,), ran_s=1.0, code=1, last_words="a\n[b]\n\x1b[31m"
    )
    read = tomllib.loads(written(looked, sketch(looked), "en"))
    assert read["objective"]["metric"] == hostile.name and set(read) >= {"command", "objective", "horizon"}
    assert "policy" not in read and "b" not in read

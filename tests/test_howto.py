"""What the how-to pages on budgets and notebooks show is what works."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from secondshift import config
from secondshift.interfaces.cli.main import called
from secondshift.ledger.opening import open_ledger
from secondshift.records.orders import Note
from secondshift.runtime.readers.fragments import collect_folder
from tests.interfaces.nights import eventful

HOUSE = Path(__file__).parents[1]
SMALL = 'command = "python train.py"\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 9\n'


def blocks(page: str, language: str) -> list[str]:
    text = (HOUSE / "docs" / "howto" / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secondshift.toml").write_text(SMALL)
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    eventful().record(ledger)
    ledger.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_settings_of_the_budget_page_are_read_and_mean_what_it_says(tmp_path: Path) -> None:
    shutil.copy(HOUSE / "examples" / "first_night" / "train.py", tmp_path)
    (tmp_path / "secondshift.toml").write_text(SMALL + "".join(blocks("budgets.md", "toml")))
    study = config.load_study(tmp_path / "secondshift.toml")
    assert study.budget.device_s == 40 * 3600 and study.budget.wall_s == 24 * 3600 and study.budget.trials == 60
    assert study.budget.money_usd == 15 and study.launch.grant_s == 120
    assert tomllib.loads("".join(blocks("budgets.md", "toml")))


def test_the_settings_of_the_page_on_search_are_read_and_forecasts_come_with_them(tmp_path: Path) -> None:
    settings = blocks("search.md", "toml")[0]
    (tmp_path / "secondshift.toml").write_text(SMALL + settings)
    study = config.load_study(tmp_path / "secondshift.toml")
    assert (study.policy.searcher, study.policy.scheduler, study.policy.forecasts_with()) == ("model", "freezethaw", "analogues")


def test_the_settings_of_the_page_on_constraints_are_read(tmp_path: Path) -> None:
    guards, also = blocks("constraints.md", "toml")
    for block in (guards, also):
        (tmp_path / "secondshift.toml").write_text('command = "python train.py"\n' + block + "[horizon]\nsteps = 9\n")
        objective = config.load_study(tmp_path / "secondshift.toml").objective
        assert objective.metric == "val_loss" and (len(objective.guards), objective.also is None) in ((2, True), (0, False))


def test_the_commands_of_the_budget_page_work(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in blocks("budgets.md", "console")[0].splitlines():
        assert called(shlex.split(line.removeprefix("$ secondshift "))) == 0, line
    assert "t2" in capsys.readouterr().out


def test_the_cells_of_the_notebook_page_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HOUSE / "src"))
    for cell in blocks("notebooks.md", "python"):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(cell, "cell", "exec"), {})  # our own page
    assert "t4 paused" in said.getvalue()


def test_the_doctor_finds_in_the_script_of_its_page_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text(blocks("doctor.md", "python")[0])
    (tmp_path / "secondshift.toml").write_text(blocks("doctor.md", "toml")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / ".secondshift" / "devices"))
    for page in blocks("doctor.md", "console"):
        assert called(shlex.split(page.strip().removeprefix("$ secondshift "))) == 1
        for said in (out := capsys.readouterr().out, blocks("doctor.md", "text")[0]):
            words = " ".join(said.split())
            assert "A resumed run departs from the uninterrupted one at step" in words, out
            assert "its optimiser probably begins anew, without what it had gathered. Save and load the optimiser" in words
    repaired = (tmp_path / "train.py").read_text().replace('{"weight": weight,', '{"momentum": momentum, "weight": weight,')
    repaired = repaired.replace('weight, first = state["weight"]', 'momentum, weight, first = state["momentum"], state["weight"]')
    (tmp_path / "train.py").write_text(repaired)
    assert called(["doctor"]) == 0
    assert "the tier resumable, and it is proved" in capsys.readouterr().out


def test_the_commands_of_the_import_page_work_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [settings] = blocks("import.md", "toml")
    [table] = blocks("import.md", "csv")
    (tmp_path / "secondshift.toml").write_text(settings)
    (tmp_path / "train.py").write_text("print('val_loss=1')\n")
    (tmp_path / "results.csv").write_text(table)
    past = HOUSE / "tests" / "runtime" / "pastruns" / "fixtures"
    shutil.copy(past / "mlflow.db", tmp_path)
    for name, under in (("mlruns", "mlruns"), ("wandb", "wandb"), ("tensorboard", "runs")):
        shutil.copytree(past / name, tmp_path / under)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDSHIFT_LANG", "en")
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "host"))
    for line in blocks("import.md", "console")[0].splitlines():
        assert called(shlex.split(line.removeprefix("$ secondshift "))) == 0, line
    said = capsys.readouterr().out
    for part in ("5 would be imported", "5 imported", "val_loss was read from valid_loss.", "imported from  mlflow", "ended early"):
        assert part in said, part


def test_the_script_of_the_directives_page_cooperates_with_each_remedy(tmp_path: Path) -> None:
    (script,) = blocks("directives.md", "python")
    (tmp_path / "train.py").write_text(script)
    asked = {"plain": {}, "helped": {"skip": [[100, 120], [299, 300]], "lr_scale": 0.5, "fresh_loader": 1}}
    runs = {name: _trained(tmp_path / name, tmp_path / "train.py", directives) for name, directives in asked.items()}
    plain, helped = runs["plain"][0], runs["helped"][0]
    assert plain["train_loss"].keys() == set(range(300)) and len(plain["val_loss"]) == len(helped["val_loss"]) == 300
    assert helped["train_loss"].keys() == {*range(100), *range(120, 299)}
    assert {s: r / 2 for s, r in plain["lr"].items() if s in helped["lr"]} == helped["lr"]
    assert plain["train_loss"][0] != helped["train_loss"][0]
    announced, applied = ([n for n in runs["helped"][1] if n.kind == kind] for kind in ("announced", "applied"))
    assert [dict(n.values) for n in announced] == [{"what": "lr_drop", "step": 200}]
    assert [n.values["value"] for n in applied] == ["0.5", "1", "100:120", "299:300"]
    assert [n.values["step"] for n in runs["helped"][1] if n.kind == "saved"][-1] == 300
    (tmp_path / "secondshift.toml").write_text(SMALL + "".join(blocks("directives.md", "toml")))
    launch = config.load_study(tmp_path / "secondshift.toml").launch
    assert (launch.keep_checkpoints, launch.keep_older) == (2, 6)


def _trained(private: Path, script: Path, directives: dict[str, object]) -> tuple[dict[str, dict[int, float]], list[Note]]:
    folder = private / "attempts" / "t1.a1"
    folder.mkdir(parents=True)
    order = {"attempt": "t1.a1", "trial": "t1", "horizon_steps": 300, "seed": 3, "directives": directives}
    (folder / "order.json").write_text(json.dumps(order))
    env = {**os.environ, "PYTHONPATH": str(HOUSE / "src"), "SECONDSHIFT_ATTEMPT": str(folder)}
    subprocess.run([sys.executable, str(script)], env=env, check=True, timeout=60)
    chunks = collect_folder(folder, {}, trial="t1", attempt="t1.a1", ended=True)
    batches = [batch for chunk in chunks for batch in chunk.batches]
    curves = {b.metric: dict(zip(b.steps, b.values, strict=True)) for b in batches}
    return curves, [note for chunk in chunks for note in chunk.notes]


def test_each_table_of_the_page_on_call_is_read_and_means_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    alone, several, weighed = blocks("oncall.md", "toml")
    found = []
    for table in (alone, several, weighed):
        (tmp_path / "secondshift.toml").write_text(SMALL + table)
        found.append(config.load_study(tmp_path / "secondshift.toml").oncall)
    assert list(found[0].rota.people) == ["you"] and found[0].rota.people["you"].quiet is not None
    assert found[1].rota.order == ("mina", "jonas") and found[1].rota.people["jonas"].zone == "Europe/Berlin"
    assert len(found[1].rota.people["mina"].away) == 2 and found[1].rota.people["mina"].zone == "Asia/Seoul"
    assert found[2].sleep_worth == 8 and found[2].dead_man_url == "env:SECONDSHIFT_ALIVE_URL"
    assert found[2].rota.people["you"].channels == ("env:PAGER", "mailto:lab@lab.org")


def test_the_settings_of_the_evolution_page_are_read_and_mean_what_it_says(tmp_path: Path) -> None:
    shutil.copy(HOUSE / "examples" / "first_night" / "train.py", tmp_path)
    (tmp_path / "secondshift.toml").write_text(SMALL + blocks("evolution.md", "toml")[0])
    policy = config.load_study(tmp_path / "secondshift.toml").policy
    assert (policy.searcher, policy.scheduler) == ("evolution", "halving")
    population = SMALL + blocks("evolution.md", "toml")[1].replace("500", "3")
    (tmp_path / "secondshift.toml").write_text(population)
    assert config.load_study(tmp_path / "secondshift.toml").policy.population == 8
    assert policy.try_first == (
        {"lr": 3e-4, "width": 64, "optimizer": "adam"}, {"lr": 0.05, "width": 64, "optimizer": "sgd", "momentum": 0.9},
    )  # fmt: skip

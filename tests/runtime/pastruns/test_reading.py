"""Past runs as MLflow, W&B and TensorBoard themselves wrote them, read with none of them installed; and CSV by hand."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import SecondshiftError
from secondshift.records.pastruns import PastRun
from secondshift.runtime.pastruns.finding import find_runs
from secondshift.runtime.pastruns.plain_yaml import read_yaml

FIXTURES = Path(__file__).parent / "fixtures"
TWENTY = list(range(20))


def found(*paths: Path, source="auto") -> dict[str, PastRun]:
    return {run.name: run for run in find_runs(paths, source, FIXTURES)}


def curve(lr: float, seed: int, steps: int = 20) -> list[float]:
    return [round(lr + 0.001 * seed + 1.0 / (step + 1), 6) for step in range(steps)]


@pytest.mark.parametrize("store", ["mlruns", "mlflow.db"])
def test_an_mlflow_store_gives_parameters_tags_status_times_and_every_point(store: str) -> None:
    runs = found(FIXTURES / store)
    assert set(runs) == {"run-0", "run-1", "run-2", "run-3", "run-4", "killed", "going on"}
    run = runs["run-1"]
    assert run.source == "mlflow" and len(run.run) == 32 and run.damaged == 0
    assert run.params == {"optimizer.lr": "0.01", "width": "32", "seed": "2", "comment": "by hand"}
    assert run.hints == {"team": "night"}
    steps, values = run.columns["val_loss"]
    assert (list(steps), list(values)) == (TWENTY, curve(0.01, 2))
    assert {name: r.status for name, r in runs.items() if r.status != "finished"} == {
        "killed": "killed",
        "going on": "running",
    }
    assert 1.7e9 < run.started_at < run.ended_at < run.started_at + 60


def test_wandb_offline_runs_give_their_configuration_late_changes_included_and_how_they_ended(tmp_path: Path) -> None:
    runs = found(FIXTURES / "wandb")
    assert set(runs) == {f"run-{n}" for n in range(5)}
    run = runs["run-3"]
    assert run.params == {"optimizer.lr": 0.02, "width": 64, "seed": 1, "late": True}
    assert (list(run.columns["val_loss"][1]), run.status, run.run in str(list((FIXTURES / "wandb").rglob("*")))) == (
        curve(0.02, 1, 10), "finished", True,
    )  # fmt: skip
    [file] = (FIXTURES / "wandb").rglob(f"run-{run.run}.wandb")
    cut = tmp_path / file.name
    cut.write_bytes(file.read_bytes()[:-300])  # killed with its logger: the record of its end is not there
    [gone] = found(cut).values()
    assert gone.status == "running" and gone.params["width"] == 64


def test_tensorboard_folders_give_hparams_and_the_folder_that_add_hparams_makes_is_no_run_of_its_own() -> None:
    runs = found(FIXTURES / "tensorboard")
    assert set(runs) == {f"run-{n}" for n in range(5)}
    run = runs["run-2"]
    assert run.params == {"optimizer.lr": 0.01, "width": 32, "seed": 3} and run.status == "finished"
    assert list(run.columns["val_loss"][0]) == TWENTY and run.run == "tensorboard/run-2"
    assert [round(v, 4) for v in run.columns["val_loss"][1]] == [round(v, 4) for v in curve(0.01, 3)]  # 32-bit floats
    assert run.started_at > 1.7e9


def test_names_of_folders_say_parameters_as_hydra_writes_them() -> None:
    runs = list(find_runs([FIXTURES / "multirun"], "auto", FIXTURES))
    assert [run.params for run in runs] == [{"optimizer.lr": "0.05", "width": "16", "seed": s} for s in ("1", "2")]


def test_a_run_is_named_the_same_however_its_path_was_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    one = [run.run for run in find_runs([Path("tensorboard")], "auto", FIXTURES)]
    two = [run.run for run in find_runs([FIXTURES / "multirun" / ".." / "tensorboard"], "auto", FIXTURES)]
    assert one == two


def test_one_csv_file_for_each_run_takes_parameters_from_names_and_the_file_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "logs" / "lr=0.1,seed=3"
    place.mkdir(parents=True)
    (place / "metrics.csv").write_text("epoch,step,val_loss,note\n0,0,1.5,\n0,1,,x\n1,2,0.5,\n")
    (place / "hparams.yaml").write_text("model:\n  width: 64\n  act: 'relu'\nlayers:\n- 1\n- 2\n")
    [run] = find_runs([tmp_path / "logs"], "auto", tmp_path)
    assert run.params == {"lr": "0.1", "seed": "3", "model.width": 64, "model.act": "relu"}
    assert (run.name, list(run.columns["val_loss"][0]), list(run.columns["val_loss"][1])) == (
        "lr=0.1,seed=3",
        [0, 2],
        [1.5, 0.5],
    )


def test_a_table_with_a_run_column_is_many_runs_and_its_constant_columns_are_parameters(tmp_path: Path) -> None:
    table = tmp_path / "all.csv"
    rows = [f"{run};{0.1 * (run + 1):.1f};{step};{1 / (step + 1)}" for run in range(2) for step in range(3)]
    table.write_text("run;lr;step;val_loss\n" + "\n".join(rows) + "\n")
    runs = list(find_runs([table], "auto", tmp_path))
    assert [(r.run, r.params) for r in runs] == [("all.csv#0", {"lr": 0.1}), ("all.csv#1", {"lr": 0.2})]
    assert list(runs[1].columns["val_loss"][0]) == [0, 1, 2]


def test_what_cannot_be_told_is_said_and_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(SecondshiftError, match="There is no"):
        list(find_runs([tmp_path / "nothing"], "auto", tmp_path))
    with pytest.raises(SecondshiftError, match="No past runs were found"):
        list(find_runs([tmp_path], "auto", tmp_path))
    shutil.copytree(FIXTURES / "multirun", tmp_path / "a" / "tb")
    shutil.copy(FIXTURES / "mlflow.db", tmp_path / "a")
    with pytest.raises(SecondshiftError, match=r"holds runs of mlflow and tensorboard\. Say which"):
        list(find_runs([tmp_path / "a"], "auto", tmp_path))
    assert len(list(find_runs([tmp_path / "a"], "tensorboard", tmp_path))) == 2
    (tmp_path / "bare.csv").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(SecondshiftError, match="names its columns"):
        list(find_runs([tmp_path / "bare.csv"], "auto", tmp_path))


def test_none_of_the_libraries_is_imported() -> None:
    code = (
        "import sys; from pathlib import Path; from secondshift.runtime.pastruns.finding import find_runs\n"
        f"f = Path({str(FIXTURES)!r})\n"
        "n = sum(1 for k in ('mlruns', 'mlflow.db', 'wandb', 'tensorboard') for _ in find_runs([f / k], 'auto', f))\n"
        "print(n, sorted(m for m in sys.modules if m.split('.')[0] in ('mlflow', 'wandb', 'tensorboardX', 'tensorboard', 'yaml')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "24 []"


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.binary(max_size=300),
    st.sampled_from(["x.csv", "events.out.tfevents.1", "run-a.wandb", "x.db", "meta.yaml"]),
    st.data(),
)
def test_files_of_any_content_never_break_the_reading(tmp_path_factory, junk: bytes, name: str, data) -> None:
    folder = tmp_path_factory.mktemp("junk")
    (folder / "metrics").mkdir()
    real = {
        "run-a.wandb": "wandb/*/*.wandb",
        "events.out.tfevents.1": "tensorboard/*/*/*",
        "meta.yaml": "mlruns/*/*/meta.yaml",
    }
    if name in real and data.draw(st.booleans()):
        good = next(FIXTURES.glob(real[name])).read_bytes()
        at = data.draw(st.integers(0, len(good)))
        junk = good[:at] + junk + good[at + len(junk) :]
    (folder / name).write_bytes(junk)
    try:
        list(find_runs([folder], "auto", folder))
    except SecondshiftError:
        pass
    read_yaml(folder / name)

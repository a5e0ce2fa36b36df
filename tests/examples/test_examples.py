"""Every example does what it says: alone under plain python, and as a study under `secondshift run`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.records.states import State
from secondshift.runtime.readers.fragments import collect_folder

HOUSE = Path(__file__).parents[2]
OPEN_ENDED = "circle_packing"  # it needs a git repository and an agent: test_circle_packing.py, benchmarks/packing.py
EXAMPLES = sorted(f.parent for f in (HOUSE / "examples").rglob("secondshift.toml") if f.parent.name != OPEN_ENDED)


NEEDS = {"char_lm_torch": "torch", "hydra_digits": "hydra", "notebook": "nbclient"}  # not installed by default
STUDIES = [
    pytest.param(e, id=e.name, marks=[pytest.mark.torch] if NEEDS.get(e.name) == "torch" else []) for e in EXAMPLES
]


def environment(folder: Path) -> dict[str, str]:
    """What a person's shell has: `python` is the one that secondshift is installed for."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(HOUSE / "src"),
        "SECONDSHIFT_HOST_DIR": str(folder / "devices"),
    }


def copied(example: Path, tmp_path: Path) -> Path:
    if example.name in NEEDS:
        pytest.importorskip(NEEDS[example.name], reason=f"the example {example.name} needs {NEEDS[example.name]}")
    return Path(shutil.copytree(example, tmp_path / example.name))


def output(place: Path, env: dict[str, str], *flags: str) -> list[str]:
    command = [sys.executable, "train.py", *flags]
    done = subprocess.run(command, cwd=place, env=env, timeout=100, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_each_example_is_introduced_in_two_lines() -> None:
    page = (HOUSE / "examples" / "README.md").read_text("utf-8")
    for example in (folder for folder in (HOUSE / "examples").iterdir() if folder.is_dir() and any(folder.iterdir())):
        after = page.partition(f"**[{example.name}]({example.name})**")[2].partition("\n\n")[0].strip()
        assert len(after.splitlines()) == 2, example.name


@pytest.mark.parametrize("example", STUDIES)
def test_an_example_runs_on_its_own_and_leaves_nothing_behind(example: Path, tmp_path: Path) -> None:
    place = copied(example, tmp_path)
    before = sorted(file.name for file in place.iterdir())
    subprocess.run([sys.executable, "train.py"], cwd=place, env=environment(tmp_path), timeout=60, check=True)
    assert sorted(file.name for file in place.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("example", STUDIES)
def test_an_example_is_a_study_that_ends_with_a_brief(example: Path, tmp_path: Path) -> None:
    place = copied(example, tmp_path)
    command = [sys.executable, "-P", "-m", "secondshift", "run", "--for", "90s"]
    done = subprocess.run(
        command, cwd=place, env=environment(tmp_path), timeout=110, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ledger = open_ledger(place / ".secondshift", readonly=True)
    state = fold(State(), ledger.read())
    ledger.close()
    assert state.statuses.get("complete", 0) >= 1 and not state.statuses.get("failed", 0)
    assert state.shift is None and not state.charges and not state.attempts
    assert (place / ".secondshift" / "briefs" / "s1.html").exists()


def test_the_sdk_free_examples_never_name_us() -> None:
    for name in ("char_lm_numpy", "sklearn_digits", "hydra_digits"):
        code = (HOUSE / "examples" / name / "train.py").read_text("utf-8")
        assert "import secondshift" not in code and "SECONDSHIFT" not in code


def test_the_numpy_language_model_learns_its_text_and_its_seed_and_flags_matter(tmp_path: Path) -> None:
    place, env = copied(HOUSE / "examples" / "char_lm_numpy", tmp_path), environment(tmp_path)
    plain = output(place, env, "--steps", "6")
    losses = [float(line.partition("val_loss=")[2]) for line in plain]
    assert len(losses) == 6 and losses[-1] < losses[0] * 0.9
    assert output(place, env, "--steps", "6") == plain
    assert (
        output(place, env, "--steps", "6", "--seed", "1") != plain != output(place, env, "--steps", "6", "--lr", "0.1")
    )


def test_the_scikit_learn_example_goes_on_from_its_checkpoint_as_if_nothing_had_been(tmp_path: Path) -> None:
    place, env = copied(HOUSE / "examples" / "sklearn_digits", tmp_path), environment(tmp_path)
    whole = output(place, env, "--epochs", "5")
    output(place, env, "--epochs", "2", "--ckpt-dir", str(tmp_path / "ckpt"))
    rest = output(place, env, "--epochs", "5", "--ckpt-dir", str(tmp_path / "ckpt"))
    assert rest == ["resumed after 2 epochs", *whole[2:]]


def test_the_hydra_example_obeys_its_overrides_and_learns(tmp_path: Path) -> None:
    place, env = copied(HOUSE / "examples" / "hydra_digits", tmp_path), environment(tmp_path)
    plain = losses(output(place, env, "epochs=4"))
    assert len(plain) == 4 and plain[-1] < plain[0]
    others = [losses(output(place, env, "epochs=4", o)) for o in ("model=hidden", "optimizer.lr=0.1", "seed=1")]
    assert len({str(curve) for curve in (plain, *others)}) == 4


def losses(printed: list[str]) -> list[float]:
    return [float(line.partition("val_loss=")[2].split()[0]) for line in printed]


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel", reason="the example notebook needs ipykernel")
    place = copied(HOUSE / "examples" / "notebook", tmp_path)
    env = {
        **environment(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
    }
    execute = ["jupyter-execute", "--inplace", "--timeout=90", "night.ipynb"]
    done = subprocess.run(execute, cwd=place, env=env, timeout=110, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {
        cell["id"]: cell.get("outputs", []) for cell in json.loads((place / "night.ipynb").read_text("utf-8"))["cells"]
    }
    said = {name: "".join("".join(o.get("text", "")) for o in outputs) for name, outputs in cells.items()}
    assert "val_loss=" in said["try"] and "complete" in said["look"], said


def test_the_notebook_is_kept_without_what_running_it_left() -> None:
    notebook = json.loads((HOUSE / "examples" / "notebook" / "night.ipynb").read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)


@pytest.mark.torch
def test_the_torch_example_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    place, env = copied(HOUSE / "examples" / "char_lm_torch", tmp_path), environment(tmp_path)
    curves = []
    for trial, ends in (("t1", (6,)), ("t2", (3, 6))):
        curve = {}
        for number, until in enumerate(ends, 1):
            folder = tmp_path / "attempts" / f"{trial}.a{number}"
            folder.mkdir(parents=True)
            order = {"attempt": folder.name, "trial": trial, "seed": 7, "horizon_steps": 6, "until_step": until}
            order |= {"checkpoints": str(tmp_path / "trials" / trial), "params": {"dropout": 0.2}}
            (folder / "order.json").write_text(json.dumps(order))
            output(place, {**env, "SECONDSHIFT_ATTEMPT": str(folder), "OMP_NUM_THREADS": "1"})
            for chunk in collect_folder(folder, {}, trial=trial, attempt=folder.name, ended=True):
                for batch in (b for b in chunk.batches if not b.metric.startswith("_")):  # not the clock
                    curve |= {(batch.metric, s): v for s, v in zip(batch.steps, batch.values, strict=True)}
        curves.append(curve)
    assert len(curves[0]) == 12 and curves[0] == curves[1]

"""The demo's training is real: it learns, a pause leaves no trace in it, and it crashes only where a drill says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from secondshift.interfaces.demo import train_digits
from secondshift.interfaces.demo.train_digits import Job

SCRIPT = Path(train_digits.__file__)
SOURCE = str(SCRIPT.parents[3])
HORIZON = 5


def train(
    folder: Path, attempt: int, *, until_step: int = HORIZON, seed: int = 3, lr: float = 0.02, **env: str
) -> int:
    """Run the script as an attempt of a trial in `folder`; return its exit code."""
    place = folder / f"a{attempt}"
    place.mkdir(parents=True)
    order = {
        "attempt": f"t1.a{attempt}", "trial": "t1", "seed": seed, "params": {"width": 32, "batch": 60, "lr": lr},
        "horizon_steps": HORIZON, "until_step": until_step, "checkpoints": str(folder / "checkpoints"),
    }  # fmt: skip
    (place / "order.json").write_text(json.dumps(order))
    environment = {
        **os.environ, "PYTHONPATH": SOURCE, "SECONDSHIFT_ATTEMPT": str(place), "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1", **env,
    }  # fmt: skip
    return subprocess.run([sys.executable, str(SCRIPT)], env=environment, timeout=60, check=False).returncode


def state_at(folder: Path, step: int) -> tuple[dict[str, bytes], str]:
    """Everything that shapes the rest of the curve, as it was saved after `step` steps."""
    saved = folder / "checkpoints" / f"step-{step}"
    with np.load(saved / "arrays.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}, (saved / "random.json").read_text()


def job_with(*, lr: float = 0.02, momentum: float = 0.8, l2: float = 1e-4, activation: str = "relu") -> Job:
    return Job(lr=lr, width=64, momentum=momentum, batch=40, l2=l2, activation=activation, seed=1)


def test_a_paused_and_resumed_training_ends_bit_for_bit_like_one_that_was_not(tmp_path: Path) -> None:
    assert train(tmp_path / "whole", 1) == 0
    assert train(tmp_path / "parts", 1, until_step=2) == 0
    assert not (tmp_path / "parts" / "checkpoints" / f"step-{HORIZON}").exists()
    assert train(tmp_path / "parts", 2) == 0
    assert state_at(tmp_path / "parts", HORIZON) == state_at(tmp_path / "whole", HORIZON)


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    assert train(tmp_path / "a", 1, until_step=1, seed=1) == 0 == train(tmp_path / "b", 1, until_step=1, seed=2)
    assert state_at(tmp_path / "a", 1) != state_at(tmp_path / "b", 1)


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky"])
def test_the_network_learns_to_read_digits_it_has_not_seen(activation: str) -> None:
    job = job_with(activation=activation)
    before, _ = job.evaluate()
    for _ in range(3):
        job.train_step()
    after, mistakes = job.evaluate()
    assert after < before / 3 and mistakes < 0.2


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky"])
def test_each_update_goes_down_the_slope_of_the_loss(activation: str) -> None:
    job = job_with(activation=activation, momentum=0.0, lr=1.0, l2=0.0)
    shown, digits = job.judged[:50], job.answers[:50]
    before = [weight.copy() for weight in job.weights]
    job.descend(shown, digits)
    gradients = [old - new for old, new in zip(before, job.weights, strict=True)]
    for at, place in ((0, (20, 5)), (2, (3, 4)), (4, (2, 7)), (5, (1,))):
        losses = []
        for nudge in (1e-6, -1e-6):
            job.weights = [weight.copy() for weight in before]
            job.weights[at][place] += nudge
            losses.append(float(-job.forward(shown)[2][np.arange(50), digits].mean()))
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(gradients[at][place], rel=1e-3, abs=1e-7)


def test_a_rate_that_is_too_high_gives_nan_and_not_a_crash() -> None:
    job = job_with(lr=1e6)
    with np.errstate(all="ignore"):
        job.train_step()
        assert not np.isfinite(job.evaluate()[0])


def test_the_drill_crashes_exactly_one_run_at_its_step(tmp_path: Path) -> None:
    drill = tmp_path / "drill"
    drill.write_text("1")
    assert train(tmp_path / "baseline", 1, until_step=2, DIGITS_DRILL=str(drill)) == 0
    assert train(tmp_path / "first", 1, lr=0.05, DIGITS_DRILL=str(drill)) == 1
    assert not drill.exists()
    assert train(tmp_path / "second", 1, until_step=2, lr=0.05, DIGITS_DRILL=str(drill)) == 0


def test_the_script_runs_on_its_own(tmp_path: Path) -> None:
    short = SCRIPT.read_text().replace("HORIZON = 27", "HORIZON = 2")
    (tmp_path / "train.py").write_text(short)
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=environment, timeout=60, check=False)
    assert done.returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["train.py"]

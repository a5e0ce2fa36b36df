"""A study of the PyTorch example, byte for byte as it stands in examples/, and its training without interruption."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from secondshift.config.loading import check_study
from secondshift.records.states import State
from secondshift.runtime.readers.fragments import collect_folder

from .stage import HERE, SOURCE, Plan, Stage

ROOT = HERE.parents[1]
EXAMPLE = ROOT / "examples" / "char_lm_torch"
METRICS = ("train_loss", "val_loss")
Key = tuple[tuple[tuple[str, float], ...], int]  # parameters and seed
STUDY = """\
command = "{python} train.py"
tier = "cooperative"
[objective]
metric = "val_loss"
min_effect = 0.01
[horizon]
steps = {steps}
[search]
lr = {{ low = 1e-4, high = 3e-2, log = true, default = 3e-3 }}
width = {{ choices = [16, 32, 64], default = 32 }}
layers = {{ low = 1, high = 3, default = 1 }}
dropout = {{ low = 0.0, high = 0.3, default = 0.0 }}
[budget]
trials = {trials}
[policy]
seed = {seed}
max_interruptions = 1000 # a soak interrupts far more often than a night does
[captain]
cool_down = 0
[launch]
grace_s = {grace_s}
grant = "{grant}"
checkpoint_every_s = 3
{launch}
"""


@dataclass(frozen=True, kw_only=True)
class TorchPlan(Plan):
    """A night of the PyTorch example on a device."""

    device: str = "cpu"  # or cuda

    def toml(self) -> str:
        """The study file."""
        launch = f"slots = {self.slots}\nthreads = 1" if self.device == "cpu" else f"per_device = {self.slots}\nthreads = 1"
        return STUDY.format(
            python=sys.executable, steps=self.steps, trials=self.trials, seed=self.seed, grace_s=self.grace_s,
            grant=self.grant, launch=launch,
        )  # fmt: skip


def on_device(device: str) -> dict[str, str]:
    """The environment in which the example trains on that device: it takes CUDA wherever it sees some."""
    return {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}


def torch_stage(plan: TorchPlan) -> Stage:
    """A stage whose training processes are witnessed from outside their script."""
    stage = Stage(plan)
    stage.extra |= {"PYTHONPATH": os.pathsep.join([str(HERE / "watched"), str(ROOT)]), **on_device(plan.device)}
    return stage


def prove(stage: Stage) -> str:
    """Prove the script as a person would, or say why not; what is not proved is trusted, where a study can say so."""
    code, said = stage.call("doctor", "--help")
    if code == 0:
        watched, stage.extra = stage.extra, {k: v for k, v in stage.extra.items() if k != "PYTHONPATH"}
        code, said = stage.call("doctor", timeout=600.0)  # unwatched: its probes are no part of the night
        stage.extra = watched
        (stage.root / "doctor.txt").write_text(said)
        if code == 0:
            return "proved by `secondshift doctor`"
    plain = stage.file.read_text()
    stage.file.write_text(plain + "[resume]\ntrust = true\n")
    _, mistakes = check_study(stage.file)
    if not mistakes:
        return f"trusted: `secondshift doctor` ended with {code}"
    stage.file.write_text(plain)
    return "taken at its word: this version proves nothing"


class Observer:
    """Notes from outside that training processes still live: torch takes seconds to end after its script's last word."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.over = stage, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Observer":
        self.thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self.over.set()
        self.thread.join(10.0)

    def _watch(self) -> None:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        with open(self.stage.witness / "witness.jsonl", "ab", buffering=0) as file:
            while not self.over.wait(0.1):
                at = time.clock_gettime(time.CLOCK_BOOTTIME)  # before the look: what is seen then lived at least so long
                for attempt, process in self.stage.trainings_of().items():
                    who = {"trial": attempt.split(".")[0], "attempt": attempt, "pid": process.pid, "ticks": process.ticks}
                    file.write(json.dumps({"is": "alive", **who, "boot": boot, "at": at}).encode() + b"\n")


class Reference:
    """Trains the candidates of a study once more, each in one piece, two beside each other."""

    def __init__(self, plan: TorchPlan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.rows: dict[Key, list[tuple[float, ...]]] = {}

    def train(self, state: State) -> None:
        """Train what the trials of a study trained, as far as they came."""
        wanted: dict[Key, int] = {}
        for trial in state.trials.values():
            key = _key({name: float(value) for name, value in trial.params.items()}, trial.seed)
            if trial.logged_step >= 0:
                wanted[key] = max(wanted.get(key, 0), trial.logged_step + 1)
        with ThreadPoolExecutor(2) as pool:
            self.rows = dict(zip(wanted, pool.map(self._train, wanted, wanted.values()), strict=True))

    def curve(self, params: Mapping[str, float], seed: int, steps: int) -> Iterator[Sequence[float]]:
        """What an uninterrupted run logged in its first steps."""
        return iter(self.rows[_key(params, seed)][:steps])

    def _train(self, key: Key, steps: int) -> list[tuple[float, ...]]:
        params, seed = key
        place = Path(tempfile.mkdtemp(dir=self.folder, prefix="reference-"))
        attempt = place / "attempts" / "t1.a1"
        attempt.mkdir(parents=True)
        whole = {name: int(value) if name in ("width", "layers") else value for name, value in params}
        order = {"attempt": "t1.a1", "trial": "t1", "seed": seed, "horizon_steps": self.plan.steps, "until_step": steps}
        order |= {"params": whole, "checkpoints": str(place / "checkpoints"), "checkpoint_every_s": 1e9}
        (attempt / "order.json").write_text(json.dumps(order))
        shutil.copyfile(EXAMPLE / "train.py", place / "train.py")
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "SECONDSHIFT_ATTEMPT": str(attempt), "OMP_NUM_THREADS": "1"}
        env |= {"MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **on_device(self.plan.device)}
        subprocess.run([sys.executable, "train.py"], cwd=place, env=env, check=True, timeout=900, capture_output=True)
        found: dict[str, list[float]] = {metric: [] for metric in METRICS}
        for chunk in collect_folder(attempt, {}, trial="t1", attempt="t1.a1", ended=True):
            for batch in chunk.batches:
                if batch.metric in found:
                    found[batch.metric] += batch.values
        shutil.rmtree(place)
        return list(zip(*found.values(), strict=True))


def _key(params: Mapping[str, float], seed: int) -> Key:
    return tuple(sorted(params.items())), seed

"""The two studies of the demo: the same question and the same device time, asked in two ways."""

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from secondshift.interfaces.demo import train_digits

SCRIPT = "train_digits.py"
METRIC = "val_loss"
DRILL_FILE = "drill"
_STUDY = """\
# Written by `secondshift demo`. The other half of it differs in [policy] alone.
name = {name}
command = {command}
tier = "cooperative"

[objective]
metric = "{metric}"
goal = "min"
min_effect = 0.005

[horizon]
steps = {steps}

[search]
lr = {{ low = 1e-5, high = 1.0, log = true }}
momentum = {{ low = 0.0, high = 0.98 }}
width = [64, 128, 256]
batch = [20, 40, 80]
l2 = {{ low = 1e-6, high = 1e-1, log = true }}
activation = ["relu", "tanh", "leaky"]

[budget]
device_hours = {device_hours!r}

[policy]
searcher = "random"
scheduler = "{scheduler}"
seed = {seed}

[launch]
slots = {slots}
grant = "5s"
checkpoint_every_s = "1s"
grace_s = "5s"
quiet = "60s"

[launch.env]
{drill_variable} = {drill}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Half:
    """One of the demo's two studies."""

    key: str  # random or halving
    title: str
    file: Path  # its secondshift.toml

    @property
    def private(self) -> Path:
        """Where the study keeps its ledger and all else."""
        return self.file.parent / ".secondshift"


def lay_out(
    folder: Path, *, seed: int, device_s: float, slots: int, crash_in: str, crash_at: int, script: Path | None = None
) -> tuple[Half, Half]:
    """Write both studies below `folder` (made if absent) with the same script, seed and device-seconds.

    The first trial of the study `crash_in` to get to step `crash_at` will crash.
    """
    titles = {"random": "random search, every trial to its end", "halving": "successive halving, losers paused early"}
    halves = [Half(key=key, title=titles[key], file=folder / key / "secondshift.toml") for key in titles]
    for half, scheduler in zip(halves, ("fifo", "halving"), strict=True):
        place = half.file.parent
        place.mkdir(parents=True)
        shutil.copyfile(script or Path(train_digits.__file__), place / SCRIPT)
        drill = place / DRILL_FILE
        if half.key == crash_in:
            drill.write_text(f"{crash_at}\n")
        words = [word.replace("{", "{{").replace("}", "}}") for word in (sys.executable, SCRIPT)]
        text = _STUDY.format(
            name=json.dumps(f"digits-{half.key}"), command=json.dumps(shlex.join(words)), metric=METRIC,
            steps=train_digits.HORIZON, device_hours=device_s / 3600, scheduler=scheduler, seed=seed, slots=slots,
            drill_variable=train_digits.DRILL, drill=json.dumps(str(drill)),
        )  # fmt: skip
        half.file.write_text(text)
    return halves[0], halves[1]

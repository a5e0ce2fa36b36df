"""The study that is searched: its file, its folder, and the images in it."""

import gzip
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from real.train import DATA, HORIZON

HERE = Path(__file__).resolve().parent
TRAINED, VALIDATED = 900, 450  # images, of 1797; the rest is the test
SPACE = """
lr = { low = 1e-3, high = 1.0, log = true }
batch = { low = 8, high = 256, log = true }
width = { low = 16, high = 128, log = true }
momentum = { low = 0.0, high = 0.99 }
weight_decay = { low = 1e-7, high = 1e-2, log = true }
init_scale = { low = 0.1, high = 4.0, log = true }
dropout = { low = 0.0, high = 0.5 }
activation = ["relu", "tanh", "logistic"]
"""


def digits() -> dict[str, np.ndarray]:
    """scikit-learn's digits in three parts, read from its file: importing it takes longer than a training."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("scikit-learn is not installed, and the digits are in it: pip install scikit-learn")
    with gzip.open(Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    table = table[np.random.default_rng(0).permutation(len(table))]
    x, y = table[:, :64] / 16.0, table[:, 64].astype(np.int64)
    cuts = [TRAINED, TRAINED + VALIDATED]
    parts = zip(("", "val_", "test_"), np.split(x, cuts), np.split(y, cuts), strict=True)
    return {name: value for prefix, one, other in parts for name, value in ((f"{prefix}x", one), (f"{prefix}y", other))}


def study_text(
    *, searcher: str, scheduler: str, seed: int, min_steps: int = 0, witness: Path | None = None, noise: bool = False,
    horizon: int = HORIZON, more: str = "", budget: str = "",
) -> str:  # fmt: skip
    """The study file. Without defaults in the space no configuration is known beforehand, as for random search."""
    env = ["OPENBLAS_NUM_THREADS = '1'"]
    env += [f"WITNESS = '{witness}'"] if witness else []
    env += ["NOISE = '1'"] if noise else []
    return f"""
command = "'{sys.executable}' train.py"
name = "real digits"

[objective]
metric = "val_loss"
at = "best"

[horizon]
steps = {horizon}

[resume]
trust = true              # that a resumed run ends as an unbroken one is a test of this benchmark

[policy]
searcher = "{searcher}"
scheduler = "{scheduler}"
seed = {seed}
min_steps = {min_steps}
{more}
[launch]
sample_every_s = 0
env = {{ {", ".join(env)} }}

[budget]
{budget}

[search]{SPACE}"""


def make(folder: Path, text: str) -> Path:
    """Lay out a study: the script, the images and the file, whose path is returned."""
    folder.mkdir(parents=True)
    shutil.copy(HERE / "train.py", folder / "train.py")
    np.savez(folder / DATA, allow_pickle=False, **digits())
    file = folder / "secondshift.toml"
    file.write_text(text)
    return file

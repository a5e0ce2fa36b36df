"""Record what real trainings come to, seed by seed: the noise that the benchmark of evidence draws from.

    python3 benchmarks/evidence/record_digits.py [--pool 3000] [--each 440]

Each row is one training of the demo's own network on scikit-learn's digits, small, to its end: the very same configuration
with one seed after the other, and a few real changes with the first of those seeds. One process, one thread; the rows go to
digits.csv beside this file as they come, and a second call goes on where the first one ended.
"""

import argparse
import csv
import functools
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "src")]

import numpy as np  # noqa: E402  # the folder and the threads come first

from secondshift.interfaces.demo import train_digits  # noqa: E402

FILE = HERE / "digits.csv"
STEPS = 6  # of 6 passes each
BASE: Mapping[str, float | int | str] = {
    "lr": 0.02, "width": 32, "momentum": 0.8, "batch": 40, "l2": 1e-4, "activation": "relu",
}  # fmt: skip
CHANGES: Mapping[str, Mapping[str, float | int | str]] = {
    "lr x0.5": {"lr": 0.01}, "lr x1.1": {"lr": 0.022}, "lr x1.5": {"lr": 0.03}, "momentum 0.82": {"momentum": 0.82},
    "width x1.25": {"width": 40}, "width x2": {"width": 64}, "tanh": {"activation": "tanh"}, "l2 x100": {"l2": 0.01},
}  # fmt: skip


def trained(seed: int, changed: Mapping[str, float | int | str]) -> tuple[float, float, float]:
    """Train once; return the loss in nats, the share of mistakes, and the seconds of processor time."""
    began = time.process_time()
    job = train_digits.Job(**{**BASE, **changed}, seed=seed)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):  # a rate that is too high diverges: that is a result
        for _ in range(STEPS):
            job.train_step()
        loss, mistakes = job.evaluate()
    return loss, mistakes, time.process_time() - began


def main() -> None:
    """Run what is not in the file yet, base first."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pool", type=int, default=3000, help="seeds of the unchanged configuration")
    options.add_argument("--each", type=int, default=440, help="seeds of each change")
    given = options.parse_args()
    train_digits.load_digits = functools.cache(train_digits.load_digits)
    train_digits.load_digits()
    wanted = [("base", seed) for seed in range(given.pool)]
    wanted += [(name, seed) for seed in range(given.each) for name in CHANGES]
    known: set[tuple[str, int]] = set()
    if FILE.exists():
        rows = csv.DictReader(line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#"))
        known = {(row["change"], int(row["seed"])) for row in rows}
    with FILE.open("a", encoding="utf-8") as file:
        if not known:
            made = f"python {platform.python_version()}, numpy {np.__version__}, scikit-learn {version('scikit-learn')}"
            file.write(f"# python3 benchmarks/evidence/record_digits.py; {made}; {time.strftime('%Y-%m-%d')}\n")
            file.write("change,seed,loss,mistakes,seconds\n")
        for change, seed in wanted:
            if (change, seed) in known:
                continue
            loss, mistakes, seconds = trained(seed, CHANGES.get(change, {}))
            file.write(f"{change},{seed},{loss:.6g},{mistakes * train_digits.JUDGED:.0f},{seconds:.3f}\n")
            if seed % 50 == 0:
                file.flush()


if __name__ == "__main__":
    main()

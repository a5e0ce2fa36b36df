"""Full random search, the reference: many configurations drawn as the random searcher draws, each trained to its end once.

From their results follows, by exact order statistics over the pool, what the best of k of them is expected to reach.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import gammaln

from real.train import HORIZON, Job
from secondshift.policies.models.spaces import region
from secondshift.records.studies import Space, Value

FILE = Path(__file__).resolve().parent / "pool.csv"
SEEDS = 10  # the seeds of trainings are 1 to 10, as those of nights are
TRAIN = "python3 benchmarks/real_search.py --pool"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The results of full trainings, the best first."""

    loss: np.ndarray  # float64[trainings], the smallest validation loss of the whole curve
    test: np.ndarray  # float64[trainings], the test loss of that epoch

    def expected(self, count: int, *, test: bool = False) -> float:
        """Expected loss of the best of `count` trainings drawn without replacement (its test loss where asked for)."""
        return float(chances(len(self.loss), count) @ (self.test if test else self.loss))

    def path(self, *, test: bool = False) -> np.ndarray:
        """Expected loss of the best of 1, 2, ... trainings, float64[trainings]."""
        return np.array([self.expected(k, test=test) for k in range(1, len(self.loss) + 1)])


def chances(size: int, count: int) -> np.ndarray:
    """The chance of each of `size` results, the best first, to be the best of `count` drawn without replacement."""
    rank = np.arange(size)
    left = size - 1 - rank  # that are worse
    possible = left >= count - 1
    logs = gammaln(left[possible] + 1) - gammaln(count) - gammaln(left[possible] - count + 2)
    whole = gammaln(size + 1) - gammaln(count + 1) - gammaln(size - count + 1)
    found = np.zeros(size)
    found[possible] = np.exp(logs - whole)
    return found


def needed(path: np.ndarray, reached: float) -> float:
    """How many trainings random search needs, in expectation, to reach a loss: between two whole numbers in a line.

    Where it is below all of the pool, the size of the pool: at least so many.
    """
    under = np.flatnonzero(path <= reached)
    if not len(under):
        return float(len(path))
    k = int(under[0]) + 1
    if k == 1:
        return 1.0
    before, after = path[k - 2], path[k - 1]
    return float(k - 1 + (before - reached) / (before - after))


def drawn(space: Space, index: int) -> dict[str, Value]:
    """Configuration number `index` of the pool."""
    ground = region(space)
    return ground.decode(np.random.default_rng([7, index]).random(len(ground.parameters)).tolist())


def curve(data: dict[str, np.ndarray], params: Mapping[str, Value], seed: int, epochs: int = HORIZON) -> np.ndarray:
    """Train in this process with the script's own code; validation and test losses, float64[epochs, 2]."""
    job = Job(data, **params, seed=seed)  # type: ignore[arg-type]  # as the study's space says
    found = np.empty((epochs, 2))
    with np.errstate(all="ignore"):
        for epoch in range(epochs):
            job.train_epoch(epoch)
            found[epoch] = job.loss("val"), job.loss("test")
    return found


def train(data: dict[str, np.ndarray], space: Space, count: int, file: Path = FILE) -> None:
    """Train what is missing in the pool, and append it as it comes."""
    known = len(file.read_text("utf-8").splitlines()) - 1 if file.exists() else -1
    with file.open("a", encoding="utf-8") as out:
        if known < 0:
            out.write("index,seed,loss,test,last\n")
        for index in range(max(0, known), count):
            seed = 1 + index % SEEDS
            losses = curve(data, drawn(space, index), seed)
            finite = np.where(np.isfinite(losses[:, 0]), losses[:, 0], np.inf)
            at = int(np.argmin(finite))
            out.write(f"{index},{seed},{finite[at]:.7g},{losses[at, 1]:.7g},{losses[-1, 0]:.7g}\n")
            if index % 50 == 49:
                out.flush()
                print(f"{index + 1} of {count} trainings", flush=True)


def read(file: Path = FILE) -> Pool:
    """Read the pool. Raises FileNotFoundError where it is not there."""
    with file.open() as rows:
        found = np.array([(float(row["loss"]), float(row["test"])) for row in csv.DictReader(rows)])
    found[~np.isfinite(found)] = 100.0  # never trained: worse than all that did
    found = found[np.argsort(found[:, 0], kind="stable")]
    return Pool(loss=found[:, 0], test=found[:, 1])

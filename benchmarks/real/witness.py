"""What a night really trained, by the logs that its processes wrote themselves: every epoch counts, repeated ones again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from secondshift.records.studies import Value

Key = tuple[str, int]  # parameters as JSON with sorted names, and the seed


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """The epochs of a night in the order in which they were done."""

    at: np.ndarray  # float64[epochs], UTC seconds
    loss: np.ndarray  # float64[epochs], as the study was told
    test: np.ndarray  # float64[epochs], as it was not
    took_s: np.ndarray  # float64[epochs]
    epoch: tuple[int, ...]
    key: tuple[Key, ...]
    began: tuple[float, ...]  # when each process had loaded all it needs, in order

    def cut(self, epochs: int) -> "Witnessed":
        """Keep the first so many epochs, and the processes that had begun by then."""
        if epochs >= len(self.at):
            return self
        last = self.at[epochs - 1]
        return Witnessed(
            at=self.at[:epochs], loss=self.loss[:epochs], test=self.test[:epochs], took_s=self.took_s[:epochs],
            epoch=self.epoch[:epochs], key=self.key[:epochs], began=tuple(t for t in self.began if t <= last),
        )  # fmt: skip

    def best(self) -> tuple[float, float]:
        """Give the smallest loss, and the test loss of the same network; infinite where nothing finite was seen."""
        finite = np.where(np.isfinite(self.loss), self.loss, np.inf)
        if not len(finite) or np.isinf(finite).all():
            return float("inf"), float("inf")
        at = int(np.argmin(finite))
        return float(self.loss[at]), float(self.test[at])

    def repeated(self) -> int:
        """How many epochs had been trained before with the same parameters and seed."""
        return len(self.epoch) - len(set(zip(self.key, self.epoch, strict=True)))

    def curves(self) -> dict[Key, dict[int, float]]:
        """The losses of each candidate and seed, by epoch."""
        found: dict[Key, dict[int, float]] = {}
        for key, epoch, loss in zip(self.key, self.epoch, self.loss, strict=True):
            found.setdefault(key, {})[epoch] = float(loss)
        return found


def key(params: Mapping[str, Value], seed: int) -> Key:
    """Name a candidate and seed."""
    return json.dumps(dict(params), sort_keys=True), seed


def read(folder: Path) -> Witnessed:
    """Read the logs of a night. A line that a kill cut short is left out: its epoch was not finished either."""
    rows, began = [], []
    for file in sorted(folder.glob("*.log")):
        for line in file.read_text("utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            row = json.loads(line)
            if "began" in row:
                began.append(row["began"])
            else:
                rows.append(row)
    rows.sort(key=lambda row: row["at"])
    columns = {name: np.array([row[name] for row in rows], dtype=float) for name in ("at", "loss", "test", "took_s")}
    return Witnessed(
        **columns, epoch=tuple(row["epoch"] for row in rows), began=tuple(sorted(began)),
        key=tuple(key(row["params"], row["seed"]) for row in rows),
    )  # fmt: skip
